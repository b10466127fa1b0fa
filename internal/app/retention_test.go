package app

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/retention"
	"github.com/df-middleware/dfm/internal/store"
)

func retentionOf(env map[string]string) (retention.Policy, error) {
	c, err := Load(func(name string) (string, bool) { value, ok := env[name]; return value, ok })
	return c.Retention, err
}

func TestThingsAreKeptAsLongAsTheSettingsSay(t *testing.T) {
	const day = 24 * time.Hour
	p, err := retentionOf(nil)
	if err != nil || p.Payloads[df.SourceGHL] != 90*day || p.History != 400*day || p.Records != 1827*day {
		t.Errorf("%+v, %v", p, err)
	}
	p, err = retentionOf(map[string]string{"DFM_RETENTION_PAYLOAD_DAYS": "30", "DFM_RETENTION_PAYLOAD_DAYS_TEXTING": "7",
		"DFM_RETENTION_HISTORY_DAYS": "60", "DFM_RETENTION_RECORD_DAYS": "0"})
	if err != nil || p.Payloads[df.SourceGHL] != 30*day || p.Payloads[df.SourceTexting] != 7*day || p.History != 60*day || p.Records != 0 {
		t.Errorf("%+v, %v", p, err)
	}
	for name, value := range map[string]string{"DFM_RETENTION_HISTORY_DAYS": "61", "DFM_RETENTION_RECORD_DAYS": "365", "DFM_RETENTION_PAYLOAD_DAYS": "-1"} {
		if _, err := retentionOf(map[string]string{name: value}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s is not complained about: %v", name, value, err)
		}
	}
}

// Who said stop and was erased is nobody we know, and still gets no text: not
// from us, and not from the systems that meet the number again.
func TestWhoWasErasedStaysOptedOut(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		ctx := t.Context()
		w.says("hello")
		c := w.contact(t)
		settle(t, w.World, w.app)
		w.says("STOP")
		eventually(t, 5*time.Second, func() error {
			if there, _ := w.Aloware.Contact(customerPhone); !there.DNC {
				return errors.New("Aloware was not told")
			}
			return nil
		})
		settle(t, w.World, w.app)
		row, err := store.PersonByContact(ctx, w.app.store, df.SideGHL, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		person := row.ID
		if err := w.GHL.DeleteContact(c.ID); err != nil {
			t.Fatal(err)
		}
		settle(t, w.World, w.app)
		path := "/api/admin/people/" + person + "/erase"
		status, counted := w.asks(t, path, map[string]any{})
		if status != 200 || !bytes.Contains(counted, []byte(`"dryRun":true`)) {
			t.Fatalf("%d %s", status, counted)
		}
		if status, body := w.asks(t, path, map[string]any{"dryRun": false, "reason": "a letter"}); status != 400 {
			t.Errorf("without a confirmation: %d %s", status, body)
		}
		eventually(t, 5*time.Second, func() error { // 409 until every system was told
			status, body := w.asks(t, path, map[string]any{"dryRun": false, "confirm": person, "reason": "a letter"})
			if status != 200 {
				return fmt.Errorf("%d %s", status, body)
			}
			return nil
		})
		if status, body := w.asks(t, path, map[string]any{}); status != 404 {
			t.Errorf("erased, and still: %d %s", status, body)
		}
		rows, err := w.app.store.ConsentRows(ctx, store.ConsentRowFilter{Phone: customerPhone, Limit: 9})
		if err != nil || len(rows) != 0 {
			t.Errorf("the number still stands in the registry: %+v, %v", rows, err)
		}
		if err := w.app.consent.gate.MayText(ctx, customerPhone); !errors.Is(err, consent.ErrOptedOut) {
			t.Errorf("the gate says %v", err)
		}
		if d := w.app.consent.gate.May(ctx, consent.Question{Channel: consent.ChannelList, Phone: customerPhone}); d.Allowed {
			t.Error("the number may be listed")
		}
		w.says("hello again") // makes a contact, who must not be texted either
		eventually(t, 5*time.Second, func() error {
			for _, again := range w.GHL.ByPhone(customerPhone) {
				if again.Blocked("SMS") && again.Blocked("Call") {
					return nil
				}
			}
			return errors.New("GHL does not block the new contact")
		})
		w.says("START")
		eventually(t, 5*time.Second, func() error { return w.app.consent.gate.MayText(ctx, customerPhone) })
	})
}
