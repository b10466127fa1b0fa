package verity

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/verity/catalogue"
	"github.com/df-middleware/dfm/internal/verity/strictjson"
)

// Text is a text message to be sent by Verity.
type Text struct {
	To             df.Phone
	Body           string
	From           df.Phone // "" lets Verity choose
	MediaURLs      []string
	ConversationID string // Verity's, when known
	// MessageID is GHL's id of the message. It is the idempotency key and comes
	// back as correlationId, which is how our own text is recognised later.
	MessageID string
}

// TextReceipt is what Verity says when it takes a text. The id is Verity's own;
// the carrier's id comes only later, by webhook.
type TextReceipt struct {
	MessageID string
	ChatID    string
	Status    string
}

// CodeGate is the code of a text that the opt-out gate refused.
const CodeGate = "opted_out"

type textBody struct {
	To             df.Phone `json:"to"`
	Body           string   `json:"body"`
	From           df.Phone `json:"from,omitempty"`
	MediaURLs      []string `json:"mediaUrls,omitempty"`
	ConversationID string   `json:"conversationId,omitempty"`
	CorrelationID  string   `json:"correlationId,omitempty"`
}

// SendText sends a text, after the opt-out gate. Its errors are *df.CallError:
// Refused with CodeGate when the number has opted out, RetryLater when consent
// could not be read or Verity was not reached, Unclear when the text may have
// gone out. An unclear text is never to be sent again blindly.
func (c *Client) SendText(ctx context.Context, text Text) (TextReceipt, error) {
	const operation = "send text"
	body, err := json.Marshal(textBody{
		To: text.To, Body: text.Body, From: text.From, MediaURLs: text.MediaURLs,
		ConversationID: text.ConversationID, CorrelationID: text.MessageID,
	})
	if err != nil {
		return TextReceipt{}, asVerdict(operation, invalid("", "the text cannot be written as JSON"))
	}
	header := http.Header{}
	if text.MessageID != "" {
		header.Set("Idempotency-Key", text.MessageID)
	}
	response, err := c.Do(ctx, Request{Endpoint: catalogue.TextPath, Method: http.MethodPost, Body: body, Header: header})
	if err != nil {
		return TextReceipt{}, textVerdict(operation, err)
	}
	if err := c.verdict(operation, response, false); err != nil {
		return TextReceipt{}, err
	}
	receipt, ok := readReceipt(response.Body)
	if !ok {
		return TextReceipt{}, &df.CallError{
			Upstream: upstream, Operation: operation, Outcome: df.Unclear, Status: response.Status,
			Code: df.CodeGarbled, Message: "the answer does not say that the text was taken",
		}
	}
	return receipt, nil
}

// textVerdict tells "opted out" from "consent could not be read": both send
// nothing, but only the second may be asked again.
func textVerdict(operation string, err error) error {
	refused, isRefusal := errors.AsType[*df.Error](err)
	if !isRefusal || refused.Code != CodeOptedOut {
		return asVerdict(operation, err)
	}
	e := &df.CallError{
		Upstream: upstream, Operation: operation, Outcome: df.RetryLater,
		Code: df.CodeUnavailable, Message: "consent cannot be read", Err: err,
	}
	if inner, known := errors.AsType[*df.Error](refused.Err); known && inner.Code == CodeOptedOut {
		e.Outcome, e.Code, e.Message = df.Refused, CodeGate, "this number must not get texts"
	}
	return e
}

// readReceipt reads a 2xx answer. "success": false in it is no success, and an
// answer without any id is none either.
func readReceipt(body []byte) (TextReceipt, bool) {
	fields := object(body)
	if data := object(fields["data"]); len(data) > 0 && fields["messageId"] == nil && fields["id"] == nil {
		for name, value := range data {
			fields[name] = value
		}
	}
	if string(fields["success"]) == "false" {
		return TextReceipt{}, false
	}
	receipt := TextReceipt{ChatID: scalarText(fields["chatId"]), Status: scalarText(fields["status"])}
	for _, name := range []string{"messageId", "id"} {
		if receipt.MessageID == "" {
			receipt.MessageID = scalarText(fields[name])
		}
	}
	return receipt, receipt.MessageID != ""
}

func scalarText(raw json.RawMessage) string {
	switch strictjson.KindOf(raw) {
	case strictjson.Text, strictjson.Number:
		text, _ := scalar(raw)
		return text
	}
	return ""
}
