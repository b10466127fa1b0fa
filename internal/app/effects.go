package app

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/converge"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/effects"
	"github.com/df-middleware/dfm/internal/ghl"
	"github.com/df-middleware/dfm/internal/messages"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/texting"
	"github.com/df-middleware/dfm/internal/verity"
)

var _ converge.Effects = (*texts)(nil)

// Wants implements converge.Effects. GHL's own texts are looked at, since they
// may go to somebody who said stop, and nothing is done with them.
func (t *texts) Wants(e df.Event) (wanted, contact bool) {
	switch e.Notice.Kind {
	case df.KindProviderDelivery:
		return true, false
	case df.KindMessage:
		return true, e.Source != df.SourceGHL && t.desk.GHL != nil
	case df.KindMessageStatus:
		return e.Source != df.SourceGHL, false
	}
	return false, false
}

// Owner implements converge.Effects.
func (t *texts) Owner(ctx context.Context, e df.Event) (string, error) {
	text, reason := t.text(e)
	if reason != "" {
		return "", nil
	}
	return t.desk.Owner(ctx, text)
}

// Witness implements converge.Effects: it keeps the do-not-contact flags that an
// event carries, whatever the event is called, and notices a text or call to
// somebody who had said stop.
func (t *texts) Witness(ctx context.Context, personID string, e df.Event) error {
	contact, seen := e.Notice.Contact, t.contacted(e)
	flagged, err := t.flagged(ctx, e)
	if err != nil || !flagged && seen.Phone == "" {
		return err
	}
	return t.store.InTx(ctx, func(tx store.Tx) error {
		if seen.Phone != "" {
			seen.PersonID = personID
			if _, err := t.recorder.Detect(ctx, tx, seen); err != nil {
				return err
			}
		}
		if !flagged {
			return nil
		}
		heard := consent.Heard{Source: e.Source, EventID: e.ID, Notice: e.Notice, HeardAt: e.ReceivedAt, PersonID: personID}
		if heard.Notice.Phone == "" && contact.Phone() == "" {
			p, err := store.PersonByID(ctx, tx, personID)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			heard.Notice.Phone = p.Phone
		}
		_, err := t.recorder.Hear(ctx, tx, []consent.Heard{heard})
		return err
	})
}

// saw is converge.Handler's Saw: it keeps the do-not-contact flags of contacts
// that were read. Whoever set one may have done so while webhooks were lost, and
// then no event tells of it.
func (t *texts) saw(ctx context.Context, personID string, result converge.Result) error {
	var heard []consent.Heard
	for _, side := range []df.Side{df.SideGHL, df.SideAloware} {
		contact, ok := result.Seen[side]
		if !ok {
			continue
		}
		news, err := t.news(ctx, side, &contact)
		if err != nil {
			return err
		}
		if phone := cmp.Or(contact.Phone(), result.Person.Phone); news && phone != "" {
			heard = append(heard, consent.Heard{Source: df.Source(side), HeardAt: t.clock(), PersonID: personID, Read: true,
				Notice: df.Notice{ContactID: contact.ID, Phone: phone, Contact: &contact, OccurredAt: result.SeenAt}})
		}
	}
	if len(heard) == 0 {
		return nil
	}
	return t.store.InTx(ctx, func(tx store.Tx) error {
		_, err := t.recorder.Hear(ctx, tx, heard)
		return err
	})
}

// flagged reports whether the event carries do-not-contact flags that are not
// known yet.
func (t *texts) flagged(ctx context.Context, e df.Event) (bool, error) {
	return t.news(ctx, df.Side(e.Source), e.Notice.Contact)
}

// news reports whether a contact shows flags that are not known yet. Nearly every
// event of GHL's carries some, and nearly none is news.
func (t *texts) news(ctx context.Context, side df.Side, contact *df.Contact) (bool, error) {
	if contact == nil || contact.DoNotCall == nil && contact.DoNotText == nil {
		return false, nil
	}
	known, err := store.FlagsOf(ctx, t.store, side, contact.ID)
	news := known.AskedText != nil || known.AskedCall != nil || differs(contact.DoNotText, known.Text) || differs(contact.DoNotCall, known.Call)
	return news, err
}

func differs(now, was *bool) bool { return now != nil && (was == nil || *was != *now) }

