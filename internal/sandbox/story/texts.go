package story

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/carrier"
	"github.com/df-middleware/dfm/internal/sandbox/ghlworld"
)

// Texts is the story of a customer who texts, is answered and says stop.
func Texts() []Step {
	return []Step{
		{"The Marketplace app is installed in GoHighLevel", "OAuth with a signed state; the token may act as SMS provider", installed},
		{"A stranger texts: \"are you open? see you this weekend\"", "contact and conversation are made; \"weekend\" opts nobody out", strangerTexts},
		{"An agent answers in GoHighLevel and the answer gets lost", "sent once, from the number that was texted, and told as delivered", agentAnswers},
		{"GoHighLevel asks for the same text three times more", "a redelivered webhook sends nothing twice", askedAgain},
		{"The customer texts STOP", "in the registry before the webhook is answered, everywhere within 2 s", saysStop},
		{"Somebody posts a forged text order, and GoHighLevel a late one", "no signature, no text; no consent, no text, and the agent sees why", refusedTexts},
	}
}

const (
	customer = "+15005550141"
	ourLine  = "+15005550199"
)

func installed(ctx context.Context, s *Stage) (string, error) {
	var answer struct{ Data struct{ LocationID string } }
	status, err := s.call(ctx, http.MethodGet, s.Server.WebURL()+"/leadconnector/install", nil, nil, &answer)
	if err == nil && (status != http.StatusOK || answer.Data.LocationID == "") {
		err = fmt.Errorf("answered %d", status)
	}
	return "location " + answer.Data.LocationID, err
}

func strangerTexts(ctx context.Context, s *Stage) (string, error) {
	start := time.Now()
	s.World.Carrier.Receive(carrier.Twilio, carrier.Text{From: customer, To: ourLine, Body: "are you open? see you this weekend"})
	var m ghlworld.Message
	err := eventually(ctx, func() error {
		contact, err := s.customer()
		if err != nil {
			return err
		}
		messages := s.World.GHL.Messages(contact.ID)
		if len(messages) != 1 {
			return fmt.Errorf("%d messages in the conversation", len(messages))
		}
		m = messages[0]
		return nil
	})
	if err != nil {
		return "", err
	}
	took := time.Since(start)
	if err := s.quiet(ctx); err != nil {
		return "", err
	}
	contact, err := s.customer()
	switch {
	case err != nil:
		return "", err
	case contact.Blocked("SMS"):
		return "", errors.New("an ordinary sentence opted the customer out")
	case m.AltID == "" || m.Direction != "inbound":
		return "", fmt.Errorf("logged as %+v", m)
	}
	return fmt.Sprintf("in the conversation after %d ms, not opted out", took.Milliseconds()), nil
}

func (s *Stage) customer() (ghlworld.Contact, error) {
	contacts := s.World.GHL.ByPhone(customer)
	if len(contacts) != 1 {
		return ghlworld.Contact{}, fmt.Errorf("%d contacts have the number", len(contacts))
	}
	return contacts[0], nil
}

