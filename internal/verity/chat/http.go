package chat

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/verity/chat/llm"
)

// Mux is what routes are added to, as to http.ServeMux.
type Mux interface {
	Handle(pattern string, handler http.Handler)
}

// Register puts the chat and its conversations on a mux.
func (c *Chat) Register(mux Mux) {
	mux.Handle("POST "+Path, c.as(c.talk))
	mux.Handle("GET "+Path+"/conversations", c.as(c.list))
	mux.Handle("GET "+Path+"/conversations/{id}", c.as(c.show))
	mux.Handle("DELETE "+Path+"/conversations/{id}", c.as(c.forget))
}

// as finds out who asks before anything is read.
func (c *Chat) as(next func(w http.ResponseWriter, r *http.Request, who Caller)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := c.Authenticate(r)
		if err != nil {
			c.fail(w, r, err)
			return
		}
		next(w, r, who)
	})
}

// Talk answers a request of somebody who is known already, as the console knows
// who is signed in.
func (c *Chat) Talk(w http.ResponseWriter, r *http.Request, who Caller) { c.talk(w, r, who) }

func (c *Chat) talk(w http.ResponseWriter, r *http.Request, who Caller) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		c.fail(w, r, &df.Error{Code: "PAYLOAD_TOO_LARGE", Status: http.StatusRequestEntityTooLarge, Message: "the request is larger than 2 MiB"})
		return
	}
	if err != nil {
		return // whoever asked has gone
	}
	in, err := decode(data)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	switch in.mode {
	case modeList:
		reply(w, http.StatusOK, c.listTools(who))
	case modeTool:
		answer, err := c.runTool(r.Context(), who, in)
		if err != nil {
			c.fail(w, r, err)
			return
		}
		reply(w, http.StatusOK, answer)
	default:
		c.converse(w, r, who, in)
	}
}

