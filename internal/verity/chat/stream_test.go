package chat

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/sandbox/llmworld"
	"github.com/df-middleware/dfm/internal/verity/chat/llm"
)

// The order of parts is that of the AI SDK's protocol; script/conformance holds
// it to the SDK itself.
func TestTheStreamForPagesOpensAndClosesWhatItSays(t *testing.T) {
	r := newRig(t, nil)
	r.world.Script(calls(llmworld.Call{ID: "a", Name: listWidgets, Arguments: `{}`}, llmworld.Call{ID: "b", Name: deleteWidget, Arguments: deleteW1}))
	res := r.request(t.Context(), "admin", "POST", "?protocol=ui", message("c", "go"))
	if res.Header.Get(uiHeader) != "v1" {
		t.Errorf("headers %v", res.Header)
	}
	var kinds []string
	next := lines(res.Body)
	for line, ok := next(); ok; line, ok = next() {
		var p struct{ Type string }
		if line != "[DONE]" {
			if err := json.Unmarshal([]byte(line), &p); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			line = p.Type
		}
		if n := len(kinds); n == 0 || kinds[n-1] != line {
			kinds = append(kinds, line)
		}
	}
	<-r.turns.over
	want := "start data-conversation start-step text-start text-delta text-end tool-input-start tool-input-delta tool-input-start tool-input-delta " +
		"tool-input-available tool-output-available tool-approval-request finish-step data-usage finish [DONE]"
	if got := strings.Join(kinds, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if res := r.request(t.Context(), "admin", "POST", "?protocol=xml", message("c", "go")); res.StatusCode != 400 {
		t.Errorf("an unknown protocol: %d", res.StatusCode)
	}
}

// D: the original streamed the JSON of its options as text.
func TestOptionsAreButtonsAndEndTheTurn(t *testing.T) {
	r := newRig(t, nil)
	r.world.Script(llmworld.Reply{Text: "Which one?", Calls: []llmworld.Call{
		{ID: "a", Name: toolOptions, Arguments: `{"options":[{"label":"Blue","intent":"List blue widgets"},{"label":"Red","intent":"List red widgets"}]}`},
	}}, llmworld.Reply{Text: "Blue it is."})
	got := r.talk(message("c", "list widgets"))
	if shown := got.of("options"); len(shown) != 1 || len(shown[0].Options) != 2 || shown[0].Options[1].Intent != "List red widgets" {
		t.Errorf("%+v", got.events)
	}
	if got.reason() != reasonEnd || len(r.world.Asked()) != 1 {
		t.Errorf("%s after %d requests", got.reason(), len(r.world.Asked()))
	}
	if again := r.talk(message("c", "List blue widgets")); again.text() != "Blue it is." {
		t.Errorf("%s", again.reason())
	}
	r.world.Script(calls(llmworld.Call{ID: "b", Name: toolOptions, Arguments: `{"options":[{"label":"Only"}]}`}), llmworld.Reply{Text: "Sorry."})
	if wrong := r.talk(message("c", "go")); wrong.text() != "I look.Sorry." || len(wrong.of("options")) != 0 {
		t.Errorf("wrong options: %s %+v", wrong.reason(), wrong.events)
	}
}

func TestTheOtherVendorAsksAndGoesOnToo(t *testing.T) {
	r := newRig(t, nil)
	r.chat.Model = llm.OpenAI(llm.Config{BaseURL: r.models + "/v1", Model: "m", Key: df.Secret(r.world.Settings().OpenAIKey), Client: r.client})
	approval := asked(t, r).of("approval.request")[0].Approval
	r.world.Script(llmworld.Reply{Text: "It is gone."})
	if got := r.talk(yes("c", approval, true)); got.text() != "It is gone." {
		t.Errorf("%s %+v", got.reason(), got.of("error"))
	}
	if seen := r.verity.reached(); len(seen) != 1 || r.world.Asked()[1].Vendor != "openai" {
		t.Errorf("Verity saw %v", seen)
	}
}

func FuzzRequests(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `{"messages":"list_tools"}`, `{"message":"x","conversationId":"c"}`, `{"toolName":"t","arguments":{"a":1}}`,
		`{"messages":[{"role":"user","parts":[{"type":"text","text":"a"}]}]}`, `{"id":"c","messages":[{"role":"assistant","id":"m","parts":[{"type":"dynamic-tool","state":"approval-responded","approval":{"id":"a.b.c","approved":true}}]}]}`,
		`{"messages":[{"role":"system","content":"x"}]}`, `{"approvals":[{"approvalId":"a","approved":true}]}`, "\xff", `[[[[`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in, err := decode(data)
		if err != nil {
			if known := df.AsError(err); known.Status < 400 || known.Status >= 500 {
				t.Errorf("%q: %v", data, err)
			}
			return
		}
		switch in.mode {
		case modeList, modeTool:
		case modeTalk:
			if in.conversation != "" && !conversationID.MatchString(in.conversation) || in.text == "" && len(in.decisions) == 0 || len(in.text) > maxText {
				t.Errorf("%q came through as %+v", data, in)
			}
			if slices.ContainsFunc(in.earlier, func(m llm.Message) bool { return m.Role != llm.User && m.Role != llm.Assistant }) {
				t.Errorf("%q brought in %+v", data, in.earlier)
			}
		default:
			t.Errorf("%q has no mode", data)
		}
	})
}
