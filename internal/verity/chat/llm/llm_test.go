package llm

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/sandbox/llmworld"
	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// vendors runs a test against both.
func vendors(t *testing.T, test func(t *testing.T, w *llmworld.World, m Model)) {
	t.Helper()
	for vendor, build := range map[string]func(Config) Model{VendorAnthropic: Anthropic, VendorOpenAI: OpenAI} {
		t.Run(vendor, func(t *testing.T) {
			t.Parallel()
			w, server := world(t)
			c := Config{BaseURL: server, Model: "m", Key: df.Secret(w.Settings().AnthropicKey), Client: client(t)}
			if vendor == VendorOpenAI {
				c.BaseURL, c.Key = server+"/v1", df.Secret(w.Settings().OpenAIKey)
			}
			test(t, w, build(c))
		})
	}
}

func world(t *testing.T) (*llmworld.World, string) {
	w := llmworld.New(llmworld.Config{Stage: stage.Config{Seed: 1, Clock: time.Now}})
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	return w, server.URL
}

func client(t *testing.T) *http.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func ask(text string) Prompt {
	return Prompt{System: "be brief", Messages: []Message{{Role: User, Parts: []Part{{Text: text}}}}, MaxReply: 100, Tools: []Definition{
		{Name: "look", Description: "looks", Schema: json.RawMessage(`{"type":"object","properties":{"q":{"type":"string"}},"$defs":{"x":{"type":"integer"}}}`)},
	}}
}

func text(t Turn) string {
	out := ""
	for _, p := range t.Parts {
		out += p.Text
	}
	return out
}

func TestThePiecesOfAReplyAreOneTurn(t *testing.T) {
	vendors(t, func(t *testing.T, w *llmworld.World, m Model) {
		w.Script(llmworld.Reply{Text: "Grüße aus Köln — I look.", Calls: []llmworld.Call{
			{ID: "a", Name: "look", Arguments: `{"q":"ein längerer Text mit 9007199254740993"}`},
			{ID: "b", Name: "look", Arguments: ``},
			{ID: "c", Name: "look", Arguments: `{"q":`},
		}})
		var heard, input string
		turn, err := m.Stream(t.Context(), ask("hi"), func(d Delta) {
			heard += d.Text
			if d.CallID == "a" {
				input += d.Input
			}
		})
		if err != nil || turn.Stop != StopCalls || text(turn) != "Grüße aus Köln — I look." || heard != text(turn) {
			t.Fatalf("%+v, %v; heard %q", turn, err, heard)
		}
		calls := turn.Calls()
		if len(calls) != 3 || calls[0].ID != "a" || string(calls[0].Arguments) != `{"q":"ein längerer Text mit 9007199254740993"}` || input != string(calls[0].Arguments) {
			t.Errorf("calls %+v, input %q", calls, input)
		}
		if string(calls[1].Arguments) != `{}` || calls[2].Arguments != nil || calls[2].Wrote != `{"q":` {
			t.Errorf("calls without arguments and with half of them: %+v", calls[1:])
		}
		if turn.Usage.Input < 10 || turn.Usage.Output < 2 {
			t.Errorf("usage %+v", turn.Usage)
		}
	})
}

// The vendors refuse a conversation in which a call has no result, a result no
// call, or roles do not alternate; the sandbox does so too.
func TestAConversationIsToldAsTheVendorWantsIt(t *testing.T) {
	vendors(t, func(t *testing.T, w *llmworld.World, m Model) {
		p := ask("hi")
		p.Messages = append(p.Messages,
			Message{Role: Assistant, Parts: []Part{
				{Opaque: &Opaque{Vendor: "another", Data: json.RawMessage(`{}`)}}, {Text: " "}, {Text: "I look."},
				{Call: &Call{ID: "a", Name: "look", Arguments: json.RawMessage(`{"q":"x"}`)}}, {Call: &Call{ID: "b", Name: "look", Wrote: `{"q`}},
			}},
			Message{Role: Tool, Parts: []Part{{Result: &Result{CallID: "a", Text: "found"}}, {Result: &Result{CallID: "b", Text: "no JSON", IsError: true}}}},
			Message{Role: User, Parts: []Part{{Text: "and now?"}}},
		)
		w.Script(llmworld.Reply{Text: "done"})
		turn, err := m.Stream(t.Context(), p, func(Delta) {})
		if err != nil || turn.Stop != StopEnd {
			t.Fatalf("%+v, %v", turn, err)
		}
		asked := w.Asked()[0]
		if asked.System != "be brief" || len(asked.Tools) != 1 || asked.Model != "m" {
			t.Errorf("asked %+v", asked)
		}
		var results []llmworld.Result
		for _, s := range asked.Messages {
			results = append(results, s.Results...)
		}
		if len(results) != 2 || results[0].CallID != "a" || results[0].Text != "found" || results[1].Text != "no JSON" {
			t.Errorf("results %+v", results)
		}
		if last := asked.Messages[len(asked.Messages)-1]; !strings.Contains(last.Text, "and now?") {
			t.Errorf("last %+v", last)
		}
	})
}

