package legacy_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/df-middleware/dfm/internal/aloware"
	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/ghl"
	"github.com/df-middleware/dfm/internal/legacy"
	"github.com/df-middleware/dfm/internal/store"
	original "github.com/df-middleware/dfm/internal/store/legacy"
	"github.com/df-middleware/dfm/internal/store/storetest"
	"github.com/df-middleware/dfm/internal/texting"
)

// now is when tests import.
var now = time.Date(2030, 1, 10, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

// script reads a file of testdata.
func script(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// originalDatabase is a new database of the original with the scripts run in it.
func originalDatabase(t testing.TB, scripts ...string) string {
	t.Helper()
	if os.Getenv("TEST_DATABASE_URL") == "" {
		t.Skip("TEST_DATABASE_URL is not set: the original runs on PostgreSQL")
	}
	url := storetest.PostgresURL(t)
	execute(t, url, scripts...)
	return url
}

func execute(t testing.TB, url string, scripts ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	for _, text := range scripts {
		if _, err := conn.PgConn().Exec(t.Context(), text).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
}

// importing runs one import of the original at the URL.
func importing(t testing.TB, ctx context.Context, s *store.Store, url string, o legacy.Options, change ...func(*legacy.Importer)) (legacy.Report, error) {
	t.Helper()
	source, err := original.Open(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = source.Close(context.WithoutCancel(ctx)) }()
	o.Actor = "test"
	i := &legacy.Importer{
		Store: s, Source: source, Clock: clock, NewID: df.IDs(clock), Decode: decode, Said: said,
		Recorder: &consent.Recorder{Targets: consent.Targets(true, true), Clock: clock, NewID: df.IDs(clock)},
		Seal: func(location string, access, refresh df.Secret) (string, string, error) {
			return fmt.Sprintf("sealed %d", len(access)), fmt.Sprintf("sealed %d", len(refresh)), nil
		},
		Own:  func(p df.Phone) bool { return p == "+15005550199" },
		Keep: legacy.Keep{History: 400 * 24 * time.Hour, Payloads: map[df.Source]time.Duration{df.SourceGHL: 90 * 24 * time.Hour}},
	}
	for _, f := range change {
		f(i)
	}
	return i.Run(ctx, o)
}

// imported is an import that must not fail.
func imported(t testing.TB, s *store.Store, url string, o legacy.Options, change ...func(*legacy.Importer)) legacy.Report {
	t.Helper()
	report, err := importing(t, t.Context(), s, url, o, change...)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range report.Tables {
		if table.Read != table.Imported+table.AlreadyThere+table.Refused {
			t.Errorf("%s does not add up: %+v", table.Name, table)
		}
	}
	return report
}

// decode reads bodies as the inbox's routes do.
func decode(e df.Event) df.Notice {
	switch e.Source {
	case df.SourceGHL:
		return ghl.Decoder{LocationID: "loc_1"}.Decode(e.Raw)
	case df.SourceAloware:
		return aloware.Decoder{}.Decode(e.Raw)
	case df.SourceTexting:
		return texting.NewDF("", texting.Decoder{}).Decode(e.Raw)
	}
	return texting.NewBroadcast("").Decode(e.Raw)
}

// said hears texts as the inbox does.
func said(e df.Event) (consent.Heard, bool) {
	h := consent.Heard{Source: e.Source, EventID: e.ID, Notice: e.Notice}
	switch e.Source {
	case df.SourceTexting:
		m, _ := texting.Decoder{}.DecodeMessage(texting.ProviderDF, e.Raw, nil)
		h.Notice.Phone, _ = m.Customer()
		h.Text, h.MessageID = m.Body, m.MessageID
		if m.OptOut == texting.Stop {
			h.Carrier = consent.Stop
		}
		return h, m.Direction == texting.Inbound
	case df.SourceGHL:
		text := ghl.Decoder{}.Said(e.Raw)
		h.Text, h.MessageID = text.Body, e.Notice.EntityID
		return h, e.Notice.Kind == df.KindMessage && text.Text && !text.Outbound
	}
	return h, false
}

// tableOf is what became of a table.
func tableOf(t testing.TB, r legacy.Report, name string) legacy.Table {
	t.Helper()
	for _, table := range r.Tables {
		if table.Name == name {
			return *table
		}
	}
	t.Fatalf("nothing is said of %s", name)
	return legacy.Table{}
}

// out says in which scopes a number is opted out.
func out(t testing.TB, s *store.Store, phone string) string {
	t.Helper()
	states, err := s.Consents(t.Context(), phone)
	if err != nil {
		t.Fatal(err)
	}
	state, known := states[phone]
	standing, scopes := consent.StandingOf(state), ""
	if !known {
		return ""
	}
	for _, scope := range consent.Scopes() {
		if standing.Out(scope) {
			scopes += string(scope) + " "
		}
	}
	return strings.TrimSpace(scopes)
}

// count counts rows.
func count(t testing.TB, s *store.Store, table string) int64 {
	t.Helper()
	var n int64
	if err := s.Row(t.Context(), `SELECT count(*) FROM `+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// content is everything in a database but the bookkeeping of runs, as one text for
// each table.
func content(t testing.TB, s *store.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, table := range tablesOf(t, s) {
		var text string
		query := `SELECT coalesce(string_agg(x.t, '|' ORDER BY x.t), '') FROM (SELECT y::text AS t FROM ` + table + ` y) x`
		if s.Name() == "sqlite" {
			query = `SELECT coalesce(group_concat(t, '|'), '') FROM (SELECT ` + quoted(t, s, table) + ` AS t FROM ` + table + ` ORDER BY 1)`
		}
		if err := s.Row(t.Context(), query).Scan(&text); err != nil {
			t.Fatal(table, err)
		}
		all[table] = text
	}
	if len(all) < 30 {
		t.Fatalf("looked at %d tables only", len(all))
	}
	return all
}

func tablesOf(t testing.TB, s *store.Store) []string {
	t.Helper()
	query := `SELECT table_name::text FROM information_schema.tables WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'`
	if s.Name() == "sqlite" {
		query = `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`
	}
	return column(t, s, query)
}

func quoted(t testing.TB, s *store.Store, table string) string {
	t.Helper()
	var parts []string
	for _, name := range column(t, s, `SELECT name FROM pragma_table_info('`+table+`')`) {
		parts = append(parts, `quote("`+name+`")`)
	}
	return strings.Join(parts, ` || ',' || `)
}

func column(t testing.TB, s *store.Store, query string) []string {
	t.Helper()
	var list []string
	err := s.Each(t.Context(), query, nil, func(row store.Row) error {
		var text string
		err := row.Scan(&text)
		list = append(list, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}
