package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/sandbox/alowareworld"
	"github.com/df-middleware/dfm/internal/sandbox/carrier"
	"github.com/df-middleware/dfm/internal/sandbox/ghlworld"
	"github.com/df-middleware/dfm/internal/sandbox/stage"
	"github.com/df-middleware/dfm/internal/store"
)

const (
	customerPhone = "+15005550111"
	ourPhone      = "+15005550199"
)

// texting is a program in the sandbox whose app is installed in GHL.
type textingWorld struct {
	*sandbox.World
	app   *App
	clock *skipping
}

func eachTexting(t *testing.T, test func(t *testing.T, w textingWorld)) {
	eachDatabase(t, func(t *testing.T, databaseURL string) { test(t, newTextingWorld(t, databaseURL, sandbox.Config{})) })
}

func newTextingWorld(t *testing.T, databaseURL string, config sandbox.Config) textingWorld {
	t.Helper()
	world, clock := newWorld(t, config), &skipping{}
	a := build(t, world, databaseURL, clock.now, map[string]string{"DFM_OWN_NUMBERS": ourPhone})
	a.texts.desk.Settle = time.Second // the sandbox has nothing under way that it answered
	start(t, world, a)
	state, err := a.sync.install.NewState()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.sync.install.Callback(t.Context(), world.GHL.IssueCode("Location"), state); err != nil {
		t.Fatal(err)
	}
	return textingWorld{world, a, clock}
}

// says is a text from the customer by way of the texting system.
func (w textingWorld) says(body string) string {
	return w.Carrier.Receive(carrier.DFHMAC, carrier.Text{From: customerPhone, To: ourPhone, Body: body})
}

func (w textingWorld) contact(t *testing.T) ghlworld.Contact {
	t.Helper()
	var found ghlworld.Contact
	eventually(t, 10*time.Second, func() error {
		contacts := w.GHL.ByPhone(customerPhone)
		if len(contacts) != 1 {
			return fmt.Errorf("%d contacts with the number", len(contacts))
		}
		found = contacts[0]
		return nil
	})
	return found
}

// texts waits until the contact's conversation holds n texts.
func (w textingWorld) conversation(t *testing.T, contactID string, n int) []ghlworld.Message {
	t.Helper()
	var messages []ghlworld.Message
	eventually(t, 10*time.Second, func() error {
		if messages = w.GHL.Messages(contactID); len(messages) != n {
			return fmt.Errorf("%d texts, want %d", len(messages), n)
		}
		return nil
	})
	return messages
}

func TestAStrangersTextsReachTheAgent(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		w.says("Hello, is the house still for sale?")
		w.says("see you this weekend") // D-27: the original took this for a STOP
		c := w.contact(t)
		messages := w.conversation(t, c.ID, 2)
		for _, m := range messages {
			if m.Direction != "inbound" || m.Type != "SMS" || m.AltID == "" || m.ProviderID != w.GHL.Settings().SMSProvider {
				t.Errorf("%+v", m)
			}
		}
		settle(t, w.World, w.app)
		if there, ok := w.Aloware.Contact(customerPhone); !ok || there.DNC {
			t.Errorf("in Aloware: %v, %+v", ok, there)
		}
		if c := w.contact(t); c.Blocked("SMS") {
			t.Error("an ordinary sentence opted somebody out")
		}
	})
}

// The registry says no before the delivery is answered; GHL and Aloware know
// within two seconds.
func TestAStopTakesEffectInItsOwnCommitAndEverywhereSoon(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		w.says("hello")
		c := w.contact(t)
		settle(t, w.World, w.app)
		body := encodeJSON(t, map[string]any{"type": "message.received", "messageId": "tx_stop", "direction": "inbound",
			"from": customerPhone, "to": ourPhone, "body": "STOP", "timestamp": time.Now().UTC().Format(time.RFC3339Nano)})
		w.app.queue.Stop(t.Context()) // nothing is worked: what is in the registry came with the delivery
		postOK(t, w.app.URL("web")+"/api/webhooks/texting", http.Header{"X-Texting-Signature": {w.Carrier.DFSignature(body)}}, body)
		states, err := w.app.store.Consents(t.Context(), customerPhone)
		if err != nil || states[customerPhone].Status != "opted_out" || states[customerPhone].CallStatus != "opted_out" {
			t.Fatalf("%+v, %v", states, err)
		}
		eventually(t, 2*time.Second, func() error {
			c, _ = w.GHL.Contact(c.ID)
			there, _ := w.Aloware.Contact(customerPhone)
			switch {
			case !c.Blocked("SMS") || !c.Blocked("Call"):
				return errors.New("GHL does not block")
			case !slices.Contains(c.Tags, "dnc-sms") && !slices.Contains(c.Tags, "DNC-SMS"):
				return fmt.Errorf("GHL has the tags %v", c.Tags)
			case !there.DNC:
				return errors.New("Aloware may still call")
			}
			return nil
		})
	})
}

