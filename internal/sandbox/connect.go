package sandbox

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/df-middleware/dfm/internal/sandbox/carrier"
	"github.com/df-middleware/dfm/internal/sandbox/ghlworld"
	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// Connect points all webhooks at the web app of a df-middleware, whose base URL
// has no trailing slash.
func (w *World) Connect(base string) {
	base = strings.TrimRight(base, "/") + "/api/webhooks/"
	w.GHL.SetListeners(ghlworld.Listeners{
		Events: base + "ghl", Delivery: base + "ghl/provider-delivery", Workflow: base + "ghl/workflow",
		WorkflowSecret: workflowSecret,
	})
	w.Aloware.SetWebhook(base + "aloware")
	w.Verity.SetBroadcastURL(base + "broadcast")
	w.Carrier.SetURL(carrier.DFHMAC, base+"texting")
	for _, provider := range []carrier.Provider{carrier.Twilio, carrier.Telnyx, carrier.Standard} {
		w.Carrier.SetURL(provider, base+"texting/"+string(provider))
	}
}

const workflowSecret = "ghl-sandbox-webhook-secret"

// Env returns the settings (contract §2) that point a df-middleware at this
// world, which must have been started. Aloware's webhook credentials are among
// them only when Config.Aloware has some. The settings hold this world's
// secrets, which open nothing else. CLERK_SESSION_ID names a session that is
// opened by the call.
func (w *World) Env() (map[string]string, error) {
	key, err := w.GHL.PublicKeyPEM()
	if err != nil {
		return nil, fmt.Errorf("list the sandbox's settings: %w", err)
	}
	ghl, aloware, verity, clerk := w.GHL.Settings(), w.Aloware.Settings(), w.Verity.Settings(), w.Clerk.Settings()
	env := map[string]string{
		"GHL_BASE_URL": w.GHL.URL(), "GHL_API_KEY": ghl.PIT, "GHL_LOCATION_ID": ghl.LocationID, "GHL_CALENDAR_ID": ghl.CalendarID,
		"GHL_AUTHORIZE_URL": w.GHL.URL() + "/oauth/chooselocation",
		"GHL_CLIENT_ID":     ghl.ClientID, "GHL_CLIENT_SECRET": ghl.ClientSecret, "GHL_WEBHOOK_PUBLIC_KEYS": key,
		"GHL_CONVERSATION_PROVIDER_ID": ghl.SMSProvider, "GHL_CALL_PROVIDER_ID": ghl.CallProvider, "GHL_WEBHOOK_SECRET": workflowSecret,
		"ALOWARE_BASE_URL": w.Aloware.URL() + "/api/v1", "ALOWARE_API_TOKEN": aloware.Token,
		"VERITY_BASE_URL": w.Verity.URL(), "VERITY_API_KEY": verity.APIKey, "VERITY_WEBHOOK_SECRET": verity.WebhookSecret,
		"VERITY_CATALOG_PATH":        w.Verity.URL() + "/catalog.json",
		"TEXTING_TWILIO_AUTH_TOKENS": w.Carrier.Settings().TwilioToken, "TEXTING_TELNYX_PUBLIC_KEYS": w.Carrier.TelnyxPublicKey(),
		"TEXTING_STANDARD_SECRETS": w.Carrier.StandardSecret(),
		"CLERK_SECRET_KEY":         clerk.SecretKey, "CLERK_API_URL": w.Clerk.URL() + "/v1", "CLERK_ISSUER": clerk.Issuer,
		"CLERK_JWKS_URL": w.Clerk.URL() + "/.well-known/jwks.json", "CLERK_SESSION_ID": w.Clerk.StartSession("user_dfm"),
		"LLM_PROVIDER": "anthropic", "LLM_BASE_URL": w.LLM.URL(), "LLM_MODEL": "sandbox", "ANTHROPIC_API_KEY": w.LLM.Settings().AnthropicKey,
	}
	for name, value := range map[string]string{
		"ALOWARE_WEBHOOK_BASIC_USER": aloware.BasicUser, "ALOWARE_WEBHOOK_BASIC_PASS": aloware.BasicPass,
		"ALOWARE_WEBHOOK_BEARER": aloware.Bearer,
	} {
		if value != "" {
			env[name] = value
		}
	}
	return env, nil
}

// routeControl gives every upstream the same endpoints for the whole world.
func (w *World) routeControl() {
	for _, s := range w.stages {
		s.Control("GET /_sandbox/world/state", w.controlState)
		s.Control("POST /_sandbox/world/mischief", w.controlMischief)
		s.Control("POST /_sandbox/world/connect", w.controlConnect)
		s.Control("POST /_sandbox/world/settle", w.controlSettle)
	}
}

func (w *World) controlState(rw http.ResponseWriter, _ *http.Request) {
	stage.JSON(rw, http.StatusOK, map[string]any{
		"urls": w.URLs(), "calls": w.Calls(), "pendingWebhooks": w.pending(), "sentWebhooks": w.sent(),
	})
}

func (w *World) controlMischief(rw http.ResponseWriter, r *http.Request) {
	var m stage.Mischief
	if stage.Order(rw, r, &m) {
		w.SetMischief(m)
		stage.JSON(rw, http.StatusOK, m)
	}
}

func (w *World) controlConnect(rw http.ResponseWriter, r *http.Request) {
	var order struct {
		URL string `json:"url"`
	}
	if stage.Order(rw, r, &order) {
		w.Connect(order.URL)
		w.controlState(rw, r)
	}
}

func (w *World) controlSettle(rw http.ResponseWriter, r *http.Request) {
	if err := w.Settle(r.Context()); err != nil {
		stage.JSON(rw, http.StatusConflict, map[string]string{"error": err.Error()})
		return
	}
	w.controlState(rw, r)
}
