package llmworld

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// Config says how the vendors are set up. The zero value of each field gives a
// usable default.
type Config struct {
	Stage stage.Config

	AnthropicKey string        // "sk-ant-sandbox"
	OpenAIKey    string        // "sk-sandbox"
	Piece        int           // bytes of a piece of text or JSON; 7
	Pause        time.Duration // between pieces, so that people see it come
}

// Asked is a request, in one form for both vendors.
type Asked struct {
	Vendor   string // "anthropic", "openai"
	Model    string
	System   string
	Messages []Said
	Tools    []string
}

// Said is one message of a request.
type Said struct {
	Role    string // user, assistant, tool
	Text    string
	Calls   []Call
	Results []Result
}

// Call is a tool that the model calls. Arguments is what it writes, JSON or not.
type Call struct {
	ID        string // made when ""
	Name      string
	Arguments string
}

// Result is what a tool came to.
type Result struct {
	CallID  string
	Text    string
	IsError bool
}

// Reply is what the model says.
type Reply struct {
	Text  string
	Calls []Call
	Stop  string // the vendor's reason; what fits when ""
	// Status, when not 0, is answered instead, with the vendor's envelope.
	Status     int
	RetryAfter string
	// HangUp ends the connection after so many pieces; 0 never.
	HangUp int
	// Hold, when not nil, is waited for after the first piece, or for whoever
	// asks to go away.
	Hold    <-chan struct{}
	NoUsage bool // some compatible servers tell none
}

// World is both vendors. It is safe for concurrent use.
type World struct {
	*stage.Stage
	config Config

	mu     sync.Mutex
	script []Reply
	think  func(Asked) Reply
	asked  []Asked
	left   int // requests whose asker went away while they were answered
}

// New returns vendors that wait for requests.
func New(c Config) *World {
	for _, d := range []struct {
		to    *string
		value string
	}{{&c.Stage.Name, "llm"}, {&c.AnthropicKey, "sk-ant-sandbox"}, {&c.OpenAIKey, "sk-sandbox"}} {
		if *d.to == "" {
			*d.to = d.value
		}
	}
	if c.Piece == 0 {
		c.Piece = 7
	}
	w := &World{Stage: stage.New(c.Stage), config: c}
	w.Route("messages", "POST", "/v1/messages", w.messages)
	w.Route("chat completion", "POST", "/v1/chat/completions", w.completions)
	return w
}

// Settings returns the configuration with its defaults filled in.
func (w *World) Settings() Config { return w.config }

// Script adds replies, which are given in order, one for each request.
func (w *World) Script(replies ...Reply) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.script = append(w.script, replies...)
}

// Think sets what replies when the script is over.
func (w *World) Think(f func(Asked) Reply) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.think = f
}

// Asked returns the requests that were accepted, in order.
func (w *World) Asked() []Asked {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Asked(nil), w.asked...)
}

// Left returns how many requests were given up by whoever made them.
func (w *World) Left() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.left
}

// reply notes a request and finds what to say to it.
func (w *World) reply(a Asked) Reply {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, a)
	var r Reply
	switch {
	case len(w.script) > 0:
		r, w.script = w.script[0], w.script[1:]
	case w.think != nil:
		r = w.think(a)
	default:
		r = mind(a)
	}
	for i := range r.Calls {
		if r.Calls[i].ID == "" {
			prefix := map[string]string{"anthropic": "toolu_", "openai": "call_"}[a.Vendor]
			r.Calls[i].ID = prefix + w.ID(20)
		}
	}
	return r
}

// mind is what replies without a script.
func mind(a Asked) Reply {
	last := a.Messages[len(a.Messages)-1]
	if len(last.Results) > 0 {
		var b strings.Builder
		fmt.Fprintf(&b, "%d of my calls came back.", len(last.Results))
		for _, r := range last.Results {
			text := strings.Join(strings.Fields(r.Text), " ")
			if len(text) > 200 {
				text = strings.ToValidUTF8(text[:200], "") + "…"
			}
			b.WriteString("\n\n- " + text)
		}
		return Reply{Text: b.String()}
	}
	var calls []Call
	for line := range strings.SplitSeq(last.Text, "\n") {
		rest, isCall := strings.CutPrefix(strings.TrimSpace(line), "call ")
		name, arguments, _ := strings.Cut(rest, " ")
		if isCall && name != "" {
			if arguments = strings.TrimSpace(arguments); arguments == "" {
				arguments = "{}"
			}
			calls = append(calls, Call{Name: name, Arguments: arguments})
		}
	}
	if len(calls) > 0 {
		return Reply{Text: "I will look that up.", Calls: calls}
	}
	return Reply{Text: "I am the sandbox's language model and no more than a parrot. Write “call search_operations {\"query\":\"widgets\"}” and I will do that. You wrote: " + last.Text}
}

// stream hands out a reply piece by piece. It reports false when it ends before
// the reply does.
func (w *World) stream(rw http.ResponseWriter, r *http.Request, reply Reply, text string, send func(piece string)) bool {
	for n := 0; text != ""; n++ {
		if reply.HangUp > 0 && n == reply.HangUp {
			panic(http.ErrAbortHandler)
		}
		size := min(w.config.Piece, len(text))
		for size < len(text) && !utf8.RuneStart(text[size]) { // JSON cannot carry half a character
			size++
		}
		send(text[:size])
		text = text[size:]
		_ = http.NewResponseController(rw).Flush() // the reader may have gone, which the next lines notice
		if w.config.Pause > 0 {
			w.Wait(r, w.config.Pause)
		}
		if reply.Hold != nil {
			select {
			case <-reply.Hold:
			case <-r.Context().Done():
			}
		}
		if r.Context().Err() != nil {
			w.mu.Lock()
			w.left++
			w.mu.Unlock()
			return false
		}
	}
	return true
}

// quote writes a value as JSON.
func quote(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic("llmworld: " + err.Error()) // only our own maps of strings and numbers
	}
	return string(text)
}

// tokens guesses how many tokens a text is.
func tokens(text string) int { return len(text)/4 + 1 }

func (a Asked) tokens() int {
	n := tokens(a.System)
	for _, m := range a.Messages {
		n += tokens(m.Text)
		for _, r := range m.Results {
			n += tokens(r.Text)
		}
	}
	return n + 50*len(a.Tools)
}