// The opt-out of somebody whom nobody knew yet reaches the contact that is made
// for the text, so that the agent sees why.
func TestAStrangersStopBlocksTheContactThatIsMadeForIt(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		w.says("STOP")
		c := w.contact(t)
		w.conversation(t, c.ID, 1)
		eventually(t, 10*time.Second, func() error {
			if c, _ := w.GHL.Contact(c.ID); !c.Blocked("SMS") {
				return errors.New("GHL does not block")
			}
			if there, _ := w.Aloware.Contact(customerPhone); !there.DNC {
				return errors.New("Aloware may still call")
			}
			return nil
		})
	})
}

func TestAnAgentsTextIsSentOnceAndItsFateIsTold(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		w.says("hello")
		c := w.contact(t)
		settle(t, w.World, w.app)
		w.Verity.Next("send text", stage.LoseAnswer) // sent, and nobody heard
		m, err := w.GHL.AgentText(c.ID, "user1", "How can we help?", "https://example.test/plan.jpg")
		if err != nil {
			t.Fatal(err)
		}
		w.clock.skip(time.Minute)
		w.passing(t, func() error {
			sent := w.Verity.Texts()
			if len(sent) != 1 || sent[0].Repeats == 0 {
				return fmt.Errorf("sent %+v", sent)
			}
			return nil
		})
		sent := w.Verity.Texts()[0]
		if sent.To != customerPhone || sent.From != ourPhone || sent.IdempotencyKey != m.ID || sent.CorrelationID != m.ID || len(sent.MediaURLs) != 1 {
			t.Errorf("sent %+v", sent)
		}
		settle(t, w.World, w.app)
		// Verity reports it under the carrier's id (D-40), then its delivery.
		w.Carrier.Receive(carrier.DFHMAC, carrier.Text{ID: "carrier-1", From: ourPhone, To: customerPhone, Body: "How can we help?", Outbound: true})
		settle(t, w.World, w.app)
		w.Carrier.Report(carrier.DFHMAC, carrier.Report{Status: "delivered",
			Text: carrier.Text{ID: "carrier-1", From: ourPhone, To: customerPhone}})
		w.passing(t, func() error {
			for _, m := range w.GHL.Messages(c.ID) {
				if m.Direction == "outbound" && m.Status != "delivered" {
					return fmt.Errorf("the agent's text is %s", m.Status)
				}
			}
			return nil
		})
		w.conversation(t, c.ID, 2)
		if n := len(w.Verity.Texts()); n != 1 {
			t.Errorf("%d texts were sent", n)
		}
	})
}

func (w textingWorld) delivery(t *testing.T, contactID, messageID, body string) (int, []byte) {
	t.Helper()
	raw := encodeJSON(t, map[string]any{"contactId": contactID, "locationId": w.GHL.Settings().LocationID, "messageId": messageID,
		"type": "SMS", "phone": customerPhone, "message": body, "attachments": []string{}, "userId": "user1"})
	return w.post(t, raw, w.GHL.Sign(raw)), raw
}

func (w textingWorld) post(t *testing.T, raw []byte, signature string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.app.URL("web")+"/api/webhooks/ghl/provider-delivery", bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-GHL-Signature", signature)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// D-20: whoever knew the address could text anybody. D-74: a redelivered request
// texted twice.
func TestOnlyGHLCanHaveTextsSentAndEachOnce(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		w.says("hello")
		c := w.contact(t)
		settle(t, w.World, w.app)
		status, raw := w.delivery(t, c.ID, "message-000000000001", "once")
		for range 3 {
			status = max(status, w.post(t, raw, w.GHL.Sign(raw)))
		}
		if status != http.StatusOK {
			t.Fatalf("answered %d", status)
		}
		w.delivery(t, c.ID, "message-000000000001", "once") // another request for the same message
		for _, signature := range []string{"", "forged", w.GHL.Sign([]byte("something else")), "ghl-sandbox-webhook-secret"} {
			if status := w.post(t, bytes.Replace(raw, []byte("0001"), []byte("0002"), 1), signature); status != http.StatusUnauthorized {
				t.Errorf("signature %q was answered with %d", signature, status)
			}
		}
		settle(t, w.World, w.app)
		if sent := w.Verity.Texts(); len(sent) != 1 || sent[0].Repeats != 0 {
			t.Errorf("sent %+v", sent)
		}
	})
}

