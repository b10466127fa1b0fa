package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// saying is a client whose person always answers the same.
func saying(action string, asked *[]string) *sdk.ClientOptions {
	return &sdk.ClientOptions{
		ElicitationHandler: func(_ context.Context, req *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
			*asked = append(*asked, req.Params.Message)
			return &sdk.ElicitResult{Action: action, Content: map[string]any{}}, nil
		},
	}
}

const deletion = `{"path":{"id":"7"}}`

func TestDeletionsAskAPersonFirst(t *testing.T) {
	for _, version := range []string{"2025-06-18", "2025-11-25", "2026-07-28"} {
		for action, sent := range map[string]int{"accept": 1, "decline": 0, "cancel": 0} {
			t.Run(version+" "+action, func(t *testing.T) {
				var asked []string
				r := newRig(t, document, nil)
				session := dial(t, r.listen(Door{}), "good", version, saying(action, &asked))
				result := call(t, session, deleteWidget, deletion)
				equal(t, "error", result.IsError, sent == 0)
				equal(t, "asked", len(asked), 1)
				contains(t, "question", asked[0], `DELETE /api/widgets/{id}`)
				contains(t, "question", asked[0], `{"path":{"id":"7"}}`)
				equal(t, "sent", len(r.upstream.reached()), sent)
				if sent == 0 {
					contains(t, "text", textOf(result), "the user said no")
				}
				// By name, through the same question.
				call(t, session, toolCall, `{"name":"`+deleteWidget+`","arguments":`+deletion+`}`)
				equal(t, "asked again", len(asked), 2)
				equal(t, "sent", len(r.upstream.reached()), sent)
			})
		}
	}
}

// In a well-known server of this kind the check stood behind the call, and the
// yes was an argument that the model filled in itself.
func TestWhoCannotAskMayNotDelete(t *testing.T) {
	r := newRig(t, document, nil)
	server := r.listen(Door{})
	result := call(t, dial(t, server, "good", "2025-11-25", nil), deleteWidget, deletion)
	equal(t, "error", result.IsError, true)
	contains(t, "text", textOf(result), "this client cannot ask")
	_, err := dial(t, server, "good", "2026-07-28", nil).CallTool(t.Context(), &sdk.CallToolParams{Name: deleteWidget, Arguments: json.RawMessage(deletion)})
	var wire *jsonrpc.Error
	if !errors.As(err, &wire) || wire.Code != sdk.CodeMissingRequiredClientCapabilities {
		t.Errorf("newest revision: %v", err)
	} else {
		contains(t, "data", string(wire.Data), `"elicitation"`)
	}
	equal(t, "sent", len(r.upstream.reached()), 0)
}

func TestAnOperatorMayAllowDeletingUnasked(t *testing.T) {
	caller := local()
	caller.Profile.Unconfirmed = true
	r := newRig(t, document, func(c *Config) { c.Local = caller })
	equal(t, "error", call(t, r.connect(nil), deleteWidget, deletion).IsError, false)
	equal(t, "sent", len(r.upstream.reached()), 1)
}

func TestWrongArgumentsAreNotAskedAbout(t *testing.T) {
	var asked []string
	r := newRig(t, document, nil)
	session := dial(t, r.listen(Door{}), "good", "2026-07-28", saying("accept", &asked))
	equal(t, "error", call(t, session, deleteWidget, `{}`).IsError, true)
	equal(t, "asked", len(asked), 0)
}

// byHand makes the rounds of the newest revision itself.
type byHand struct {
	t       testing.TB
	session *sdk.ClientSession
}

func handClient(t testing.TB, r *rig) byHand {
	return byHand{t, dial(t, r.listen(Door{}), "good", "2026-07-28", &sdk.ClientOptions{
		MultiRoundTrip: &sdk.MultiRoundTripOptions{Disabled: true},
		ElicitationHandler: func(context.Context, *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
			return nil, errors.New("not used")
		},
	})}
}

func (b byHand) call(tool, arguments, state, action string) (*sdk.CallToolResult, error) {
	params := &sdk.CallToolParams{Name: tool, Arguments: json.RawMessage(arguments), RequestState: state}
	if action != "" {
		params.InputResponses = sdk.InputResponseMap{askKey: &sdk.ElicitResult{Action: action}}
	}
	return b.session.CallTool(b.t.Context(), params)
}

func (b byHand) state(tool, arguments string) string {
	b.t.Helper()
	result, err := b.call(tool, arguments, "", "")
	if err != nil || !result.NeedsInput() || result.RequestState == "" {
		b.t.Fatalf("no question: %v %+v", err, result)
	}
	return result.RequestState
}

func TestAYesCountsForOneCallOnly(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	r := newRig(t, strings.ReplaceAll(document, `"x-auth-type":"requireAdmin"`, `"x-auth-type":"none"`), func(c *Config) { c.Clock = func() time.Time { return now } })
	client := handClient(t, r)
	state := client.state(deleteWidget, deletion)
	refused := func(what, tool, arguments, state string) {
		t.Helper()
		_, err := client.call(tool, arguments, state, "accept")
		var wire *jsonrpc.Error
		if !errors.As(err, &wire) || wire.Code != jsonrpc.CodeInvalidParams {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("other arguments", deleteWidget, `{"path":{"id":"8"}}`, state)
	refused("a changed state", deleteWidget, deletion, state+"x")
	refused("a longer life", deleteWidget, deletion, "zzzzzzzzz"+state[strings.Index(state, "."):])
	refused("no state of ours", deleteWidget, deletion, "yes")
	refused("empty parts", deleteWidget, deletion, "..")
	foreign := newConfirmations([]byte("another secret"), time.Now).issue("key:1", deleteWidget, []byte(deletion))
	refused("another secret", deleteWidget, deletion, foreign)
	other := r.server.confirm.issue("key:2", deleteWidget, []byte(deletion))
	refused("another caller's", deleteWidget, deletion, other)
	equal(t, "sent", len(r.upstream.reached()), 0)

	now = now.Add(confirmFor)
	refused("too late", deleteWidget, deletion, state)
	state = client.state(deleteWidget, deletion)
	if again, err := client.call(deleteWidget, deletion, state, ""); err != nil || !again.NeedsInput() {
		t.Errorf("without an answer it asks again: %v", err)
	}
	if result, err := client.call(deleteWidget, "{ \"path\" : {\"id\":\"7\"} }", state, "accept"); err != nil || result.IsError {
		t.Errorf("the yes does not count: %v", err)
	}
	equal(t, "sent", len(r.upstream.reached()), 1)
	refused("a second time", deleteWidget, deletion, state)
	equal(t, "sent", len(r.upstream.reached()), 0)
}
