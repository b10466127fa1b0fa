package app

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/console"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
	"github.com/df-middleware/dfm/internal/observe"
	"github.com/df-middleware/dfm/internal/verity/chat"
	"github.com/df-middleware/dfm/internal/verity/chat/llm"
)

// ChatConfig is which language model the chat uses, and how far it may go.
type ChatConfig struct {
	Provider      string // anthropic, openai, or "" for none
	BaseURL       string
	Model         string
	AnthropicKey  df.Secret
	OpenAIKey     df.Secret
	Limits        chat.Limits
	Price         chat.Price
	RatePerMinute int // answers for one caller; 0 sets no limit
	Retention     time.Duration
}

// chat reads the settings of the chat.
func (s *settings) chat() ChatConfig {
	c := ChatConfig{
		Provider:     s.oneOf("LLM_PROVIDER", "", llm.VendorAnthropic, llm.VendorOpenAI),
		BaseURL:      s.address("LLM_BASE_URL", ""),
		Model:        s.text("LLM_MODEL", ""),
		AnthropicKey: s.secret("ANTHROPIC_API_KEY"),
		OpenAIKey:    s.secret("OPENAI_API_KEY"),
		Limits: chat.Limits{
			Steps:   s.number("DFM_CHAT_MAX_STEPS", 12, 1, 100),
			Time:    s.duration("DFM_CHAT_TIMEOUT", 5*time.Minute, time.Second),
			Tokens:  int64(s.number("DFM_CHAT_MAX_TOKENS", 300_000, 1000, 100_000_000)),
			Reply:   s.number("DFM_CHAT_MAX_REPLY", 8192, 64, 1_000_000),
			Result:  s.number("DFM_CHAT_MAX_RESULT", 30_000, 1000, 1_000_000),
			Results: s.number("DFM_CHAT_MAX_RESULTS", 200_000, 1000, 10_000_000),
		},
		Price:         chat.Price{Input: s.price("LLM_PRICE_INPUT"), Output: s.price("LLM_PRICE_OUTPUT")},
		RatePerMinute: s.number("DFM_CHAT_RATE_PER_MINUTE", 30, 0, 100_000),
		Retention:     s.duration("DFM_CHAT_RETENTION", 90*24*time.Hour, time.Hour),
	}
	if c.Provider == "" {
		switch { // a key alone says enough
		case c.AnthropicKey.Set():
			c.Provider = llm.VendorAnthropic
		case c.OpenAIKey.Set():
			c.Provider = llm.VendorOpenAI
		case c.BaseURL != "":
			s.wrong("LLM_PROVIDER", "must be anthropic or openai when LLM_BASE_URL is set")
		}
	}
	switch {
	case c.Provider == "":
	case c.Model == "":
		s.wrong("LLM_MODEL", "must name a model of the provider, such as claude-sonnet-5-5 or gpt-5.4-mini")
	case c.Provider == llm.VendorAnthropic && !c.AnthropicKey.Set():
		s.wrong("ANTHROPIC_API_KEY", "must be set for LLM_PROVIDER=anthropic")
	case c.Provider == llm.VendorOpenAI && !c.OpenAIKey.Set() && c.BaseURL == "":
		s.wrong("OPENAI_API_KEY", "must be set for LLM_PROVIDER=openai, unless LLM_BASE_URL names a server that wants no key")
	}
	return c
}

// price reads a price for a million tokens.
func (s *settings) price(name string) float64 {
	value := s.text(name, "0")
	price, err := strconv.ParseFloat(value, 64)
	if err != nil || !(price >= 0 && price < 1e6) {
		s.wrong(name, "must be a price for a million tokens, such as 3 or 0.15")
		return 0
	}
	return price
}

// firstByte is how long a model may think before its first byte.
const firstByte = 2 * time.Minute

