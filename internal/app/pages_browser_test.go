//go:build browser

package app

import (
	"testing"

	"github.com/df-middleware/dfm/internal/console/browsertest"
	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/store"
)

// The pages that features add to the console, with something of everything to
// show, by the rules of axe: light on a desk, dark on a phone.
func TestThePagesOfFeaturesInARealBrowser(t *testing.T) {
	api := newAPIWorld(t, newTextingWorld(t, databases()["sqlite"](t), sandbox.Config{}))
	api.says("STOP")
	settle(t, api.World, api.app)
	entries, err := api.app.store.ConsentRows(t.Context(), store.ConsentRowFilter{Limit: 1})
	if err != nil || len(entries) != 1 {
		t.Fatalf("%d opt-outs, %v", len(entries), err)
	}
	b := browsertest.Open(t)
	b.SignIn(api.app.URL("web")+"/drift", adminSecret, "#main")
	judgePages(b, api.app.URL("web"), map[string]string{
		"drift": "/drift", "drift-people": "/drift/people", "replays": "/replays?source=ghl", "event-bulk": "/events/bulk?action=replay&which=all&source=ghl",
		"person-erase": "/people/" + api.ids["person"] + "/erase", "opt-outs": "/opt-outs", "opt-out": "/opt-outs/" + entries[0].ID,
		"broadcasts": "/broadcasts", "forwards": "/forwards", "appointments": "/appointments", "opportunities": "/appointments?kind=opportunity",
	})
}
