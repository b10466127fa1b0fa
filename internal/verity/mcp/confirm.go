package mcp

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/verity/mcp/toolset"
)

// confirmFor is how long a person may think about a question.
const confirmFor = 5 * time.Minute

// maxSpent bounds the answered questions that are remembered.
const maxSpent = 100_000

// confirmations makes and judges the state that a question carries: it is bound
// to the caller, the tool and the exact arguments, ends after confirmFor, and
// counts once.
type confirmations struct {
	secret []byte
	clock  df.Clock

	mu    sync.Mutex
	spent map[string]time.Time // nonce → when it ends anyway
}

func newConfirmations(secret []byte, clock df.Clock) *confirmations {
	return &confirmations{secret: secret, clock: clock, spent: map[string]time.Time{}}
}

// issue returns the state of a new question: end, nonce and signature.
func (c *confirmations) issue(caller, tool string, arguments []byte) string {
	end := strconv.FormatInt(c.clock().Add(confirmFor).UnixMilli(), 36)
	nonce := rand.Text()
	return end + "." + nonce + "." + c.sign(end, nonce, caller, tool, arguments)
}

func (c *confirmations) sign(end, nonce, caller, tool string, arguments []byte) string {
	var compact bytes.Buffer
	if json.Compact(&compact, arguments) != nil {
		compact.Write(arguments)
	}
	sum := sha256.Sum256(compact.Bytes())
	mac := hmac.New(sha256.New, c.secret)
	for _, part := range []string{"confirm", end, nonce, caller, tool, string(sum[:])} {
		mac.Write([]byte(strconv.Itoa(len(part)) + ":" + part))
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

var (
	errState   = errors.New("the state of the confirmation is not ours, or belongs to another call")
	errExpired = errors.New("the confirmation came too late")
	errSpent   = errors.New("the confirmation has been used already")
)

// accept judges a state that came back, and spends it.
func (c *confirmations) accept(state, caller, tool string, arguments []byte) error {
	parts := strings.Split(state, ".")
	if len(parts) != 3 {
		return errState
	}
	if !hmac.Equal([]byte(parts[2]), []byte(c.sign(parts[0], parts[1], caller, tool, arguments))) {
		return errState
	}
	millis, err := strconv.ParseInt(parts[0], 36, 64)
	if err != nil {
		return errState
	}
	end, now := time.UnixMilli(millis), c.clock()
	if !now.Before(end) {
		return errExpired
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, used := c.spent[parts[1]]; used {
		return errSpent
	}
	c.forget(now)
	c.spent[parts[1]] = end
	return nil
}

// forget drops what has ended; when too much has not, all of it.
func (c *confirmations) forget(now time.Time) {
	if len(c.spent) < maxSpent {
		return
	}
	for nonce, end := range c.spent {
		if !now.Before(end) {
			delete(c.spent, nonce)
		}
	}
	if len(c.spent) >= maxSpent {
		clear(c.spent)
	}
}

// askKey names the question among a request's inputs.
const askKey = "confirm"

// askFirst lets a call pass that a person has agreed to. Otherwise it returns
// the question, or a failure, or where the client has nobody to ask the error
// that the protocol has for it.
func (s *Server) askFirst(req *sdk.CallToolRequest, caller Caller, t *toolset.Tool, arguments json.RawMessage) (result toolset.Result, asked *sdk.CallToolResult, err error) {
	if req.Params.RequestState != "" {
		return s.answered(req, caller, t, arguments)
	}
	capabilities := req.ClientCapabilities()
	if capabilities == nil || capabilities.Elicitation == nil {
		return s.nobodyToAsk(req, t)
	}
	return toolset.Result{}, &sdk.CallToolResult{
		InputRequests: sdk.InputRequestMap{askKey: &sdk.ElicitParams{
			Mode: "form", Message: question(t, arguments),
			RequestedSchema: json.RawMessage(`{"type":"object","properties":{}}`),
		}},
		RequestState: s.confirm.issue(caller.ID, t.Name, arguments),
	}, nil
}

// maxShown is how much of the arguments a question shows.
const maxShown = 600

func question(t *toolset.Tool, arguments json.RawMessage) string {
	shown := string(arguments)
	if len(shown) > maxShown {
		shown = strings.ToValidUTF8(shown[:maxShown], "") + "…"
	}
	return "May " + t.Title + " (" + t.Operation.Method + " " + t.Operation.Path + ") run? It deletes or cannot be undone. Arguments: " + shown
}

func (s *Server) nobodyToAsk(req *sdk.CallToolRequest, t *toolset.Tool) (toolset.Result, *sdk.CallToolResult, error) {
	if req.ProtocolVersion() < firstStateless {
		return toolset.Failure("CONFIRMATION_IMPOSSIBLE", "Nothing was done: %s needs a person's yes, and this client cannot ask for it. "+
			"Tell the user to do it elsewhere, or an operator to let this caller delete unasked.", t.Name), nil, nil
	}
	data, err := json.Marshal(sdk.MissingRequiredClientCapabilityData{
		RequiredCapabilities: &sdk.ClientCapabilities{Elicitation: &sdk.ElicitationCapabilities{Form: &sdk.FormElicitationCapabilities{}}},
	})
	if err != nil {
		return toolset.Result{}, nil, err
	}
	return toolset.Result{}, nil, &jsonrpc.Error{
		Code: sdk.CodeMissingRequiredClientCapabilities, Data: data,
		Message: "this operation needs a person's confirmation, and the client cannot ask for it",
	}
}

func (s *Server) answered(req *sdk.CallToolRequest, caller Caller, t *toolset.Tool, arguments json.RawMessage) (toolset.Result, *sdk.CallToolResult, error) {
	answer, given := req.Params.InputResponses[askKey].(*sdk.ElicitResult)
	if !given || answer == nil {
		// The client came back without the answer: ask again.
		req.Params.RequestState = ""
		return s.askFirst(req, caller, t, arguments)
	}
	if err := s.confirm.accept(req.Params.RequestState, caller.ID, t.Name, arguments); err != nil {
		return toolset.Result{}, nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: err.Error()}
	}
	if answer.Action != "accept" {
		return toolset.Failure("DECLINED", "Nothing was done: the user said no. Do not ask again unless the user wants it."), nil, nil
	}
	return toolset.Result{}, nil, nil
}
