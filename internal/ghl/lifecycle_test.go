package ghl

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

func lifecycleBody(kind, app, location, company string, sent time.Time) []byte {
	body := map[string]any{"type": kind, "appId": app}
	for name, value := range map[string]string{"locationId": location, "companyId": company} {
		if value != "" {
			body[name] = value
		}
	}
	if !sent.IsZero() {
		body["timestamp"] = sent.Format(time.RFC3339)
	}
	raw, _ := json.Marshal(body)
	return raw
}

func TestUninstallDropsTheTokens(t *testing.T) {
	tests := []struct {
		name string
		body func(now time.Time) []byte
		gone bool
	}{
		{"of the location", func(now time.Time) []byte {
			return lifecycleBody("UNINSTALL", "app1", fakeLocation, "", now.Add(time.Second))
		}, true},
		{"without a time", func(time.Time) []byte { return lifecycleBody("UNINSTALL", "app1", fakeLocation, "", time.Time{}) }, true},
		{"of the company", func(now time.Time) []byte { return lifecycleBody("UNINSTALL", "app1", "", "co1", now.Add(time.Second)) }, true},
		{"of another company", func(now time.Time) []byte { return lifecycleBody("UNINSTALL", "app1", "", "co2", now.Add(time.Second)) }, false},
		{"of another app", func(now time.Time) []byte {
			return lifecycleBody("UNINSTALL", "app2", fakeLocation, "", now.Add(time.Second))
		}, false},
		{"of another location", func(now time.Time) []byte {
			return lifecycleBody("UNINSTALL", "app1", "theirs", "", now.Add(time.Second))
		}, false},
		{"sent before it was installed again", func(now time.Time) []byte {
			return lifecycleBody("UNINSTALL", "app1", fakeLocation, "", now.Add(-time.Hour))
		}, false},
		{"no uninstall", func(time.Time) []byte { return []byte(`{"type":"ContactDelete","id":"c1"}`) }, false},
		{"no JSON", func(time.Time) []byte { return []byte(`{`) }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newOAuthWorld(t)
			w.install(t)
			if err := w.app.Lifecycle(t.Context(), tt.body(w.now)); err != nil {
				t.Fatal(err)
			}
			_, err := w.app.Credentials(fakeLocation).Token(t.Context())
			if tt.gone != df.IsCode(err, df.CodeUnconfigured) || !tt.gone && err != nil {
				t.Errorf("token: %v", err)
			}
		})
	}
}

func TestInstallWebhookOfAnAgencysLocation(t *testing.T) {
	w := newOAuthWorld(t)
	w.app.location = "" // the agency installs first; its locations follow by webhook
	w.endpoint.company = true
	state, _ := w.app.NewState()
	if id, err := w.app.Callback(t.Context(), "good", state); err != nil || id != "co1" {
		t.Fatalf("%q, %v", id, err)
	}
	install := lifecycleBody("INSTALL", "app1", fakeLocation, "co1", w.now)
	for range 2 {
		if err := w.app.Lifecycle(t.Context(), install); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.token(t, w.app); got != "access-2" || w.endpoint.pairs != 2 {
		t.Errorf("got %s, %d pairs", got, w.endpoint.pairs)
	}
	for _, body := range [][]byte{lifecycleBody("INSTALL", "app1", "loc2", "co9", w.now), lifecycleBody("INSTALL", "app1", "loc2", "", w.now)} {
		if err := w.app.Lifecycle(t.Context(), body); err != nil || w.endpoint.pairs != 2 {
			t.Errorf("%s: %v", body, err)
		}
	}
}
