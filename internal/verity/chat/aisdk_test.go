//go:build conformance

package chat

import (
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/df-middleware/dfm/internal/sandbox/llmworld"
)

// The AI SDK is strict: it refuses a stream with a part or a field that it does
// not know. script/conformance installs it and says where it is.
func TestTheAISDKUnderstandsTheStream(t *testing.T) {
	if os.Getenv("AI_SDK") == "" {
		t.Fatal("AI_SDK is not set: run script/conformance")
	}
	r := newRig(t, nil)
	r.world.Script(
		calls(llmworld.Call{ID: "a", Name: listWidgets, Arguments: `{}`}, llmworld.Call{ID: "x", Name: listWidgets, Arguments: `{"query`},
			llmworld.Call{ID: "b", Name: deleteWidget, Arguments: deleteW1}),
		llmworld.Reply{Text: "It is gone."},
	)
	command := exec.CommandContext(t.Context(), os.Getenv("CONFORMANCE_NODE"), "testdata/aisdk.mjs", r.url+Path+"?protocol=ui", "delete w1")
	said, err := command.Output()
	if err != nil {
		if failed, ok := err.(*exec.ExitError); ok {
			t.Logf("%s", failed.Stderr)
		}
		t.Fatal(err)
	}
	var page struct {
		Errors   []string
		Messages []struct {
			Role  string
			Parts []struct{ Type, Text, State, ToolName string }
		}
	}
	if err := json.Unmarshal(said, &page); err != nil || len(page.Errors) > 0 {
		t.Fatalf("%v\n%s", err, said)
	}
	states := map[string]string{}
	text := ""
	for _, m := range page.Messages {
		for _, p := range m.Parts {
			if p.ToolName != "" {
				states[p.ToolName+" "+p.State] = p.Type
			}
			if m.Role == "assistant" {
				text += p.Text
			}
		}
	}
	for _, want := range []string{listWidgets + " output-available", listWidgets + " output-error", deleteWidget + " output-available"} {
		if states[want] != "dynamic-tool" {
			t.Errorf("no %s in %s", want, said)
		}
	}
	if len(page.Messages) != 2 || text != "I look.It is gone." {
		t.Errorf("%d messages, text %q: %s", len(page.Messages), text, said)
	}
	if seen := r.verity.reached(); len(seen) != 2 || seen[1] != "DELETE /api/widgets/w1" {
		t.Errorf("Verity saw %v", seen)
	}
}
