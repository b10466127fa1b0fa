package chat

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/verity/chat/llm"
	"github.com/df-middleware/dfm/internal/verity/mcp/toolset"
)

// Why a turn ended.
const (
	reasonEnd      = "end"
	reasonApproval = "approval" // a person is asked
	reasonSteps    = "steps"    // a limit
	reasonTokens   = "tokens"   // a limit
	reasonTime     = "time"     // a limit
	reasonLength   = "length"   // the reply was longer than allowed
	reasonRefusal  = "refusal"  // by the vendor's filter
	reasonStopped  = "stopped"  // whoever asked went away
	reasonFailed   = "failed"
)

// limitTexts are what a person reads when a limit ends a turn.
var limitTexts = map[string]string{
	reasonSteps:   "The answer took as many steps as it may and was stopped. Write “go on” to continue.",
	reasonTokens:  "The answer used as many tokens as it may and was stopped. Write “go on” to continue.",
	reasonTime:    "The answer took as long as it may and was stopped. Write “go on” to continue.",
	reasonLength:  "The reply was longer than allowed and is cut off. Write “go on” to continue.",
	reasonRefusal: "The model's vendor refused to answer this.",
}

var errTime = errors.New("the turn's time is over")

// turn is one answer as it is being made.
type turn struct {
	chat         *Chat
	who          Caller
	id           string
	conversation string
	h            *history
	out          outlet
	decided      map[string]string // of calls: stateApproved or stateDenied
	said         bool              // a person's message opened the turn

	mu    sync.Mutex
	bytes int // of results
	usage llm.Usage
	cost  int64
}

// outlet takes what happens in a turn. It is called by several goroutines.
type outlet interface {
	send(e event)
}

// begin opens a turn: it takes the conversation, keeps the person's message and
// settles the questions that were answered. What is wrong with the request shows
// here, before anything is streamed.
func (c *Chat) begin(ctx context.Context, who Caller, in input) (*turn, error) {
	now := c.Clock()
	t := &turn{chat: c, who: who, id: c.NewID(), conversation: in.conversation, decided: map[string]string{}, said: in.text != ""}
	if t.conversation == "" {
		t.conversation = c.NewID()
	}
	if in.text == "" { // answers a question of a conversation that must be there
		if _, err := c.Store.Conversation(ctx, who.Owner, t.conversation); err != nil {
			return nil, err
		}
	}
	err := c.Store.BeginTurn(ctx, store.Conversation{
		Owner: who.Owner, ID: t.conversation, Title: titleOf(in.text), Model: c.vendor + "/" + c.model,
		Turn: t.id, TurnUntil: now.Add(c.Limits.Time + time.Minute),
	}, now)
	if errors.Is(err, store.ErrState) {
		return nil, &df.Error{Code: "BUSY", Status: 409, Message: "an answer is being written in this conversation; wait for it or stop it"}
	}
	if err != nil {
		return nil, err
	}
	if err := t.open(ctx, in); err != nil {
		return nil, errors.Join(err, t.keep(ctx, store.Said{End: true}))
	}
	return t, nil
}

func (t *turn) open(ctx context.Context, in input) error {
	var err error
	if t.h, err = t.chat.history(ctx, t.who.Owner, t.conversation); err != nil {
		return err
	}
	if len(t.h.messages) == 0 {
		for _, m := range in.earlier {
			if err := t.add(ctx, m, ""); err != nil {
				return err
			}
		}
	}
	decisions := map[string]Decision{}
	for _, d := range in.decisions {
		decisions[rowID(d.ApprovalID)] = d
	}
	for _, call := range t.h.open() {
		row, waits := t.h.waiting(call)
		d, answered := decisions[row.ID]
		if !waits || !answered {
			continue
		}
		if err := t.chat.decide(ctx, row, call, d); err != nil {
			return err
		}
		delete(decisions, row.ID)
		t.decided[call.ID] = stateDenied
		if d.Approved {
			t.decided[call.ID] = stateApproved
		}
	}
	if len(decisions) > 0 {
		return errApproval
	}
	if len(t.decided) == 0 && in.text == "" {
		return badRequest("there is nothing to answer: send a message, or the answer to a question that waits")
	}
	return nil
}

