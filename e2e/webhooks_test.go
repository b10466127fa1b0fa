package e2e_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox"
)

const workflowSecret = "ghl-sandbox-webhook-secret"

func hmacOf(body []byte) string {
	mac := hmac.New(sha256.New, []byte(workflowSecret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// Contract §4, webhooks 1 to 5: proof, storage, answer, refusal, dedupe.
func TestTheContractOfWebhooks(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		world, env := newWorld(t)
		env["ALOWARE_WEBHOOK_BEARER"] = "e2e-aloware-bearer-96"
		p := serve(t, env.with(basics(databaseURL, t.TempDir())))
		t.Run("proof", func(t *testing.T) { proofs(t, world, p) })
		t.Run("answers", func(t *testing.T) { answers(t, world, p) })
		t.Run("dedupe", func(t *testing.T) { dedupes(t, world, p) })
		t.Run("size", func(t *testing.T) { sizes(t, world, p) })
		db := database(t, databaseURL)
		if n := number(t, db, `SELECT count(*) FROM webhook_events WHERE verified = '' OR lower(headers) LIKE '%authorization%'`); n > 0 {
			t.Errorf("%d events without a proof, or with credentials among their headers", n)
		}
	})
}

func proofs(t *testing.T, world *sandbox.World, p *process) {
	native := func() []byte {
		return fromGHL(world, "ContactUpdate", map[string]any{"id": "nobody" + uuid()[:8]}).body
	}
	flow := func() []byte {
		return encoded(map[string]any{"contact_id": "nobody" + uuid()[:8], "first_name": "Ada"})
	}
	dialler := func() []byte { return fromAloware("Contact-Updated", map[string]any{"id": 1, "notes": uuid()}).body }
	header := func(name, value string) http.Header { return http.Header{name: {value}} }
	tests := []struct {
		name, path string
		body       []byte
		prove      func(body []byte) http.Header
		status     int
	}{
		{"ed25519", "ghl", native(), func(b []byte) http.Header { return header("X-Ghl-Signature", world.GHL.Sign(b)) }, 200},
		{"ed25519 of other bytes", "ghl", native(), func(b []byte) http.Header { return header("X-Ghl-Signature", world.GHL.Sign(b[1:])) }, 401},
		{"hmac", "ghl", native(), func(b []byte) http.Header { return header("X-Ghl-Signature", hmacOf(b)) }, 200},
		{"hmac in Signature", "ghl", native(), func(b []byte) http.Header { return header("Signature", hmacOf(b)) }, 200},
		{"hmac of other bytes", "ghl", native(), func(b []byte) http.Header { return header("Signature", hmacOf(b[1:])) }, 401},
		{"retired signature without its key", "ghl", native(), func(b []byte) http.Header { return header("X-Wh-Signature", world.GHL.Sign(b)) }, 401},
		{"a wrong signature beside the right secret", "ghl", native(), func([]byte) http.Header {
			return http.Header{"X-Ghl-Signature": {"AAAA"}, "X-Ghl-Webhook-Secret": {workflowSecret}}
		}, 401},
		{"nothing", "ghl", native(), func([]byte) http.Header { return nil }, 401},
		{"shared secret", "ghl/workflow", flow(), func([]byte) http.Header { return header("X-Ghl-Webhook-Secret", workflowSecret) }, 200},
		{"wrong secret", "ghl/workflow", flow(), func([]byte) http.Header { return header("X-Ghl-Webhook-Secret", workflowSecret+"x") }, 401},
		{"no secret", "ghl/workflow", flow(), func([]byte) http.Header { return nil }, 401},
		{"basic with colons", "aloware", dialler(), func([]byte) http.Header { return basicHeader(basicUser, basicPass) }, 200},
		{"bearer", "aloware", dialler(), func([]byte) http.Header { return header("Authorization", "Bearer e2e-aloware-bearer-96") }, 200},
		{"basic cut at a colon", "aloware", dialler(), func([]byte) http.Header { return basicHeader(basicUser, "pass") }, 401},
		{"wrong user", "aloware", dialler(), func([]byte) http.Header { return basicHeader("E2E", basicPass) }, 401},
		{"nothing", "aloware", dialler(), func([]byte) http.Header { return nil }, 401},
	}
	for _, test := range tests {
		d := delivery{"/api/webhooks/" + test.path, test.prove(test.body), test.body}
		got := d.mustPost(t, p.web())
		if got.status != test.status {
			t.Errorf("%s, %s: answered %d %s", test.path, test.name, got.status, got.body)
		}
		if test.status == 401 && (got.Error.Code != "UNAUTHORIZED" || got.Success) {
			t.Errorf("%s, %s: refused with %s", test.path, test.name, got.body)
		}
	}
	older := fromAloware("Contact-Updated", map[string]any{"id": 2, "notes": uuid()})
	older.path = "/api/integrations/aloware/webhook"
	if got := older.mustPost(t, p.web()); got.status != http.StatusOK || got.Status != "accepted" {
		t.Errorf("the older path answers %d %s", got.status, got.body)
	}
	if got := call(t, http.MethodGet, p.web()+"/api/webhooks/ghl", nil, ""); got.status != http.StatusMethodNotAllowed {
		t.Errorf("GET answers %d", got.status)
	}
}

func answers(t *testing.T, world *sandbox.World, p *process) {
	workflow := http.Header{"X-Ghl-Webhook-Secret": {workflowSecret}}
	tests := []struct {
		name   string
		d      delivery
		answer string
		stored string // status of its row; "" for no row
	}{
		{"a known type about nobody", fromGHL(world, "ContactUpdate", map[string]any{"id": "nobody1"}), "accepted", "skipped"},
		{"an unknown type", fromGHL(world, "PlanetAligned", map[string]any{"id": "x"}), "accepted", "skipped"},
		{"a dotted name", fromGHL(world, "contact.update", map[string]any{"id": "nobody2"}), "accepted", "skipped"},
		{"no JSON", signedGHL(world, []byte("hello "+uuid())), "accepted", "skipped"},
		{"binary", signedGHL(world, []byte{0, 0xff, 0xfe, 1}), "accepted", "skipped"},
		{"a workflow", delivery{"/api/webhooks/ghl/workflow", workflow, encoded(map[string]any{"contact_id": "nobody3", "n": uuid()})}, "accepted", "skipped"},
		{"an empty object from GHL", signedGHL(world, []byte("{}")), "ignored", ""},
		{"an empty object from Aloware", delivery{"/api/webhooks/aloware", basicHeader(basicUser, basicPass), []byte("{}")}, "ignored", ""},
		{"Aloware's test", delivery{"/api/webhooks/aloware", basicHeader(basicUser, basicPass), []byte(`{"test_payload":true}`)}, "ignored", ""},
		{"an unknown Aloware event", fromAloware("Moon-Full", map[string]any{"id": uuid()}), "accepted", "skipped"},
		{"numbers as texts", fromAloware("contact_updated", map[string]any{"id": "31", "n": uuid()}), "accepted", "done"},
	}
	for _, test := range tests {
		got := test.d.mustPost(t, p.web())
		if got.status != http.StatusOK || !got.Success || got.Status != test.answer {
			t.Errorf("%s: answered %d %s", test.name, got.status, got.body)
			continue
		}
		if test.stored == "" {
			if got.EventID != "" || got.Reason == "" {
				t.Errorf("%s: answered %s", test.name, got.body)
			}
			continue
		}
		var event struct{ Status, Reason string }
		eventually(t, 10*time.Second, func() error {
			p.admin(http.MethodGet, "/api/admin/events/"+got.EventID, "", &event)
			if event.Status != test.stored {
				return fmt.Errorf("%s: stored as %s", test.name, event.Status)
			}
			return nil
		})
		if test.stored == "skipped" && event.Reason == "" {
			t.Errorf("%s: skipped without a reason", test.name)
		}
	}
}

func dedupes(t *testing.T, world *sandbox.World, p *process) {
	first := fromGHL(world, "ContactUpdate", map[string]any{"id": "nobody4", "city": "Rome"})
	id := first.mustPost(t, p.web()).EventID
	if again := first.mustPost(t, p.web()); again.Status != "duplicate" || again.EventID != id {
		t.Errorf("the same delivery again: %s", again.body)
	}
	// The same state with another delivery id is news, and the seed's key
	// (source, type, entity) must not swallow it.
	if later := fromGHL(world, "ContactUpdate", map[string]any{"id": "nobody4", "city": "Rome"}).mustPost(t, p.web()); later.Status != "accepted" || later.EventID == id {
		t.Errorf("a later event of the same contact: %s", later.body)
	}
	same := fromAloware("Contact-Updated", map[string]any{"id": 41, "notes": uuid()})
	id = same.mustPost(t, p.web()).EventID
	if again := same.mustPost(t, p.web()); again.Status != "duplicate" || again.EventID != id {
		t.Errorf("the same bytes within the window: %s", again.body)
	}
	other := fromAloware("Contact-Updated", map[string]any{"id": 41, "notes": uuid()})
	if later := other.mustPost(t, p.web()); later.Status != "accepted" {
		t.Errorf("other bytes: %s", later.body)
	}
}

func sizes(t *testing.T, world *sandbox.World, p *process) {
	sized := func(n int) delivery {
		body := fmt.Appendf(nil, `{"type":"ContactUpdate","id":"nobody5","webhookId":%q,"pad":"`, uuid())
		body = append(body, strings.Repeat("x", n-len(body)-2)+`"}`...)
		return signedGHL(world, body)
	}
	if got := sized(1<<20).mustPost(t, p.web()); got.status != http.StatusOK {
		t.Errorf("1 MiB is answered %d %.200s", got.status, got.body)
	}
	before, err := p.counts()
	if err != nil {
		t.Fatal(err)
	}
	if got := sized(1<<20+1).mustPost(t, p.web()); got.status != http.StatusRequestEntityTooLarge || got.Error.Code != "PAYLOAD_TOO_LARGE" {
		t.Errorf("a byte more is answered %d %.200s", got.status, got.body)
	}
	after, err := p.counts()
	if err != nil || after["ghl"]["received"] != before["ghl"]["received"] {
		t.Errorf("a refused body was kept: %v, %v", after["ghl"], err)
	}
}

// The dedupe window of bodies without an id ends.
func TestTheSameBytesAreNewsAfterTheWindow(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		_, env := newWorld(t)
		p := serve(t, env.with(basics(databaseURL, t.TempDir())).with(settings{"DFM_DEDUPE_WINDOW": "1s"}))
		d := fromAloware("Contact-Updated", map[string]any{"id": 51})
		id := d.mustPost(t, p.web()).EventID
		eventually(t, 10*time.Second, func() error {
			got := d.mustPost(t, p.web())
			if got.Status == "duplicate" && got.EventID == id {
				return fmt.Errorf("still a duplicate")
			}
			if got.Status != "accepted" {
				t.Fatalf("answered %s", got.body)
			}
			return nil
		})
	})
}