// contacted is the text or call to a customer that an event reports, if any.
func (t *texts) contacted(e df.Event) consent.Contacted {
	c := consent.Contacted{Scope: consent.SMS, At: e.Notice.OccurredAt, SeenAt: e.ReceivedAt, Source: string(e.Source),
		MessageID: e.Notice.EntityID, EventID: e.ID}
	switch {
	case e.Source == df.SourceGHL && e.Notice.Kind == df.KindMessage:
		// What stands there through the API was logged by us, and seen then.
		if said := t.ghl.Said(e.Raw); !said.Text || !said.Outbound || strings.EqualFold(said.Source, "api") {
			return consent.Contacted{}
		}
		if t.provider != "" && t.ghl.Said(e.Raw).ProviderID == t.provider {
			return consent.Contacted{} // goes through our own gate
		}
		c.Phone = e.Notice.Phone
	case e.Source == df.SourceAloware && e.Notice.Kind == df.KindCall:
		said, ok := t.aloware.Communication(e.Raw)
		if !ok || !said.Outbound {
			return consent.Contacted{}
		}
		c.Scope, c.Phone, c.At = consent.Call, said.Contact, said.StartedAt
	case e.Notice.Kind == df.KindMessage:
		text, reason := t.text(e)
		if reason != "" || text.Direction != messages.Outbound || text.Status == messages.Unsent {
			return consent.Contacted{}
		}
		c.Phone, c.At = text.Customer, text.At
	}
	return c
}

// Do implements converge.Effects.
func (t *texts) Do(ctx context.Context, lease people.Lease, p people.Person, e df.Event) (converge.Outcome, error) {
	outcome, err := t.do(ctx, lease, p, e)
	return inLane(outcome), err
}

// inLane is an outcome in the words of converge, whose fields say who and where
// as well.
func inLane(o effects.Outcome) converge.Outcome {
	return converge.Outcome{Status: o.Status, Reason: o.Reason, Error: o.Error, RetryAt: o.RetryAt, Postponed: o.Postponed}
}

func (t *texts) do(ctx context.Context, lease people.Lease, p people.Person, e df.Event) (effects.Outcome, error) {
	if e.Notice.Kind == df.KindProviderDelivery {
		o := t.ghl.Outgoing(e.Raw)
		return t.desk.Deliver(ctx, lease, p, messages.Order{Event: e, MessageID: o.MessageID, ContactID: o.ContactID,
			Channel: o.Channel, To: o.Phone, Body: o.Body, Media: o.Attachments})
	}
	if e.Source == df.SourceGHL {
		return effects.Skipped("a message of GHL's own"), nil
	}
	text, reason := t.text(e)
	switch {
	case reason != "":
		return effects.Skipped(reason), nil
	case e.Notice.Kind == df.KindMessageStatus && text.Source == df.SourceTexting:
		return t.desk.Report(ctx, lease, p, text)
	}
	return t.desk.Record(ctx, lease, p, text)
}

// text reads a text, or a report about one, into the desk's form.
func (t *texts) text(e df.Event) (messages.Text, string) {
	if e.Source == df.SourceAloware {
		return t.alowareText(e)
	}
	provider, known := texting.ProviderOf(e.Route)
	if !known {
		return messages.Text{}, "not a text"
	}
	m, reason := t.texting.DecodeMessage(provider, e.Raw, e.Headers)
	text := messages.Text{Event: e, Source: df.SourceTexting, ID: m.MessageID, OtherIDs: m.OtherIDs, Correlation: m.CorrelationID,
		Direction: messages.Direction(m.Direction), Ours: m.Ours(), Body: m.Body, Status: messages.Status(m.Status),
		ErrorCode: m.ErrorCode, At: m.OccurredAt}
	text.Customer, _ = m.Customer()
	for _, media := range m.Media {
		text.Media = append(text.Media, media.URL)
	}
	return text, reason
}

// alowareStates are Aloware's words for how far a text came.
var alowareStates = map[string]messages.Status{"accepted": messages.Queued, "queued": messages.Queued, "sending": messages.Sending,
	"sent": messages.Sent, "delivered": messages.Delivered, "undelivered": messages.Unsent, "failed": messages.Unsent}

func (t *texts) alowareText(e df.Event) (messages.Text, string) {
	said, ok := t.aloware.Communication(e.Raw)
	switch {
	case !ok || said.Kind != df.KindMessage:
		return messages.Text{}, "not a text"
	case !said.Directed:
		return messages.Text{}, "does not say who wrote the text"
	case said.Contact == "":
		return messages.Text{}, "the customer's number cannot be read"
	}
	text := messages.Text{Event: e, Source: df.SourceAloware, ID: said.ID, Direction: messages.Inbound, Customer: said.Contact,
		Ours: said.Line, Body: said.Text, At: said.StartedAt}
	if said.Outbound {
		text.Direction, text.Status = messages.Outbound, alowareStates[said.Delivery]
		if said.Ending == "invalid" || said.Ending == "failed" { // the carrier refused it before sending
			text.Status = messages.Unsent
		}
	}
	return text, ""
}

