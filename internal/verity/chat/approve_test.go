package chat

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/df-middleware/dfm/internal/sandbox/llmworld"
)

const deleteW1 = `{"path":{"id":"w1"}}`

func yes(conversation, approval string, approved bool) string {
	return `{"conversationId":` + strconv.Quote(conversation) + `,"approvals":[{"approvalId":` + strconv.Quote(approval) + `,"approved":` + strconv.FormatBool(approved) + `}]}`
}

// asked lets the model want a deletion beside a reading call.
func asked(t *testing.T, r *rig) said {
	t.Helper()
	r.world.Script(calls(llmworld.Call{ID: "a", Name: listWidgets, Arguments: `{}`}, llmworld.Call{ID: "b", Name: deleteWidget, Arguments: deleteW1}))
	got := r.talk(message("c", "delete w1"))
	if got.reason() != reasonApproval || len(got.of("approval.request")) != 1 {
		t.Fatalf("%s %+v", got.reason(), got.events)
	}
	if seen := r.verity.reached(); len(seen) != 1 || seen[0] != "GET /api/widgets" {
		t.Fatalf("before the yes Verity saw %v", seen)
	}
	return got
}

func TestADeletionRunsAfterAYesAndOnlyOnce(t *testing.T) {
	r := newRig(t, nil)
	approval := asked(t, r).of("approval.request")[0].Approval
	r.world.Script(llmworld.Reply{Text: "It is gone."})
	got := r.talk(yes("c", approval, true))
	if got.text() != "It is gone." || len(got.of("tool.result")) != 1 {
		t.Errorf("%s %q", got.reason(), got.text())
	}
	if seen := r.verity.reached(); len(seen) != 1 || seen[0] != "DELETE /api/widgets/w1" {
		t.Errorf("Verity saw %v", seen)
	}
	last := r.world.Asked()[1]
	if results := last.Messages[2].Results; len(results) != 2 || results[1].CallID != "b" || results[1].IsError {
		t.Errorf("the model was told %+v", results)
	}
	if again := r.talk(yes("c", approval, true)); again.status != http.StatusConflict {
		t.Errorf("the same yes again: %d %s", again.status, again.body)
	}
	if seen := r.verity.reached(); len(seen) != 0 {
		t.Errorf("and Verity saw %v", seen)
	}
}

func TestANoIsToldToTheModel(t *testing.T) {
	r := newRig(t, nil)
	approval := asked(t, r).of("approval.request")[0].Approval
	r.world.Script(llmworld.Reply{Text: "As you wish."})
	got := r.talk(yes("c", approval, false))
	if got.text() != "As you wish." || got.of("tool.result")[0].Code != "DECLINED" || len(r.verity.reached()) != 0 {
		t.Errorf("%s %+v", got.text(), got.events)
	}
}

func TestGoingOnIsNoYes(t *testing.T) {
	r := newRig(t, nil)
	approval := asked(t, r).of("approval.request")[0].Approval
	r.world.Script(llmworld.Reply{Text: "All right."})
	if got := r.talk(message("c", "what is the weather?")); got.text() != "All right." || got.of("tool.result")[0].Code != "NOT_APPROVED" {
		t.Errorf("%s", got.reason())
	}
	if late := r.talk(yes("c", approval, true)); late.status != http.StatusConflict || len(r.verity.reached()) != 0 {
		t.Errorf("a yes after that: %d", late.status)
	}
}

