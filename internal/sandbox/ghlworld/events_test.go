package ghlworld

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"slices"
	"testing"
	"time"
)

func verifies(t *testing.T, b *bench, h hook) bool {
	t.Helper()
	text, err := b.PublicKeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(text))
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := base64.StdEncoding.DecodeString(h.header.Get("X-GHL-Signature"))
	return err == nil && ed25519.Verify(key.(ed25519.PublicKey), h.raw, signature)
}

func TestEventsAreFlatSignedAndTellWhatTheVendorsPageSays(t *testing.T) {
	b := set(t, nil)
	if _, err := b.CreateContact(map[string]string{"firstName": "Ada", "lastName": "Byron", "phone": "+15005550111"}, "hot"); err != nil {
		t.Fatal(err)
	}
	hooks := b.hooks("/events")
	h := hooks[0]
	if !verifies(t, b, h) {
		t.Error("the signature does not verify")
	}
	h.raw = append(h.raw, ' ')
	if verifies(t, b, h) {
		t.Error("the signature verifies other bytes")
	}
	for name, want := range map[string]any{
		"type": "ContactCreate", "locationId": "SandboxLocation00001", "name": "Ada Byron", "phone": "+15005550111",
		"timestamp": "2030-01-02T15:04:05.000Z", "appId": "656565656565656565656500", "dnd": false,
	} {
		if h.body[name] != want {
			t.Errorf("%s is %v, want %v", name, h.body[name], want)
		}
	}
	if id, _ := h.body["webhookId"].(string); len(id) != 36 {
		t.Errorf("webhookId %v", h.body["webhookId"])
	}
	for _, absent := range []string{"dateUpdated", "dndSettings", "data"} {
		if _, there := h.body[absent]; there {
			t.Errorf("%s does not belong into the event", absent)
		}
	}
}

func TestRetriesCarryTheSameBytes(t *testing.T) {
	b := set(t, nil)
	b.ears.codes = []int{500, 401}
	b.Emit("OpportunityCreate", map[string]any{"id": "o1", "contactId": "c1"})
	hooks := b.hooks("/events")
	if len(hooks) != 3 || string(hooks[0].raw) != string(hooks[2].raw) || hooks[0].body["webhookId"] != hooks[2].body["webhookId"] {
		t.Errorf("%d deliveries: %v", len(hooks), hooks)
	}
}

func TestApiWritesEcho(t *testing.T) {
	b := set(t, nil)
	id := dig(b.must(201, "POST", "/contacts/", `{"locationId":"SandboxLocation00001","phone":"+15005550111"}`), "contact", "id").(string)
	b.must(200, "PUT", "/contacts/"+id, `{"city":"Paris"}`)
	b.must(200, "DELETE", "/contacts/"+id, "")
	if got := b.types(); !slices.Equal(got, []string{"ContactCreate", "ContactUpdate", "ContactDelete"}) {
		t.Errorf("events %v", got)
	}
}

func TestPeopleCauseTheSameEvents(t *testing.T) {
	b := set(t, func(c *Config) { c.SingleEvents = true })
	k := b.contact(map[string]string{"phone": "+15005550111"})
	for _, err := range []error{
		b.EditContact(k.ID, map[string]string{"city": "Paris"}), b.EditCustom(k.ID, map[string]any{"cfLoan": 3}),
		b.AddTags(k.ID, "x"), b.RemoveTags(k.ID, "X"), b.SetDND(k.ID, "SMS", "active"), b.SetDNDAll(k.ID, true), b.DeleteContact(k.ID),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"ContactUpdate", "ContactUpdate", "ContactTagUpdate", "ContactTagUpdate", "ContactDndUpdate", "ContactDndUpdate", "ContactDelete"}
	if got := b.types(); !slices.Equal(got, want) {
		t.Errorf("events %v", got)
	}
	if err := b.EditContact(k.ID, nil); !errors.Is(err, ErrNoContact) {
		t.Errorf("editing a deleted contact: %v", err)
	}
}

func TestWorkflowPostIsSnakeCaseAndUnsigned(t *testing.T) {
	b := set(t, func(c *Config) { c.Listeners.WorkflowSecret = "s3cret" })
	k := b.contact(map[string]string{"firstName": "Ada", "phone": "+15005550111"}, "a", "b")
	if !b.RunWorkflow(k.ID, "Welcome", map[string]any{"event": "x"}) {
		t.Fatal("no contact")
	}
	h := b.hooks("/workflow")[0]
	if h.header.Get("X-GHL-Signature") != "" || h.header.Get("X-GHL-Webhook-Secret") != "s3cret" {
		t.Errorf("headers %v", h.header)
	}
	if h.body["contact_id"] != k.ID || h.body["tags"] != "a,b" || h.body["type"] != nil || dig(h.body, "customData", "event") != "x" {
		t.Errorf("got %s", h.raw)
	}
}

func TestAgentsTextIsPostedToTheProviderAndItsStatusComesLater(t *testing.T) {
	b := set(t, func(c *Config) { c.StatusGap = 5 * time.Second })
	k := b.contact(map[string]string{"phone": "+15005550111"})
	m, err := b.AgentText(k.ID, "user1", "hello")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.ears.mu.Lock()
	all := slices.Clone(b.ears.hooks)
	b.ears.mu.Unlock()
	i := slices.IndexFunc(all, func(h hook) bool { return h.path == "/delivery" })
	if i < 0 || !verifies(t, b, all[i]) {
		t.Fatal("no signed delivery post")
	}
	want := map[string]any{"contactId": k.ID, "locationId": "SandboxLocation00001", "messageId": m.ID, "type": "SMS",
		"phone": "+15005550111", "message": "hello", "attachments": []any{}, "userId": "user1"}
	got, _ := json.Marshal(all[i].body)
	expected, _ := json.Marshal(want)
	if string(got) != string(expected) {
		t.Errorf("got %s", got)
	}
	path := "/conversations/messages/" + m.ID + "/status"
	b.must(403, "PUT", path, `{"status":"delivered"}`) // a PIT is not the provider
	b.oauth()
	b.must(403, "PUT", path, `{"status":"delivered"}`) // too early
	b.clock.advance(6 * time.Second)
	b.must(422, "PUT", path, `{"status":"sent"}`)
	b.must(200, "PUT", path, `{"status":"failed","error":{"code":"30003","type":"carrier","message":"gone"}}`)
	if got := b.Messages(k.ID)[0]; got.Status != "failed" || got.ErrorCode != "30003" {
		t.Errorf("got %+v", got)
	}
	if err := b.SetDND(k.ID, "SMS", "active"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.AgentText(k.ID, "user1", "again"); !errors.Is(err, ErrRefused) {
		t.Errorf("texting over DND: %v", err)
	}
	b.must(400, "POST", "/conversations/messages", `{"type":"SMS","contactId":"`+k.ID+`","message":"x"}`)
}
