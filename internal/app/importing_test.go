package app

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/legacy"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// originalURL is a database of the original as the room of the import has it.
func originalURL(t *testing.T) df.Secret {
	t.Helper()
	if os.Getenv("TEST_DATABASE_URL") == "" {
		t.Skip("TEST_DATABASE_URL is not set: the original runs on PostgreSQL")
	}
	url := storetest.PostgresURL(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	for _, name := range []string{"schema.sql", "rows.sql"} {
		text, err := os.ReadFile("../legacy/testdata/" + name)
		if err == nil {
			_, err = conn.PgConn().Exec(t.Context(), string(text)).ReadAll()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return df.Secret(url)
}

// importWorld is the settings of a program that is not connected to anything.
func importWorld(t *testing.T, databaseURL string, more map[string]string) Config {
	t.Helper()
	env := map[string]string{"DATABASE_URL": databaseURL, "DFM_SPILL_DIR": t.TempDir(), "GHL_LOCATION_ID": "loc_1",
		"GHL_CLIENT_ID": "app1-x", "GHL_CLIENT_SECRET": "client-secret", "BASE_URL": "https://dfm.example.test",
		"DF_ENCRYPTION_KEY": "dGVzdC1vbmx5LXRlc3Qtb25seS10ZXN0LW9ubHkhISE="}
	maps.Copy(env, more)
	config, err := Load(func(name string) (string, bool) { value, ok := env[name]; return value, ok })
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func TestTheOriginalIsImportedWithOurOwnReading(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		ctx, from := t.Context(), originalURL(t)
		options := Options{Log: slog.New(slog.DiscardHandler), Clock: func() time.Time { return time.Date(2030, 1, 10, 12, 0, 0, 0, time.UTC) }}
		config := importWorld(t, databaseURL, map[string]string{"DFM_OWN_NUMBERS": "+15005550199"})
		wish := ImportWish{From: from, Options: legacy.Options{Actor: "test"}}
		if _, err := ImportLegacy(ctx, config, options, wish); err == nil {
			t.Error("imported into a database without a schema")
		}
		migrate(t, config)
		report, err := ImportLegacy(ctx, config, options, wish)
		if err != nil || report.StopsInTexts != 7 {
			t.Fatalf("%+v, %v", report, err)
		}
		err = withApp(ctx, config, options, func(a *App) error {
			states, err := a.store.Consents(ctx, "+15005550177", "+15005550107", "+15005550190")
			if len(states) != 2 || !consent.StandingOf(states["+15005550107"]).Out(consent.SMS) {
				t.Errorf("%+v", states)
			}
			row, tokenErr := a.store.OAuthToken(ctx, "loc_1")
			if strings.Contains(row.AccessToken+row.RefreshToken, "clear-") {
				t.Error("tokens are not sealed")
			}
			token, openErr := a.sync.install.Credentials("loc_1").Token(ctx)
			if !token.Set() || token.Reveal() != "clear-access-token" {
				t.Errorf("the token does not open: %v", openErr)
			}
			return errors.Join(err, tokenErr)
		})
		if err != nil {
			t.Error(err)
		}
		other := importWorld(t, databaseURL, map[string]string{"DF_ENCRYPTION_KEY": "b3RoZXItb25seS1vdGhlci1vbmx5LW90aGVyLW9ubHk="})
		err = withApp(ctx, other, options, func(a *App) error {
			_, err := a.sync.install.Credentials("loc_1").Token(ctx)
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "open the access token") {
			t.Errorf("with another key: %v", err)
		}
	})
}

func migrate(t *testing.T, config Config) {
	t.Helper()
	db, err := OpenStore(t.Context(), config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.MigrateUp(t.Context(), time.Now); err != nil {
		t.Fatal(err)
	}
}