// play makes the answer and says why it ended.
func (t *turn) play(ctx context.Context, in input) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, t.chat.Limits.Time, errTime)
	defer cancel()
	t.out.send(event{Type: "start", Conversation: t.conversation, Turn: t.id, continues: in.continues})
	waiting, err := t.resume(ctx)
	if err != nil {
		return reasonFailed, err
	}
	if in.text != "" {
		if err := t.add(ctx, llm.Message{Role: llm.User, Parts: []llm.Part{{Text: in.text}}}, ""); err != nil {
			return reasonFailed, err
		}
	} else if waiting {
		return reasonApproval, nil
	}
	for step := 1; ; step++ {
		switch {
		case ctx.Err() != nil:
			return ended(ctx), nil
		case step > t.chat.Limits.Steps:
			return reasonSteps, nil
		case t.usage.Input+t.usage.Output >= t.chat.Limits.Tokens:
			return reasonTokens, nil
		}
		reason, err := t.step(ctx)
		if reason != "" || err != nil {
			return reason, err
		}
	}
}

// step is one reply of the model and the calls in it. It returns why the turn
// ends, or "" when it goes on.
func (t *turn) step(ctx context.Context) (string, error) {
	t.out.send(event{Type: "step"})
	reply, err := t.chat.Model.Stream(ctx, llm.Prompt{
		System: system, Messages: t.chat.prompt(t.conversation, t.h), Tools: t.chat.definitions(t.who), MaxReply: t.chat.Limits.Reply,
	}, t.hear)
	note := ""
	if err != nil || reply.Stop == llm.StopRefusal {
		// Calls of a reply that broke off may be half of what was meant.
		reply.Parts = slices.DeleteFunc(reply.Parts, func(p llm.Part) bool { return p.Call != nil || p.Opaque != nil })
		note = noteFailed
		if ctx.Err() != nil {
			note = noteStopped
		}
	}
	if kept := t.count(ctx, reply, note); kept != nil {
		return reasonFailed, kept
	}
	if err != nil {
		if ctx.Err() != nil {
			return ended(ctx), nil
		}
		return reasonFailed, err
	}
	calls := reply.Calls()
	switch {
	case reply.Stop == llm.StopRefusal:
		return reasonRefusal, nil
	case len(calls) == 0 && reply.Stop == llm.StopLength:
		return reasonLength, nil
	case len(calls) == 0:
		return reasonEnd, nil
	}
	return t.call(ctx, calls)
}

func (t *turn) hear(d llm.Delta) {
	switch {
	case d.CallName != "":
		t.out.send(event{Type: "tool.start", Call: d.CallID, Tool: d.CallName})
	case d.CallID != "":
		t.out.send(event{Type: "tool.input", Call: d.CallID, Delta: d.Input})
	case d.Text != "":
		t.out.send(event{Type: "text.delta", Delta: d.Text})
	}
}

// count keeps a reply and what it cost.
func (t *turn) count(ctx context.Context, reply llm.Turn, note string) error {
	cost := t.chat.Price.cost(reply.Usage)
	t.usage.Input += reply.Usage.Input
	t.usage.Output += reply.Usage.Output
	t.cost += cost
	if t.chat.Observer != nil {
		t.chat.Observer.Tokens(t.chat.vendor, reply.Usage.Input, reply.Usage.Output, cost)
	}
	said := store.Said{InputTokens: reply.Usage.Input, OutputTokens: reply.Usage.Output, CostMicros: cost}
	if len(reply.Parts) > 0 {
		m := llm.Message{Role: llm.Assistant, Parts: reply.Parts}
		kept, err := row(m, note)
		if err != nil {
			return err
		}
		said.Messages = []store.ChatMessage{kept}
		t.h.add(m)
	}
	return t.keep(ctx, said)
}

