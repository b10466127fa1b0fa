package chat

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/verity/chat/llm"
)

// approveFor is how long a person may think about a question.
const approveFor = 15 * time.Minute

// The states of an approval.
const (
	stateWaiting  = "waiting"
	stateApproved = "approved"
	stateDenied   = "denied"
)

// question is a call that waits for a person's yes.
type question struct {
	row   store.ChatApproval
	token string // row id, end and signature: what a client sends back
}

// ask makes the question for a call. The conversation is "" in direct mode.
func (c *Chat) ask(owner, conversation string, call llm.Call) question {
	now := c.Clock().UTC().Truncate(time.Millisecond)
	row := store.ChatApproval{
		ID: c.NewID(), Owner: owner, ConversationID: conversation, CallID: call.ID, Tool: call.Name,
		State: stateWaiting, CreatedAt: now, ExpiresAt: now.Add(approveFor),
	}
	return question{row, c.token(row, call)}
}

// token signs a question: whose it is, of which conversation, and the exact
// call. Nobody can approve anything else with it.
func (c *Chat) token(row store.ChatApproval, call llm.Call) string {
	end := strconv.FormatInt(row.ExpiresAt.UnixMilli(), 36)
	var compact bytes.Buffer
	if json.Compact(&compact, call.Arguments) != nil {
		compact.Write(call.Arguments)
	}
	sum := sha256.Sum256(compact.Bytes())
	mac := hmac.New(sha256.New, c.Secret)
	for _, part := range []string{"approve", row.ID, end, row.Owner, row.ConversationID, call.ID, call.Name, string(sum[:])} {
		mac.Write([]byte(strconv.Itoa(len(part)) + ":" + part))
	}
	return row.ID + "." + end + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Decision is a person's answer to a question.
type Decision struct {
	ApprovalID string `json:"approvalId"`
	Approved   bool   `json:"approved"`
}

var errApproval = &df.Error{Code: "INVALID_APPROVAL", Status: http.StatusConflict,
	Message: "this approval is not ours, belongs to another call, was used already or came too late"}

// decide settles the question that a decision answers, once. What it was asked
// about is in the row; the call is the one that is to be run now.
func (c *Chat) decide(ctx context.Context, row store.ChatApproval, call llm.Call, d Decision) error {
	if !hmac.Equal([]byte(d.ApprovalID), []byte(c.token(row, call))) {
		return errApproval
	}
	state := stateDenied
	if d.Approved {
		state = stateApproved
	}
	err := c.Store.DecideApproval(ctx, row.Owner, row.ID, state, c.Clock())
	if errors.Is(err, store.ErrState) {
		return errApproval
	}
	return err
}

// rowID returns the id within a token.
func rowID(token string) string {
	id, _, _ := strings.Cut(token, ".")
	return id
}