func TestWhyAReplyEndsIsTold(t *testing.T) {
	vendors(t, func(t *testing.T, w *llmworld.World, m Model) {
		vendor, _ := m.Name()
		stops := map[string]Stop{"max_tokens": StopLength, "refusal": StopRefusal, "stop_sequence": StopEnd}
		if vendor == VendorOpenAI {
			stops = map[string]Stop{"length": StopLength, "content_filter": StopRefusal}
		}
		for said, want := range stops {
			w.Script(llmworld.Reply{Text: "x", Stop: said})
			if turn, err := m.Stream(t.Context(), ask("hi"), func(Delta) {}); err != nil || turn.Stop != want {
				t.Errorf("%s: %+v, %v", said, turn, err)
			}
		}
	})
}

func TestAnOverloadedVendorIsAskedAgain(t *testing.T) {
	vendors(t, func(t *testing.T, w *llmworld.World, m Model) {
		w.Script(llmworld.Reply{Status: 529, RetryAfter: "0"}, llmworld.Reply{Status: 429, RetryAfter: "0"}, llmworld.Reply{Text: "here"})
		if turn, err := m.Stream(t.Context(), ask("hi"), func(Delta) {}); err != nil || text(turn) != "here" {
			t.Errorf("%+v, %v", turn, err)
		}
	})
}

func TestFailuresEndInAVerdictWithoutTheVendorsWords(t *testing.T) {
	vendors(t, func(t *testing.T, w *llmworld.World, m Model) {
		for status, want := range map[int]struct {
			code    string
			outcome df.Outcome
		}{400: {df.CodeInvalid, df.Refused}, 401: {df.CodeUnauthorized, df.Refused}, 404: {df.CodeNotFound, df.Refused}} {
			w.Script(llmworld.Reply{Status: status})
			_, err := m.Stream(t.Context(), ask("hi"), func(Delta) {})
			var call *df.CallError
			if !errors.As(err, &call) || call.Code != want.code || call.Outcome != want.outcome {
				t.Errorf("%d: %v", status, err)
			} else if strings.Contains(call.Error(), "verloaded") || strings.Contains(call.Error(), "server had") {
				t.Errorf("%d: the vendor's words: %v", status, err)
			}
		}
	})
}

func TestABrokenReplyKeepsWhatCame(t *testing.T) {
	vendors(t, func(t *testing.T, w *llmworld.World, m Model) {
		w.Script(llmworld.Reply{Text: "this is said and then the line goes dead", HangUp: 3})
		turn, err := m.Stream(t.Context(), ask("hi"), func(Delta) {})
		if !df.IsCode(err, df.CodeGarbled) || !strings.HasPrefix("this is said and then", text(turn)) || text(turn) == "" {
			t.Errorf("%+v, %v", turn, err)
		}
	})
}

func TestACancelledReplyIsCancelledAtTheVendor(t *testing.T) {
	vendors(t, func(t *testing.T, w *llmworld.World, m Model) {
		hold := make(chan struct{})
		defer close(hold)
		w.Script(llmworld.Reply{Text: "a long story that nobody waits for", Hold: hold})
		ctx, cancel := context.WithCancel(t.Context())
		turn, err := m.Stream(ctx, ask("hi"), func(d Delta) {
			if d.Text != "" {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) || text(turn) == "" {
			t.Errorf("%+v, %v", turn, err)
		}
		for w.Left() == 0 { // the vendor notices a moment later
			select {
			case <-time.After(time.Millisecond):
			case <-t.Context().Done():
				t.Fatal("the vendor was not told")
			}
		}
	})
}

func TestServersThatTellNoUsageAreEstimated(t *testing.T) {
	w, server := world(t)
	m := OpenAI(Config{BaseURL: server + "/v1", Model: "m", Key: df.Secret(w.Settings().OpenAIKey), Client: client(t)})
	w.Script(llmworld.Reply{Text: strings.Repeat("word ", 40), NoUsage: true})
	turn, err := m.Stream(t.Context(), ask("hi"), func(Delta) {})
	if err != nil || turn.Usage.Output < 40 || turn.Usage.Input < 5 {
		t.Errorf("%+v, %v", turn.Usage, err)
	}
}