// No verifier is configured: the route takes nothing, unless it was told to.
func TestRoutesWithoutAVerifierFailClosed(t *testing.T) {
	t.Parallel()
	bare := basics(sqliteURL(t), t.TempDir())
	p := serve(t, bare)
	body := encoded(map[string]any{"type": "ContactUpdate", "id": "x", "webhookId": uuid()})
	calling := encoded(map[string]any{"event": "Contact-Updated", "body": map[string]any{"id": 5}})
	for path, header := range map[string]http.Header{
		"ghl": nil, "ghl/workflow": {"X-Ghl-Webhook-Secret": {""}}, "aloware": basicHeader("", ""),
	} {
		d := delivery{"/api/webhooks/" + path, header, body}
		if got := d.mustPost(t, p.web()); got.status != http.StatusUnauthorized {
			t.Errorf("%s takes anything: %d %s", path, got.status, got.body)
		}
	}
	p.stop()
	open := serve(t, basics(sqliteURL(t), t.TempDir()).with(settings{"DFM_ALLOW_UNSIGNED": "aloware"}))
	if got := (delivery{"/api/webhooks/aloware", nil, calling}).mustPost(t, open.web()); got.status != http.StatusOK {
		t.Errorf("aloware is allowed unsigned and answered %d %s", got.status, got.body)
	}
	if got := (delivery{"/api/webhooks/ghl", nil, body}).mustPost(t, open.web()); got.status != http.StatusUnauthorized {
		t.Errorf("ghl was not named and answered %d", got.status)
	}
}