// An agent who writes at the moment of the STOP sees why it was not sent.
func TestAnAgentsTextAfterAStopIsRefusedVisibly(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		w.says("hello")
		c := w.contact(t)
		settle(t, w.World, w.app)
		w.Verity.Next("send text", stage.ServerError, stage.LoseRequest)
		if _, err := w.GHL.AgentText(c.ID, "user1", "Still interested?"); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, func() error {
			if w.Verity.CallsOf("send text") == 0 {
				return errors.New("not tried yet")
			}
			return nil
		})
		w.says("Stop texting me")
		w.worked(t)
		if n := len(w.Verity.Texts()); n != 0 {
			t.Errorf("%d texts went to somebody who said stop", n)
		}
		w.passing(t, func() error {
			for _, m := range w.GHL.Messages(c.ID) {
				if m.Direction == "outbound" && m.Status != "failed" {
					return fmt.Errorf("the agent's text is %s", m.Status)
				}
			}
			return nil
		})
	})
}

// passing asks until the answer is nil while time goes by some ten times as fast:
// waits are over soon, and no lease runs out under a worker.
func (w textingWorld) passing(t *testing.T, ask func() error) {
	t.Helper()
	last := time.Now()
	eventually(t, 30*time.Second, func() error {
		if time.Since(last) > 100*time.Millisecond {
			w.clock.skip(time.Second)
			last = time.Now()
		}
		return ask()
	})
}

// worked waits until no event is open.
func (w textingWorld) worked(t *testing.T) {
	t.Helper()
	w.passing(t, func() error {
		if open, _, err := w.app.store.Backlog(t.Context()); err != nil || open > 0 {
			return fmt.Errorf("%d events are open: %v", open, err)
		}
		return nil
	})
}

// With answers lost and requests refused on every way, each text is in the
// conversation once.
func TestAStormLogsNoTextTwice(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		w.says("first")
		c := w.contact(t)
		settle(t, w.World, w.app)
		w.SetMischief(stage.Mischief{RateLimited: 0.05, ServerError: 0.05, LoseAnswer: 0.25, LoseRequest: 0.05, DoubleWebhooks: 0.5,
			Operations: []string{"add inbound message", "list messages"}})
		const n = 6
		for i := range n {
			w.says(fmt.Sprintf("text %d", i))
			w.Carrier.Receive(carrier.Telnyx, carrier.Text{From: customerPhone, To: ourPhone, Body: fmt.Sprintf("other %d", i)})
		}
		if err := w.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.worked(t)
		w.Behave()
		seen := map[string]int{}
		for _, m := range w.GHL.Messages(c.ID) {
			seen[m.Body]++
		}
		for body, times := range seen {
			if times > 1 {
				t.Errorf("%q is there %d times", body, times)
			}
		}
		if len(seen) != 2*n+1 {
			t.Errorf("%d texts of %d", len(seen), 2*n+1)
		}
	})
}

func TestAlowaresTextsReachTheConversation(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		if _, err := w.Aloware.CreateContact(customerPhone, map[string]string{"first_name": "Dana"}); err != nil {
			t.Fatal(err)
		}
		c := w.contact(t)
		settle(t, w.World, w.app)
		if err := w.Aloware.ReceiveText(customerPhone, "please remove me from your list"); err != nil {
			t.Fatal(err)
		}
		m := w.conversation(t, c.ID, 1)[0]
		if m.Direction != "inbound" || !strings.Contains(m.Body, "remove me") {
			t.Errorf("%+v", m)
		}
		states, err := w.app.store.Consents(t.Context(), customerPhone)
		if err != nil || states[customerPhone].Status != "opted_out" {
			t.Errorf("%+v, %v", states, err)
		}
	})
}

func TestUnreadableTextsAreKept(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		w.Carrier.Receive(carrier.DFHMAC, carrier.Text{From: "12345", To: ourPhone, Body: "your code is 123456"})
		settle(t, w.World, w.app)
		events, err := w.app.store.Events(t.Context(), store.EventFilter{Status: df.Skipped, Limit: 10})
		if err != nil || len(events) != 1 || events[0].Reason == "" {
			t.Fatalf("%+v, %v", events, err)
		}
		if n := len(w.GHL.Contacts()); n != 0 {
			t.Errorf("%d contacts were made", n)
		}
	})
}

