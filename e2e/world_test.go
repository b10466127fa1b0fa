package e2e_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/sandbox/alowareworld"
	"github.com/df-middleware/dfm/internal/sandbox/ghlworld"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/postgres"
	"github.com/df-middleware/dfm/internal/store/sqlite"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

const (
	basicUser = "e2e"
	basicPass = "pass:with:colons-94" // which the original could not take
)

// newWorld starts the upstreams. Nobody listens to their webhooks until Connect.
func newWorld(t *testing.T) (*sandbox.World, settings) {
	t.Helper()
	world := sandbox.New(sandbox.Config{
		TimeScale: 0.01, Workers: 8, LogSize: 50_000, Logger: slog.New(slog.DiscardHandler),
		GHL:     ghlworld.Config{RateMax: 1 << 30},
		Aloware: alowareworld.Config{BasicUser: basicUser, BasicPass: basicPass},
	})
	if err := world.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := world.Close(); err != nil {
			t.Error(err)
		}
	})
	env, err := world.Env()
	if err != nil {
		t.Fatal(err)
	}
	return world, env
}

// eachDatabase runs a test on SQLite and, when there is a server, on PostgreSQL.
func eachDatabase(t *testing.T, test func(t *testing.T, databaseURL string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, sqliteURL(t))
	})
	if os.Getenv("TEST_DATABASE_URL") == "" {
		return
	}
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, postgresURL(t))
	})
}

func sqliteURL(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "dfm.db") }

// postgresURL makes a schema and adds a password to its URL, which the test
// server does not ask for and no log may repeat.
func postgresURL(t *testing.T) string {
	t.Helper()
	address, err := url.Parse(storetest.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, set := address.User.Password(); !set {
		address.User = url.UserPassword(address.User.Username(), "e2e-database-password-95")
	}
	password, _ := address.User.Password()
	journal.secret("the database password", password)
	return address.String()
}

// database opens the tables as an operator would, beside the servers.
func database(t *testing.T, databaseURL string) store.Engine {
	t.Helper()
	var engine store.Engine
	var err error
	silent := slog.New(slog.DiscardHandler)
	if path, ok := cutSQLite(databaseURL); ok {
		engine, err = sqlite.Open(t.Context(), path, silent)
	} else {
		engine, err = postgres.Open(t.Context(), databaseURL, silent)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close() })
	return engine
}

func cutSQLite(databaseURL string) (string, bool) {
	const scheme = "sqlite:"
	if len(databaseURL) > len(scheme) && databaseURL[:len(scheme)] == scheme {
		return databaseURL[len(scheme):], true
	}
	return "", false
}

// number asks the database for one number.
func number(t *testing.T, db store.Engine, query string, args ...any) int {
	t.Helper()
	var n int64
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := db.Row(ctx, query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return int(n)
}

// delivery is one webhook as its sender posts it.
type delivery struct {
	path   string
	header http.Header
	body   []byte
}

func (d delivery) post(ctx context.Context, base string) (reply, error) {
	return request(ctx, http.MethodPost, base+d.path, d.header, d.body)
}

// mustPost posts and wants an answer.
func (d delivery) mustPost(t *testing.T, base string) reply {
	t.Helper()
	got, err := d.post(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func uuid() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:])
	text := hex.EncodeToString(raw[:])
	return text[:8] + "-" + text[8:12] + "-4" + text[13:16] + "-8" + text[17:20] + "-" + text[20:]
}

func encoded(value any) []byte {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // plain values always encode
	}
	return data
}

// fromGHL is a signed native webhook with an id of its own.
func fromGHL(world *sandbox.World, event string, fields map[string]any) delivery {
	body := map[string]any{
		"type": event, "locationId": world.GHL.Settings().LocationID, "webhookId": uuid(),
		"timestamp": time.Now().UTC().Format(time.RFC3339Nano),
	}
	for name, value := range fields {
		body[name] = value
	}
	return signedGHL(world, encoded(body))
}

func signedGHL(world *sandbox.World, raw []byte) delivery {
	return delivery{"/api/webhooks/ghl", http.Header{
		"X-Ghl-Signature": {world.GHL.Sign(raw)}, "Content-Type": {"application/json"},
	}, raw}
}

// fromAloware is a webhook with Basic credentials.
func fromAloware(event string, body map[string]any) delivery {
	return delivery{"/api/webhooks/aloware", basicHeader(basicUser, basicPass),
		encoded(map[string]any{"event": event, "body": body})}
}

func basicHeader(user, pass string) http.Header {
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+pass))}}
}

func phone(n int) string { return fmt.Sprintf("+1202555%04d", n) }
