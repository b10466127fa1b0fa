package app_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/app"
	"github.com/df-middleware/dfm/internal/df"
)

func lookup(values map[string]string) app.Lookup {
	return func(name string) (string, bool) { value, ok := values[name]; return value, ok }
}

func TestTheDefaultsAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	c, err := app.Load(lookup(nil))
	if err != nil {
		t.Fatal(err)
	}
	if c.DatabaseURL != "sqlite:data/dfm.db" || c.GatewayAddress() != "127.0.0.1:3001" || c.WebAddress() != "127.0.0.1:3002" ||
		c.GHL.BaseURL != "https://services.leadconnectorhq.com" || c.Aloware.BaseURL != "https://app.aloware.io/api/v1" ||
		c.Verity.BaseURL != "http://localhost:3000" || c.Verity.CatalogMode != "warn" || c.Verity.Timeout != 30*time.Second ||
		c.Clerk.APIURL != "https://api.clerk.com/v1" || c.Clerk.TokenTTL != time.Hour || c.SourceOfTruth != "merge" ||
		c.RetryLimit != 10 || c.RetryDelay != time.Minute || c.GHL.RatePer10s != 80 || c.Aloware.RatePerSecond != 2 ||
		c.LogLevel != "info" || !c.AutoMigrate || len(c.Roles) != 4 {
		t.Errorf("%+v", c)
	}
}

func TestAllProblemsAreReportedTogetherByName(t *testing.T) {
	t.Parallel()
	secret := "s3cr3t-value"
	_, err := app.Load(lookup(map[string]string{
		"PORT": "x", "WEB_PORT": "70000", "HOST": "nowhere.example", "DATABASE_URL": "mysql://" + secret, "DFM_ROLES": "web,baker",
		"DF_ENCRYPTION_KEY": secret, "CONTACT_SOURCE_OF_TRUTH": "both", "JOB_RETRY_DELAY": "soon", "GHL_API_KEY": "k",
		"GHL_CLIENT_ID": "c", "ALOWARE_WEBHOOK_BASIC_USER": "u", "VERITY_BASE_URL": "ftp://x", "CORS_ALLOWED_ORIGINS": "example.com",
		"DFM_ALLOW_UNSIGNED": "everybody", "VERITY_CATALOG_MODE": "strict", "LOG_LEVEL": "loud", "DFM_CUSTOM_FIELDS": "a",
		"BASE_URL": "https://user:pw@example.com",
	}))
	var problems app.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("%v", err)
	}
	var names []string
	for _, p := range problems {
		names = append(names, p.Name)
		if p.Want == "" {
			t.Errorf("%s: does not say what it should look like", p.Name)
		}
	}
	for _, want := range []string{
		"PORT", "WEB_PORT", "HOST", "DATABASE_URL", "DFM_ROLES", "DF_ENCRYPTION_KEY", "CONTACT_SOURCE_OF_TRUTH", "JOB_RETRY_DELAY",
		"GHL_LOCATION_ID", "GHL_CLIENT_SECRET", "ALOWARE_WEBHOOK_BASIC_PASS", "VERITY_BASE_URL", "CORS_ALLOWED_ORIGINS",
		"DFM_ALLOW_UNSIGNED", "VERITY_CATALOG_MODE", "LOG_LEVEL", "DFM_CUSTOM_FIELDS", "BASE_URL",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not reported; reported are %v", want, names)
		}
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("a value stands in the report: %v", err)
	}
}