func (c *Chat) converse(w http.ResponseWriter, r *http.Request, who Caller, in input) {
	protocol, err := protocolOf(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if c.Model == nil {
		c.fail(w, r, errNoModel)
		return
	}
	if c.Limit != nil {
		if err := c.Limit.Take(r.Context(), who.Owner); err != nil {
			c.fail(w, r, err)
			return
		}
	}
	select {
	case c.turns <- struct{}{}:
		defer func() { <-c.turns }()
	default:
		c.fail(w, r, &df.Error{Code: "UNAVAILABLE", Status: http.StatusServiceUnavailable, Message: "there are too many answers under way; try again in a moment"})
		return
	}
	t, err := c.begin(r.Context(), who, in)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	out := newSSE(w, protocol)
	t.out = out
	ctx, cancel := c.untilStopped(r)
	defer cancel()
	c.finish(ctx, t, in)
	out.end(protocol)
}

// untilStopped returns the request's context, which also ends when its HTTP
// server begins to stop: an answer may take minutes, and would keep it from it.
func (c *Chat) untilStopped(r *http.Request) (context.Context, context.CancelFunc) {
	c.stopping.Do(func() {
		if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok {
			server.RegisterOnShutdown(sync.OnceFunc(func() { close(c.stopped) }))
		}
	})
	ctx, cancel := context.WithCancel(r.Context())
	go func() {
		select {
		case <-c.stopped:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// finish plays a turn and ends it, whatever happens in it.
func (c *Chat) finish(ctx context.Context, t *turn, in input) {
	started := c.Clock()
	reason, err := reasonFailed, error(nil)
	defer func() {
		if kept := t.keep(ctx, store.Said{End: true}); kept != nil {
			c.Log.ErrorContext(ctx, "the end of an answer cannot be kept", "error", kept)
		}
		if c.Observer != nil {
			c.Observer.Turn(c.vendor, reason, c.Clock().Sub(started))
		}
		t.out.send(event{Type: "done", Reason: reason, Usage: &usageView{t.usage.Input, t.usage.Output, t.cost}, Conversation: t.conversation})
	}()
	reason, err = t.play(ctx, in)
	switch {
	case err != nil:
		c.Log.WarnContext(ctx, "an answer failed", "vendor", c.vendor, "error", err)
		code, message := failureText(err)
		t.out.send(event{Type: "error", Code: code, Message: message})
	case limitTexts[reason] != "":
		t.out.send(event{Type: "error", Code: "LIMIT_" + strings.ToUpper(reason), Message: limitTexts[reason]})
	}
}

// failureText says what went wrong in words that hold nothing of the vendor's.
func failureText(err error) (code, message string) {
	call, ok := errors.AsType[*df.CallError](err)
	if !ok {
		known := df.AsError(err)
		return known.Code, known.Message
	}
	return "LLM_" + strings.ToUpper(call.Code), "The language model did not answer: " + call.Message + "."
}

// protocolOf returns the protocol that a client chose: ?protocol=, or the AI
// SDK's own header.
func protocolOf(r *http.Request) (string, error) {
	switch chosen := r.URL.Query().Get("protocol"); chosen {
	case protocolEvents, protocolUI:
		return chosen, nil
	case "":
	default:
		return "", badRequest("protocol must be events or ui")
	}
	if r.Header.Get(uiHeader) != "" {
		return protocolUI, nil
	}
	return protocolEvents, nil
}

type conversationView struct {
	ID           string    `json:"id"`
	Title        string    `json:"title"`
	Model        string    `json:"model"`
	InputTokens  int64     `json:"inputTokens"`
	OutputTokens int64     `json:"outputTokens"`
	CostMicros   int64     `json:"costMicros"`
	Busy         bool      `json:"busy"`
	CreatedAt    time.Time `json:"createdAt"`
	UpdatedAt    time.Time `json:"updatedAt"`
}

func (c *Chat) view(row store.Conversation) conversationView {
	return conversationView{row.ID, row.Title, row.Model, row.InputTokens, row.OutputTokens, row.CostMicros,
		row.Turn != "" && c.Clock().Before(row.TurnUntil), row.CreatedAt, row.UpdatedAt}
}

const pageSize = 50

func (c *Chat) list(w http.ResponseWriter, r *http.Request, who Caller) {
	var before time.Time
	if text := r.URL.Query().Get("cursor"); text != "" {
		micros, err := strconv.ParseInt(text, 36, 64)
		if err != nil {
			c.fail(w, r, badRequest("the cursor is not one of ours"))
			return
		}
		before = time.UnixMicro(micros)
	}
	rows, err := c.Store.Conversations(r.Context(), who.Owner, before, pageSize)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	views := make([]conversationView, len(rows))
	for i, row := range rows {
		views[i] = c.view(row)
	}
	var next any
	if len(rows) == pageSize {
		next = strconv.FormatInt(rows[len(rows)-1].UpdatedAt.UnixMicro(), 36)
	}
	reply(w, http.StatusOK, map[string]any{"success": true, "data": views, "nextCursor": next})
}

type messageView struct {
	Seq       int64      `json:"seq"`
	Role      llm.Role   `json:"role"`
	Parts     []llm.Part `json:"parts"`
	Note      string     `json:"note,omitempty"`
	CreatedAt time.Time  `json:"createdAt"`
}

func (c *Chat) show(w http.ResponseWriter, r *http.Request, who Caller) {
	view, err := c.Read(r.Context(), who.Owner, r.PathValue("id"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	reply(w, http.StatusOK, map[string]any{"success": true, "data": view})
}

// Conversation is one with everything in it.
type Conversation struct {
	conversationView
	Messages []messageView  `json:"messages"`
	Waiting  []questionView `json:"waiting"` // for a person's yes
}

type questionView struct {
	CallID     string    `json:"callId"`
	Tool       string    `json:"tool"`
	ApprovalID string    `json:"approvalId"`
	ExpiresAt  time.Time `json:"expiresAt"`
}

// Read returns a conversation of the owner, with the questions that wait, or
// store.ErrNotFound.
func (c *Chat) Read(ctx context.Context, owner, id string) (Conversation, error) {
	found, err := c.Store.Conversation(ctx, owner, id)
	if err != nil {
		return Conversation{}, err
	}
	rows, err := c.Store.ChatMessages(ctx, owner, id)
	if err != nil {
		return Conversation{}, err
	}
	h, err := c.history(ctx, owner, id)
	if err != nil {
		return Conversation{}, err
	}
	view := Conversation{conversationView: c.view(found), Messages: make([]messageView, len(rows)), Waiting: []questionView{}}
	for i, row := range rows {
		view.Messages[i] = messageView{row.Seq, llm.Role(row.Role), visible(h.messages[i].Parts), row.Note, row.CreatedAt}
	}
	for _, call := range h.open() {
		if row, waits := h.waiting(call); waits && c.Clock().Before(row.ExpiresAt) {
			view.Waiting = append(view.Waiting, questionView{call.ID, call.Name, c.token(row, call), row.ExpiresAt})
		}
	}
	return view, nil
}

// visible leaves out what only the vendor understands.
func visible(parts []llm.Part) []llm.Part {
	shown := []llm.Part{}
	for _, p := range parts {
		if p.Opaque == nil {
			shown = append(shown, p)
		}
	}
	return shown
}

func (c *Chat) forget(w http.ResponseWriter, r *http.Request, who Caller) {
	id := r.PathValue("id")
	if err := c.Forget(r.Context(), who.Owner, id); err != nil {
		c.fail(w, r, err)
		return
	}
	reply(w, http.StatusOK, map[string]any{"success": true, "data": map[string]string{"id": id}})
}

// Forget deletes a conversation.
func (c *Chat) Forget(ctx context.Context, owner, id string) error {
	if err := c.Store.DeleteConversation(ctx, owner, id); err != nil {
		return err
	}
	return c.Store.Audit(ctx, store.AuditRow{At: c.Clock(), Actor: owner, Action: "chat.delete", Target: id})
}

func (c *Chat) fail(w http.ResponseWriter, r *http.Request, err error) {
	known := df.AsError(err)
	var wait interface{ RetryAfter() time.Duration }
	switch {
	case errors.As(err, &wait):
		known = &df.Error{Code: "RATE_LIMITED", Status: http.StatusTooManyRequests, Message: "there were too many requests"}
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int((wait.RetryAfter()+time.Second-1)/time.Second))))
	case errors.Is(err, store.ErrNotFound):
		known = &df.Error{Code: "NOT_FOUND", Status: http.StatusNotFound, Message: "there is no such conversation"}
	}
	if known.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	if known.Status >= http.StatusInternalServerError {
		c.Log.ErrorContext(r.Context(), "a request to the chat failed", "error", err)
	}
	reply(w, known.Status, map[string]any{"success": false, "error": toolError{known.Code, known.Message, known.Details}})
}

func reply(w http.ResponseWriter, status int, value any) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // the reader may have gone
}