// language returns the model of the settings, or nil when there is none. Its
// connections are egress's.
func (c ChatConfig) language() llm.Model {
	config := llm.Config{BaseURL: c.BaseURL, Model: c.Model, Client: &http.Client{
		Transport:     egress.NewStreamTransport(firstByte),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	switch c.Provider {
	case llm.VendorAnthropic:
		config.Key = c.AnthropicKey
		return llm.Anthropic(config)
	case llm.VendorOpenAI:
		config.Key = c.OpenAIKey
		return llm.OpenAI(config)
	}
	return nil
}

// newChat makes the chat.
func (a *App) newChat(admin *auth.Guard) (*chat.Chat, error) {
	c := a.config.Chat
	config := chat.Config{
		Model: c.language(), Tools: a.gateway.mcp.server, Store: a.store, Limits: c.Limits, Price: c.Price,
		Authenticate: chatDoor{a.keys, admin, a.config.MCP}.authenticate,
		Limit: callLimit{
			auth.NewLimiter(auth.Stored{Store: a.store, Clock: a.clock}, a.clock, a.log),
			auth.Rate{PerMinute: c.RatePerMinute, Burst: max(1, c.RatePerMinute/2)}, "chat:",
		},
		Observer: chatObserver{a.metrics}, Clock: a.clock, NewID: a.newID, Log: a.log,
	}
	if a.config.Encryption != nil { // so that any instance can take an approval
		secret, err := hkdf.Key(sha256.New, a.config.Encryption, nil, "dfm chat approvals", 32)
		if err != nil {
			return nil, fmt.Errorf("derive the secret of approvals: %w", err)
		}
		config.Secret = secret
	}
	return chat.New(config)
}

// chatDoor judges who may use the chat: an API key with the scope chat, or the
// admin secret.
type chatDoor struct {
	keys   *auth.Keys
	admin  *auth.Guard
	config MCPConfig
}

func (d chatDoor) authenticate(r *http.Request) (chat.Caller, error) {
	key, err := d.keys.Authenticate(r.Context(), auth.BearerOrHeader(r, ""), auth.ScopeChat)
	var limited *auth.RateLimitedError
	switch {
	case err == nil:
		return d.caller(key.Actor(), key.Name), nil
	case errors.As(err, &limited):
		return chat.Caller{}, rateLimited{limited}
	case !errors.Is(err, auth.ErrUnauthorized):
		return chat.Caller{}, err
	}
	actor, err := d.admin.Admit(r)
	if errors.As(err, &limited) {
		return chat.Caller{}, rateLimited{limited}
	}
	if err != nil {
		return chat.Caller{}, err
	}
	return d.caller(actor, actor), nil
}

// caller returns somebody with what the settings grant to him, which is what the
// same one has at the MCP server.
func (d chatDoor) caller(id, name string) chat.Caller {
	tools := d.config.caller(id, name)
	tools.Records = true
	return chat.Caller{Owner: id, Tools: tools}
}

// chatObserver feeds the metrics.
type chatObserver struct{ metrics *observe.Metrics }

// Turn implements chat.Observer.
func (o chatObserver) Turn(vendor, reason string, took time.Duration) {
	o.metrics.ChatTurn(vendor, reason, took)
}

// Tokens implements chat.Observer.
func (o chatObserver) Tokens(vendor string, input, output, costMicros int64) {
	o.metrics.ChatTokens(vendor, input, output, costMicros)
}

// consoleChat shows the chat in the console.
type consoleChat struct {
	chat *chat.Chat
	door chatDoor
}

// Serve implements console.Chat.
func (c consoleChat) Serve(w http.ResponseWriter, r *http.Request, owner string) {
	c.chat.Talk(w, r, c.door.caller(owner, owner))
}

// Forget implements console.Chat.
func (c consoleChat) Forget(ctx context.Context, owner, id string) error {
	return c.chat.Forget(ctx, owner, id)
}

// Model implements console.Chat.
func (c consoleChat) Model() string { return c.chat.ModelName() }

// Read implements console.Chat.
func (c consoleChat) Read(ctx context.Context, owner, id string) (console.Spoken, error) {
	found, err := c.chat.Read(ctx, owner, id)
	if err != nil {
		return console.Spoken{}, err
	}
	spoken := console.Spoken{ID: found.ID, Title: found.Title, Busy: found.Busy, InputTokens: found.InputTokens,
		OutputTokens: found.OutputTokens, CostMicros: found.CostMicros}
	waiting := map[string]string{}
	for _, q := range found.Waiting {
		waiting[q.CallID] = q.ApprovalID
	}
	for _, m := range found.Messages {
		if m.Role == llm.Tool {
			settleCalls(spoken.Lines, m.Parts)
			continue
		}
		line := console.SpokenLine{Mine: m.Role == llm.User, Note: m.Note}
		for _, p := range m.Parts {
			line.Text += p.Text
			if p.Call != nil {
				one := console.SpokenCall{ID: p.Call.ID, Tool: p.Call.Name, Arguments: p.Call.Arguments, State: "failed", Approval: waiting[p.Call.ID]}
				if one.Approval != "" {
					one.State = "waiting"
				} else if found.Busy {
					one.State = "open"
				}
				line.Calls = append(line.Calls, one)
			}
		}
		spoken.Lines = append(spoken.Lines, line)
	}
	return spoken, nil
}

// settleCalls puts results to the calls of the last line that made some.
func settleCalls(lines []console.SpokenLine, parts []llm.Part) {
	for i := len(lines) - 1; i >= 0; i-- {
		if lines[i].Mine || len(lines[i].Calls) == 0 {
			continue
		}
		for _, p := range parts {
			for j := range lines[i].Calls {
				one := &lines[i].Calls[j]
				if p.Result == nil || p.Result.CallID != one.ID {
					continue
				}
				one.Result, one.State, one.Approval = p.Result.Text, "done", ""
				switch {
				case p.Result.Code == "DECLINED", p.Result.Code == "NOT_APPROVED":
					one.State = "declined"
				case p.Result.IsError:
					one.State = "failed"
				}
			}
		}
		return
	}
}