func TestAYesIsForItsOwnCallOnly(t *testing.T) {
	r := newRig(t, nil)
	approval := asked(t, r).of("approval.request")[0].Approval
	parts := strings.Split(approval, ".")
	for name, forged := range map[string]string{
		"another signature": parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])),
		"a later end":       parts[0] + ".zzzzzzzzz." + parts[2],
		"another question":  "x." + parts[1] + "." + parts[2],
		"nothing":           "",
	} {
		if got := r.talk(yes("c", forged, true)); got.status != http.StatusConflict {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if got := r.talkAs("key:other", yes("c", approval, true)); got.status != http.StatusNotFound {
		t.Errorf("somebody else: %d", got.status)
	}
	// The stored call cannot be exchanged under the signature either.
	_, err := r.store.Exec(t.Context(), `UPDATE chat_messages SET parts = replace(parts, 'w1', 'w2') WHERE role = 'assistant'`)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.talk(yes("c", approval, true)); got.status != http.StatusConflict {
		t.Errorf("another widget: %d", got.status)
	}
	if seen := r.verity.reached(); len(seen) != 0 {
		t.Errorf("Verity saw %v", seen)
	}
}

func TestALateYesIsNone(t *testing.T) {
	r := newRig(t, nil)
	approval := asked(t, r).of("approval.request")[0].Approval
	r.clock.pass(approveFor)
	if got := r.talk(yes("c", approval, true)); got.status != http.StatusConflict || len(r.verity.reached()) != 0 {
		t.Errorf("%d", got.status)
	}
	r.world.Script(llmworld.Reply{Text: "on"})
	if got := r.talk(message("c", "go on")); got.text() != "on" {
		t.Errorf("going on: %s", got.reason())
	}
}

func TestAllQuestionsOfAReplyAreWaitedFor(t *testing.T) {
	r := newRig(t, nil)
	r.world.Script(calls(llmworld.Call{ID: "a", Name: deleteWidget, Arguments: deleteW1},
		llmworld.Call{ID: "b", Name: "call_operation", Arguments: `{"name":"` + deleteWidget + `","arguments":{"path":{"id":"w2"}}}`}))
	got := r.talk(message("c", "delete both"))
	questions := got.of("approval.request")
	if len(questions) != 2 {
		t.Fatalf("%+v", questions)
	}
	view, err := r.chat.Read(t.Context(), "admin", "c")
	if err != nil || len(view.Waiting) != 2 || view.Waiting[1].ApprovalID != questions[1].Approval {
		t.Fatalf("%+v, %v", view.Waiting, err)
	}
	if half := r.talk(yes("c", questions[1].Approval, true)); half.reason() != reasonApproval || len(r.world.Asked()) != 1 {
		t.Errorf("after one of two: %s", half.reason())
	}
	r.world.Script(llmworld.Reply{Text: "Both."})
	if whole := r.talk(yes("c", questions[0].Approval, false)); whole.text() != "Both." {
		t.Errorf("after both: %s", whole.reason())
	}
	if seen := r.verity.reached(); len(seen) != 1 || seen[0] != "DELETE /api/widgets/w2" {
		t.Errorf("Verity saw %v", seen)
	}
}

func TestADirectDeletionAsksToo(t *testing.T) {
	r := newRig(t, nil)
	const call = `{"toolName":"widgets_by_id_delete","arguments":{"path":{"id":"w1"}}`
	ask := func() string {
		var answer struct {
			Error struct {
				Code    string
				Details struct{ Approval string }
			}
		}
		got := r.talk(call + `}`)
		if json.Unmarshal([]byte(got.body), &answer) != nil || answer.Error.Code != "APPROVAL_REQUIRED" || len(r.verity.reached()) != 0 {
			t.Fatalf("%s", got.body)
		}
		return answer.Error.Details.Approval
	}
	approval := ask()
	for name, body := range map[string]string{
		"other arguments": `{"toolName":"widgets_by_id_delete","arguments":{"path":{"id":"w2"}},"approval":"` + approval + `"}`,
		"a forged one":    call + `,"approval":"a.b.c"}`,
	} {
		if got := r.talk(body); got.status != http.StatusConflict {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	if got := r.talk(call + `,"approval":"` + approval + `"}`); got.status != 200 || !strings.Contains(got.body, `"success":true`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := r.talk(call + `,"approval":"` + approval + `"}`); got.status != http.StatusConflict {
		t.Errorf("again: %d", got.status)
	}
	if seen := r.verity.reached(); len(seen) != 1 {
		t.Errorf("Verity saw %v", seen)
	}
}