// D-30, D-31: a do-not-disturb that a person sets in GHL reached no other system.
func TestAFlagThatAPersonSetsIsAnOptOutEverywhere(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		w.says("hello")
		c := w.contact(t)
		settle(t, w.World, w.app)
		if err := w.GHL.SetDND(c.ID, "SMS", "active"); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, func() error {
			states, err := w.app.store.Consents(t.Context(), customerPhone)
			if there, _ := w.Aloware.Contact(customerPhone); err != nil || states[customerPhone].Status != "opted_out" || !there.DNC {
				return fmt.Errorf("%+v, %v, in Aloware %v", states, err, there.DNC)
			}
			return nil
		})
		settle(t, w.World, w.app)
		m, err := w.delivery(t, c.ID, "message-000000000009", "hello?")
		if m != http.StatusOK {
			t.Fatal(m, err)
		}
		settle(t, w.World, w.app)
		if n := len(w.Verity.Texts()); n != 0 {
			t.Errorf("%d texts were sent", n)
		}
	})
}

func TestACallAfterAnOptOutIsAnIncident(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		if _, err := w.Aloware.CreateContact(customerPhone, map[string]string{"first_name": "Dana"}); err != nil {
			t.Fatal(err)
		}
		body := encodeJSON(t, map[string]any{"type": "message.received", "messageId": "tx_old", "direction": "inbound", "from": customerPhone,
			"to": ourPhone, "body": "please stop calling me", "timestamp": time.Now().Add(-time.Hour).UTC().Format(time.RFC3339Nano)})
		postOK(t, w.app.URL("web")+"/api/webhooks/texting", http.Header{"X-Texting-Signature": {w.Carrier.DFSignature(body)}}, body)
		settle(t, w.World, w.app)
		w.Aloware.PlayCall(customerPhone, alowareworld.Call{})
		w.passing(t, func() error {
			incidents, err := w.app.store.Incidents(t.Context(), 10)
			if err != nil || len(incidents) != 1 || incidents[0].Scope != "call" {
				return fmt.Errorf("%+v, %v", incidents, err)
			}
			return nil
		})
	})
}

func (w textingWorld) admin(t *testing.T, path string) (int, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.app.URL("web")+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-DF-ADMIN-SECRET", "test-admin-secret")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, data
}

func TestTheAdminAPIShowsOptOutsAndTheirEvidence(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		w.says("STOP")
		settle(t, w.World, w.app)
		status, body := w.admin(t, "/api/admin/optouts?phone=(500)%20555-0111&status=opted_out")
		if status != http.StatusOK || !bytes.Contains(body, []byte(`"phoneNumber":"+15005550111"`)) || !bytes.Contains(body, []byte(`"nextCursor":null`)) {
			t.Errorf("%d %s", status, body)
		}
		for _, format := range []string{"json", "csv"} {
			status, evidence := w.admin(t, "/api/admin/optouts/evidence?phone=%2B15005550111&format="+format)
			if proof, err := consent.VerifyExport(bytes.NewReader(evidence)); status != http.StatusOK || err != nil || proof.Links == 0 {
				t.Errorf("%s: %d, %+v, %v", format, status, proof, err)
			}
		}
		for path, want := range map[string]int{
			"/api/admin/optouts/targets?phone=%2B15005550111": 200, "/api/admin/optouts/reviews": 200, "/api/admin/optouts/incidents": 200,
			"/api/admin/optouts?phone=hello": 400, "/api/admin/optouts?status=maybe": 400, "/api/admin/optouts?limit=0": 400,
			"/api/admin/optouts/evidence?from=yesterday": 400,
		} {
			if status, body := w.admin(t, path); status != want {
				t.Errorf("%s: %d %s", path, status, body)
			}
		}
		var out bytes.Buffer
		err := ExportOptOuts(t.Context(), w.app.config, Options{Log: slog.New(slog.DiscardHandler), Clock: time.Now}, ExportQuery{Format: "csv"}, &out)
		if w.app.store.Name() == "postgres" && (err != nil || out.Len() == 0) {
			t.Errorf("exported %d bytes, %v", out.Len(), err)
		}
	})
}

func TestTextingSettings(t *testing.T) {
	env := map[string]string{"TEXTING_TELNYX_PUBLIC_KEYS": "nonsense", "TEXTING_STANDARD_SECRETS": "whsec_AAAA", "DFM_OWN_NUMBERS": "12",
		"TEXTING_SYNC_TO_ALOWARE": "perhaps"}
	_, err := Load(func(name string) (string, bool) { value, ok := env[name]; return value, ok })
	for name := range env {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not complained about: %v", name, err)
		}
	}
}
