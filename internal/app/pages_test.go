package app

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/bench/crowd"
	"github.com/df-middleware/dfm/bench/visit"
	"github.com/df-middleware/dfm/internal/sandbox"
)

// The crowd that the pages are measured over fits the schema, and every page of
// the console and its twin show it. How long they take with a million events is
// what script/bench pages says; here are too few.
func TestEveryPageShowsACrowd(t *testing.T) {
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		world := newWorld(t, sandbox.Config{})
		// Nobody works, so that nothing of the crowd is worked away.
		a := build(t, world, databaseURL, time.Now, map[string]string{"DFM_ROLES": "web,gateway"})
		c := crowd.New(crowd.Size{Events: 500, People: 60}, time.Now())
		if _, err := a.store.MigrateUp(t.Context(), time.Now); err != nil {
			t.Fatal(err)
		}
		if err := fill(t.Context(), c, databaseURL); err != nil {
			t.Fatal(err)
		}
		start(t, world, a)
		reader, err := visit.SignIn(t.Context(), a.URL("web"), "test-admin-secret")
		if err != nil {
			t.Fatal(err)
		}
		paths, err := reader.Paths(t.Context(), visit.Pairs(c.Landmarks()))
		if err != nil {
			t.Fatal(err)
		}
		if len(paths) < 200 {
			t.Errorf("only %d addresses are asked for", len(paths))
		}
		if _, err := reader.Measure(t.Context(), paths, 1, io.Discard); err != nil {
			t.Error(err)
		}
		forgotten(t, a, paths)
	})
}

func fill(ctx context.Context, c *crowd.Crowd, databaseURL string) error {
	if file, ok := strings.CutPrefix(databaseURL, "sqlite:"); ok {
		return c.SQLite(ctx, file)
	}
	return c.Postgres(ctx, databaseURL)
}

// notAsked are the pages that are not measured, and why.
var notAsked = map[string]string{
	"GET /agents/{key}/delete": "a question", "GET /keys/{id}/{action}": "a question", "GET /users/{id}/{action}": "a question",
	"GET /mappings/changes/{id}/undo": "a question", "GET /mappings/resolve": "a question", "GET /agents/seed": "asks GHL", "GET /people/{id}/erase": "a question",
	"GET /events/{id}/raw": "a file", "GET /opt-outs/evidence": "its twin is", "GET /static/{file}": "a file", "GET /live": "does not end",
	"GET /sign-in": "asked to sign in", "GET /password": "of users only", "GET /chat": "needs a model", "GET /chat/{id}": "needs a model",
	"GET /tools/operations/{name}": "of the catalogue", "GET /tools/openapi.json": "its twin is", "GET /tools/openapi-gateway.json": "of the program",
	"GET /tools/catalogue": "of the catalogue", "GET /users/{id}": "as long as its form",
}

// forgotten names the pages that there are and nobody asks for.
func forgotten(t *testing.T, a *App, paths []string) {
	t.Helper()
	asked := func(pattern string) bool {
		for _, path := range paths {
			path, _, _ = strings.Cut(path, "?")
			if fits(strings.Split(strings.TrimSuffix(pattern, "{$}"), "/"), strings.Split(path, "/")) {
				return true
			}
		}
		return false
	}
	for _, route := range a.window.Routes() {
		pattern, isPage := strings.CutPrefix(route.Pattern, "GET ")
		if isPage && notAsked[route.Pattern] == "" && !asked(pattern) {
			t.Errorf("%s is a page that script/bench pages does not ask for", route.Pattern)
		}
	}
}

func fits(pattern, path []string) bool {
	return slices.EqualFunc(pattern, path, func(want, got string) bool { return want == got || strings.HasPrefix(want, "{") })
}