// call runs what may be run and asks about the rest. It returns reasonApproval
// when a person has to answer first.
func (t *turn) call(ctx context.Context, calls []llm.Call) (string, error) {
	list := t.chat.prepare(ctx, t.who.Tools, calls)
	var asked []question
	for _, p := range list {
		t.announce(p)
		if p.prepared != nil && p.prepared.Approval {
			asked = append(asked, t.chat.ask(t.who.Owner, t.conversation, p.call))
			p.prepared.Note(ctx, "ASKED")
		}
	}
	t.run(ctx, list, func(p *pending) bool { return !p.prepared.Approval })
	if err := t.results(ctx, list, asked); err != nil {
		return reasonFailed, err
	}
	if len(asked) == 0 {
		return "", nil
	}
	for _, q := range asked {
		t.out.send(event{Type: "approval.request", Call: q.row.CallID, Tool: q.row.Tool, Approval: q.token, ExpiresAt: &q.row.ExpiresAt})
	}
	return reasonApproval, nil
}

func (t *turn) announce(p *pending) {
	e := event{Type: "tool.call", Call: p.call.ID, Tool: p.call.Name, Arguments: p.call.Arguments, Text: p.call.Wrote}
	if p.prepared != nil {
		e.Title, e.Effect = p.prepared.Title, p.prepared.Effect
	}
	t.out.send(e)
}

// results keeps what the calls came to and what is asked.
func (t *turn) results(ctx context.Context, list []*pending, asked []question) error {
	m := llm.Message{Role: llm.Tool}
	for _, p := range list {
		if p.result != nil {
			m.Parts = append(m.Parts, llm.Part{Result: p.result})
		}
	}
	var said store.Said
	if len(m.Parts) > 0 {
		note := ""
		if ctx.Err() != nil {
			note = noteStopped
		}
		kept, err := row(m, note)
		if err != nil {
			return err
		}
		said.Messages = []store.ChatMessage{kept}
		t.h.add(m)
	}
	for _, q := range asked {
		said.Approvals = append(said.Approvals, q.row)
		t.h.approvals = append(t.h.approvals, q.row)
	}
	return t.keep(ctx, said)
}

// resume goes on with calls that were left without results. It reports whether
// some still wait for an answer.
func (t *turn) resume(ctx context.Context) (waiting bool, err error) {
	calls := t.h.open()
	if len(calls) == 0 {
		return false, nil
	}
	list := t.chat.prepare(ctx, t.who.Tools, calls)
	for _, p := range list {
		_, asked := t.h.waiting(p.call)
		switch {
		case p.result != nil, t.decided[p.call.ID] == stateApproved:
		case t.decided[p.call.ID] == stateDenied:
			p.prepared.Note(ctx, "DECLINED")
			p.settle(toolset.Failure("DECLINED", "Nothing was done: the operator said no. Do not try another way unless asked to."), t.chat.Limits.Result)
		case t.said && asked:
			p.settle(toolset.Failure("NOT_APPROVED", "Nothing was done: the operator did not answer and went on. Read what was said."), t.chat.Limits.Result)
		case asked:
			waiting = true
		default:
			p.settle(toolset.Failure("INTERRUPTED", "The call was interrupted. It is not known whether it took effect: look before you repeat it."), t.chat.Limits.Result)
		}
	}
	t.run(ctx, list, func(p *pending) bool { return t.decided[p.call.ID] == stateApproved })
	return waiting, t.results(ctx, list, nil)
}

// ended says why a context ended.
func ended(ctx context.Context) string {
	if errors.Is(context.Cause(ctx), errTime) {
		return reasonTime
	}
	return reasonStopped
}

func (t *turn) add(ctx context.Context, m llm.Message, note string) error {
	kept, err := row(m, note)
	if err != nil {
		return err
	}
	t.h.add(m)
	return t.keep(ctx, store.Said{Messages: []store.ChatMessage{kept}})
}

// keepTime bounds one write of a conversation.
const keepTime = 10 * time.Second

// keep writes to the conversation, also when whoever asked has gone.
func (t *turn) keep(ctx context.Context, said store.Said) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer cancel()
	said.At = t.chat.Clock()
	return t.chat.Store.Say(ctx, t.who.Owner, t.conversation, t.id, said)
}