func agentAnswers(ctx context.Context, s *Stage) (string, error) {
	contact, err := s.customer()
	if err != nil {
		return "", err
	}
	s.World.Verity.Next("send text", "loseAnswer")
	m, err := s.World.GHL.AgentText(contact.ID, "user_story", "We are open from nine to five.")
	if err != nil {
		return "", err
	}
	s.text = m
	err = eventually(ctx, func() error {
		sent := s.World.Verity.Texts()
		switch {
		case len(sent) != 1:
			return fmt.Errorf("%d texts were sent", len(sent))
		case sent[0].Repeats == 0:
			return errors.New("the lost answer was not asked for again")
		case sent[0].From != ourLine:
			return fmt.Errorf("sent from %q", sent[0].From)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	// The carrier speaks of it under an id of its own, as our own text.
	text := carrier.Text{ID: "carrier-story-1", From: ourLine, To: customer, Body: m.Body, Outbound: true}
	s.World.Carrier.Receive(carrier.DFHMAC, text)
	if err := s.quiet(ctx); err != nil {
		return "", err
	}
	s.World.Carrier.Report(carrier.DFHMAC, carrier.Report{Text: text, Status: "delivered"})
	err = eventually(ctx, func() error {
		messages := s.World.GHL.Messages(contact.ID)
		if len(messages) != 2 {
			return fmt.Errorf("%d messages in the conversation", len(messages))
		}
		for _, one := range messages {
			if one.ID == m.ID && one.Status != "delivered" {
				return fmt.Errorf("the agent sees %q", one.Status)
			}
		}
		return nil
	})
	return "1 text, asked for twice, delivered; its echo recognised", err
}

// order posts what GHL posts when an agent sends a text.
func (s *Stage) order(ctx context.Context, contactID, messageID, body, signature string) (int, error) {
	raw, err := json.Marshal(map[string]any{"contactId": contactID, "locationId": s.World.GHL.Settings().LocationID,
		"messageId": messageID, "type": "SMS", "phone": customer, "message": body, "attachments": []string{}, "userId": "user_story"})
	if err != nil {
		return 0, err
	}
	if signature == "" {
		signature = s.World.GHL.Sign(raw)
	}
	return s.call(ctx, http.MethodPost, s.Server.WebURL()+"/api/webhooks/ghl/provider-delivery",
		http.Header{"X-Ghl-Signature": {signature}, "Content-Type": {"application/json"}}, bytes.Clone(raw), nil)
}

func askedAgain(ctx context.Context, s *Stage) (string, error) {
	before := s.World.Verity.CallsOf("send text")
	for range 3 {
		status, err := s.order(ctx, s.text.ContactID, s.text.ID, s.text.Body, "")
		if err != nil || status != http.StatusOK {
			return "", fmt.Errorf("answered %d: %w", status, err)
		}
	}
	if err := s.quiet(ctx); err != nil {
		return "", err
	}
	if calls := s.World.Verity.CallsOf("send text"); calls != before || len(s.World.Verity.Texts()) != 1 {
		return "", fmt.Errorf("%d further calls", calls-before)
	}
	return "3 more requests, 0 more calls, 1 text in all", nil
}

func saysStop(ctx context.Context, s *Stage) (string, error) {
	contact, err := s.customer()
	if err != nil {
		return "", err
	}
	s.World.Carrier.Receive(carrier.Telnyx, carrier.Text{From: customer, To: ourLine, Body: "STOP"})
	if err := s.World.Carrier.Settle(ctx); err != nil {
		return "", err
	}
	answered := time.Now()
	var registry struct {
		Data []struct{ Status, CallStatus, Source string }
	}
	if err := s.admin(ctx, http.MethodGet, "/api/admin/optouts?phone=%2B15005550141", &registry); err != nil {
		return "", err
	}
	if len(registry.Data) != 1 || registry.Data[0].Status != "opted_out" {
		return "", fmt.Errorf("the registry says %+v", registry.Data)
	}
	err = eventually(ctx, func() error {
		c, _ := s.World.GHL.Contact(contact.ID)
		there, ok := s.World.Aloware.Contact(customer)
		switch {
		case !c.Blocked("SMS") || !c.Blocked("Call"):
			return errors.New("GoHighLevel does not block")
		case !ok || !there.DNC:
			return errors.New("the dialer may still call")
		}
		return nil
	})
	took := time.Since(answered)
	if err == nil && took > 2*time.Second {
		err = fmt.Errorf("after %v", took)
	}
	return fmt.Sprintf("in the registry at once, in GoHighLevel and Aloware after %d ms", took.Milliseconds()), err
}

func refusedTexts(ctx context.Context, s *Stage) (string, error) {
	contact, err := s.customer()
	if err != nil {
		return "", err
	}
	status, err := s.order(ctx, contact.ID, "forged-message-00001", "cheap pills", "Zm9yZ2Vk")
	if err != nil || status != http.StatusUnauthorized {
		return "", fmt.Errorf("a forged order was answered with %d: %w", status, err)
	}
	m, err := s.World.GHL.AgentText(contact.ID, "user_story", "Just one more thing")
	if err == nil || !errors.Is(err, ghlworld.ErrRefused) {
		return "", fmt.Errorf("GoHighLevel let the agent text: %+v, %w", m, err)
	}
	// An order that left GoHighLevel before it knew.
	if status, err = s.order(ctx, contact.ID, "late-message-0000001", "Just one more thing", ""); err != nil || status != http.StatusOK {
		return "", fmt.Errorf("answered %d: %w", status, err)
	}
	if err := s.quiet(ctx); err != nil {
		return "", err
	}
	if n := len(s.World.Verity.Texts()); n != 1 {
		return "", fmt.Errorf("%d texts were sent", n)
	}
	return "401 for the forged one; the late one refused by the gate; nothing sent", nil
}