func TestSettingsThatAreGivenAreTaken(t *testing.T) {
	t.Parallel()
	c, err := app.Load(lookup(map[string]string{
		"DFM_ROLES": "web, worker", "JOB_RETRY_DELAY": "90", "DFM_ALLOW_UNSIGNED": "ghl", "DFM_CUSTOM_FIELDS": "Lead score=csf1, Tier = csf2",
		"ALOWARE_WEBHOOK_ALLOWED_EVENTS": "Contact-Updated, ,Call-Disposed", "HOST": "::1", "BASE_URL": "https://dfm.example.test/",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if !c.Has(app.RoleWorker) || c.Has(app.RoleGateway) || c.RetryDelay != 90*time.Second || !c.Unsigned[df.SourceGHL] ||
		c.GHL.CustomFields["Tier"] != "csf2" || len(c.Aloware.AllowedEvents) != 2 || c.WebAddress() != "[::1]:3002" ||
		c.BaseURL != "https://dfm.example.test" {
		t.Errorf("%+v", c)
	}
}

func TestSecretsComeFromFilesToo(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("from-the-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := app.Load(lookup(map[string]string{"ALOWARE_API_TOKEN_FILE": file}))
	if err != nil || c.Aloware.Token.Reveal() != "from-the-file" {
		t.Errorf("%v, %v", c.Aloware.Token.Reveal(), err)
	}
	_, err = app.Load(lookup(map[string]string{"ALOWARE_API_TOKEN_FILE": file, "ALOWARE_API_TOKEN": "x", "DF_ADMIN_SECRET_FILE": file + ".none"}))
	for _, want := range []string{"ALOWARE_API_TOKEN", "DF_ADMIN_SECRET_FILE"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestDotenvFillsWhatTheEnvironmentLeavesOut(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), ".env")
	text := "# comment\nexport PORT=4001\nWEB_PORT=4002 # trailing\r\nDF_ADMIN_SECRET=\"a b#c\\nd\"\n\nX='lit $x\n-----END-----'\nEMPTY=\nHASH=a#b\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	with, err := app.WithDotenv(lookup(map[string]string{"PORT": "5001"}), file)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"PORT": "5001", "WEB_PORT": "4002", "DF_ADMIN_SECRET": "a b#c\nd", "X": "lit $x\n-----END-----", "EMPTY": "", "HASH": "a#b",
	} {
		if got, ok := with(name); got != want || !ok {
			t.Errorf("%s: %q, %v; want %q", name, got, ok, want)
		}
	}
	if _, err := app.WithDotenv(lookup(nil), filepath.Join(t.TempDir(), "none")); err != nil {
		t.Errorf("no file is no problem: %v", err)
	}
	for _, bad := range []string{"no equals", "A B=1", "X='open\n"} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := app.WithDotenv(lookup(nil), file); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestTheSettingsShowNoSecretWhenPrinted(t *testing.T) {
	t.Parallel()
	c, err := app.Load(lookup(map[string]string{
		"DF_ADMIN_SECRET": "adm-secret-1", "DATABASE_URL": "postgres://u:pg-secret-2@h/d", "GHL_API_KEY": "pit-secret-3", "GHL_LOCATION_ID": "L",
	}))
	if err != nil {
		t.Fatal(err)
	}
	printed := c.String() + c.Redactor().Text("failed with adm-secret-1 and pit-secret-3")
	for _, secret := range []string{"adm-secret-1", "pg-secret-2", "pit-secret-3"} {
		if strings.Contains(printed, secret) {
			t.Errorf("%s stands in %s", secret, printed)
		}
	}
}

// The console of the original had no settings page, and its status routes gave
// out base URLs and raw errors to anybody. Ours shows what is in effect, and of
// what is secret only whether it is set.
func TestSettingsAreShownWithoutTheirSecrets(t *testing.T) {
	const hidden = "hide-me-4711"
	env := map[string]string{
		"DATABASE_URL": "postgres://dfm:" + hidden + "@db.example.test/dfm?sslpassword=" + hidden, "DF_ADMIN_SECRET": hidden,
		"GHL_API_KEY": hidden, "GHL_LOCATION_ID": "loc1", "ALOWARE_API_TOKEN": hidden, "TEXTING_TWILIO_AUTH_TOKENS": hidden + "," + hidden,
		"TEXTING_STANDARD_SECRETS": "whsec_aGlkZS1tZS00NzExaGlkZS1tZS00NzEx", "CLERK_TOKEN_TTL": "30m", "PORT": "3003",
	}
	c, err := app.Load(func(name string) (string, bool) { value, ok := env[name]; return value, ok })
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]app.Shown{}
	for _, s := range c.Shown {
		if strings.Contains(s.Value, hidden) || strings.Contains(s.Value, "whsec") {
			t.Errorf("%s shows a secret: %q", s.Name, s.Value)
		}
		shown[s.Name] = s
	}
	if len(shown) != len(c.Shown) || len(shown) < 40 {
		t.Errorf("%d settings are shown, %d of them different", len(c.Shown), len(shown))
	}
	for name, want := range map[string]app.Shown{
		"DF_ADMIN_SECRET":  {Secret: true, Set: true},
		"X_DF_JOBS_SECRET": {Secret: true},
		"DATABASE_URL":     {Value: "postgres://db.example.test/dfm", Set: true},
		"PORT":             {Value: "3003", Set: true},
		"CLERK_TOKEN_TTL":  {Value: "30m0s", Set: true},
		"JOB_RETRY_LIMIT":  {Value: "10", Set: true},
		"GHL_LOCATION_ID":  {Value: "loc1", Set: true},
	} {
		want.Name = name
		if shown[name] != want {
			t.Errorf("%+v is shown, want %+v", shown[name], want)
		}
	}
}
