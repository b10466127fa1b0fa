package legacy

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/df-middleware/dfm/internal/store/storetest"
)

// database is a new schema of the test server in which the script was run.
func database(t *testing.T, script string) string {
	t.Helper()
	if os.Getenv("TEST_DATABASE_URL") == "" {
		t.Skip("TEST_DATABASE_URL is not set")
	}
	url := storetest.PostgresURL(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.PgConn().Exec(t.Context(), script).ReadAll(); err != nil {
		t.Fatal(err)
	}
	return url
}

func open(t *testing.T, url string) *Source {
	t.Helper()
	s, err := Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(t.Context()) })
	return s
}

func TestTheSourceCannotBeWritten(t *testing.T) {
	t.Parallel()
	s := open(t, database(t, `CREATE TABLE optout_registry (id int)`))
	if _, err := s.tx.Exec(t.Context(), `INSERT INTO optout_registry VALUES (1)`); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("wrote to the original: %v", err)
	}
}

func TestWhatIsNotThereIsEmptyAndNamed(t *testing.T) {
	t.Parallel()
	s := open(t, database(t, `CREATE TABLE optout_registry (phone_number text, last_event_at timestamp);
		INSERT INTO optout_registry VALUES ('+15005550111', '2030-01-02 03:04:05')`))
	var got []OptOut
	err := s.OptOuts(t.Context(), 10, func(rows []OptOut) error { got = append(got, rows...); return nil })
	if err != nil || len(got) != 1 || got[0].Phone != "+15005550111" || got[0].Status != "" || got[0].LastEventAt.Format("2006-01-02T15:04:05Z07:00") != "2030-01-02T03:04:05Z" {
		t.Errorf("%+v, %v", got, err)
	}
	if missing := strings.Join(s.Missing("optout_registry"), " "); missing != "id status source reason" {
		t.Errorf("missing %q", missing)
	}
	if err := s.Messages(t.Context(), 10, func([]Message) error { return errors.New("there are none") }); err != nil {
		t.Error(err)
	}
	if n, err := s.Count(t.Context(), "message_mappings"); n != 0 || err != nil || s.Has("message_mappings") {
		t.Error(n, err)
	}
}

func TestRowsComeInBatches(t *testing.T) {
	t.Parallel()
	s := open(t, database(t, `CREATE TABLE webhook_events (id int, payload_json jsonb, received_at timestamptz, source text);
		INSERT INTO webhook_events SELECT n, '{"a": 1}', now() - n * interval '1 second', 'ghl' FROM generate_series(1, 25) n`))
	var sizes []int
	first := ""
	err := s.Events(t.Context(), "webhook_events", 10, func(rows []Event) error {
		sizes = append(sizes, len(rows))
		if first == "" {
			first = rows[0].ID
		}
		return nil
	})
	if err != nil || len(sizes) != 3 || sizes[2] != 5 || first != "25" {
		t.Errorf("%v, first %q, %v", sizes, first, err)
	}
}

func TestAnotherDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]error{`CREATE TABLE lanes (key text)`: ErrOwn, `CREATE TABLE something (key text)`: ErrNothing} {
		if s, err := Open(t.Context(), database(t, script)); !errors.Is(err, want) {
			t.Errorf("%v, %v: want %v", s, err, want)
		}
	}
	for _, url := range []string{"mysql://root:secret@host/x", "postgres://root:secret@host:port/x"} {
		if _, err := Open(t.Context(), url); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", url, err)
		}
	}
}