// carried is the contact that an event carries; the store keeps the bytes only.
func (t *texts) carried(e df.Event) *df.Contact {
	switch {
	case e.Notice.Contact != nil:
		return e.Notice.Contact
	case e.Source == df.SourceAloware:
		return t.aloware.Decode(e.Raw).Contact
	case e.Source == df.SourceGHL && e.Notice.EntityType == "contact" && e.Route == "ghl/workflow":
		return t.ghl.DecodeWorkflow(e.Raw).Contact
	case e.Source == df.SourceGHL && e.Notice.EntityType == "contact":
		return t.ghl.Decode(e.Raw).Contact
	}
	return nil
}

// ghlTexts is GHL as the desk needs it. Texts are logged under our provider with
// our own app's token where the app is installed, else as plain ones: a Private
// Integration Token cannot act for a provider.
type ghlTexts struct {
	own        *ghl.Client
	provider   *ghl.Client // nil without an app
	providerID string
}

// Conversation implements messages.GHL.
func (g ghlTexts) Conversation(ctx context.Context, contactID string) (string, error) {
	found, err := g.own.FindConversation(ctx, contactID)
	if !df.IsCode(err, df.CodeNotFound) {
		return found.ID, err
	}
	made, err := g.own.CreateConversation(ctx, contactID)
	if outcome, _ := df.OutcomeOf(err); outcome == df.Refused {
		// Somebody else may have opened it meanwhile.
		if found, again := g.own.FindConversation(ctx, contactID); again == nil {
			return found.ID, nil
		}
	}
	return made.ID, err
}

// Log implements messages.GHL.
func (g ghlTexts) Log(ctx context.Context, l messages.Logging) (string, error) {
	message := ghl.InboundMessage{Type: "SMS", ConversationID: l.ConversationID, ContactID: l.ContactID, Body: l.Body,
		Attachments: l.Media, AltID: l.AltID, Direction: string(l.Direction), Date: l.At.UTC()}
	if g.provider != nil && g.providerID != "" {
		message.ProviderID = g.providerID
		logged, err := g.provider.AddInbound(ctx, message)
		if !df.IsCode(err, df.CodeUnconfigured) {
			return logged.MessageID, err
		}
		message.ProviderID = ""
	}
	logged, err := g.own.AddInbound(ctx, message)
	return logged.MessageID, err
}

// logPages bounds how far back a conversation is searched.
const logPages = 10

// Logged implements messages.GHL.
func (g ghlTexts) Logged(ctx context.Context, conversationID, altID string) (string, error) {
	cursor := ""
	for range logPages {
		page, next, err := g.own.ListMessages(ctx, conversationID, cursor)
		if err != nil {
			return "", err
		}
		for _, m := range page {
			if m.AltID == altID {
				return m.ID, nil
			}
		}
		if cursor = next; cursor == "" {
			return "", nil
		}
	}
	return "", &df.CallError{Upstream: "ghl", Operation: "look for logged text", Outcome: df.Refused, Code: df.CodeInvalid,
		Message: "the conversation is too long to be searched"}
}

// SetStatus implements messages.GHL.
func (g ghlTexts) SetStatus(ctx context.Context, messageID, status, reason string) error {
	if g.provider == nil {
		return &df.CallError{Upstream: "ghl", Operation: "set message status", Outcome: df.RetryLater, Code: df.CodeUnconfigured,
			Message: "only our own app may; set GHL_CLIENT_ID and install it"}
	}
	var why *ghl.StatusError
	if status == "failed" {
		why = &ghl.StatusError{Code: "not_delivered", Type: "texting", Message: reason}
	}
	return g.provider.SetMessageStatus(ctx, messageID, status, why)
}

// verityTexts is Verity as the desk needs it.
type verityTexts struct{ client *verity.Client }

// Send implements messages.Sender.
func (v verityTexts) Send(ctx context.Context, key string, to, from df.Phone, body string, media []string) (messages.Receipt, error) {
	receipt, err := v.client.SendText(ctx, verity.Text{To: to, From: from, Body: body, MediaURLs: media, MessageID: key})
	var call *df.CallError
	if errors.As(err, &call) && call.Code == verity.CodeGate {
		call.Code = messages.CodeOptedOut
	}
	// The same key with another text: ours went out already.
	if errors.As(err, &call) && call.Status == http.StatusConflict {
		call.Outcome, call.Message = df.Unclear, "Verity knows the key with another text"
	}
	return messages.Receipt{MessageID: receipt.MessageID, Status: receipt.Status}, err
}
