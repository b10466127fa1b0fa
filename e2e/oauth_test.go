package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/store"
)

// An administrator connects GHL: install, consent, callback. The state works
// once, the tokens are sealed, an expired one is refreshed with rotation.
func TestOAuth(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		world, env := newWorld(t)
		delete(env, "GHL_API_KEY")
		env["GHL_AUTHORIZE_URL"] = world.GHL.URL() + "/v2/oauth/chooselocation"
		p := serve(t, env.with(basics(databaseURL, t.TempDir())).with(settings{"BASE_URL": "http://dfm.example.test"}))
		db := database(t, databaseURL)

		callback := connect(t, p)
		for name, query := range map[string]string{
			"no code": "", "refused": "?error=access_denied", "a state of our making": "?code=abc&state=abc", "no state": "?code=abc",
		} {
			if got := call(t, http.MethodGet, p.web()+"/leadconnector/oauth"+query, nil, ""); got.status < 400 || got.status >= 500 || got.Success {
				t.Errorf("%s: %d %s", name, got.status, got.body)
			}
		}
		if got := call(t, http.MethodGet, callback, nil, ""); got.status != http.StatusOK || !got.Success {
			t.Fatalf("the callback answers %d %s", got.status, got.body)
		}
		first := tokens(t, db, world.GHL.Settings().LocationID)
		again, err := url.Parse(callback)
		if err != nil {
			t.Fatal(err)
		}
		query := again.Query()
		query.Set("code", world.GHL.IssueCode("Location"))
		again.RawQuery = query.Encode()
		if got := call(t, http.MethodGet, again.String(), nil, ""); got.status < 400 || got.Success {
			t.Errorf("a state was used twice: %d %s", got.status, got.body)
		}

		world.Connect(p.web())
		makeCrowd(t, world, 1)
		inAloware(t, world.Aloware.Contact, 0)
		world.GHL.ExpireTokens()
		if _, err := world.GHL.CreateContact(map[string]string{"firstName": "Bo", "phone": phone(1)}); err != nil {
			t.Fatal(err)
		}
		inAloware(t, world.Aloware.Contact, 1)
		given := accessTokens(world)
		if len(given) != 2 {
			t.Errorf("GHL was called with %d tokens, want the first and its successor", len(given))
		}
		for _, given := range given {
			journal.secret("an access token", given)
			for _, stored := range first {
				if strings.Contains(stored, given) {
					t.Error("the access token is stored as it is")
				}
			}
		}
		if after := tokens(t, db, world.GHL.Settings().LocationID); after[0] == first[0] || after[1] == first[1] {
			t.Error("the tokens were not replaced, though the old ones had expired")
		}
	})
}

// connect begins an installation and returns where GHL sends the administrator
// back to, at the server under test.
func connect(t *testing.T, p *process) string {
	t.Helper()
	begin := call(t, http.MethodGet, p.web()+"/leadconnector/install", nil, "")
	if begin.status != http.StatusFound {
		t.Fatalf("install answers %d %s", begin.status, begin.body)
	}
	chosen := call(t, http.MethodGet, begin.header.Get("Location"), nil, "")
	back, err := url.Parse(chosen.header.Get("Location"))
	if err != nil || chosen.status != http.StatusFound || back.Host != "dfm.example.test" || back.Query().Get("state") == "" {
		t.Fatalf("GHL sends back to %v (%d), %v", back, chosen.status, err)
	}
	journal.secret("an authorization code", back.Query().Get("code"))
	return p.web() + back.RequestURI()
}

// tokens returns what is stored, which must not be what GHL gave.
func tokens(t *testing.T, db store.Engine, location string) [2]string {
	t.Helper()
	var access, refresh string
	err := db.Row(t.Context(), `SELECT access_token, refresh_token FROM ghl_oauth_tokens WHERE location_id = $1`, location).Scan(&access, &refresh)
	if err != nil || access == "" || refresh == "" {
		t.Fatalf("stored tokens of %d and %d letters, %v", len(access), len(refresh), err)
	}
	return [2]string{access, refresh}
}

// accessTokens lists the tokens that GHL was called with: the first one and
// the one that it was refreshed to.
func accessTokens(world *sandbox.World) []string {
	var given []string
	for _, r := range world.GHL.Requests() {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if ok && !slices.Contains(given, token) {
			given = append(given, token)
		}
	}
	return given
}

func inAloware[C any](t *testing.T, look func(string) (C, bool), n int) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		if _, ok := look(phone(n)); !ok {
			return fmt.Errorf("contact %d is not in Aloware", n)
		}
		return nil
	})
}
