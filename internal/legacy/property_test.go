package legacy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/legacy"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// number is one number with what both systems know of it.
type number struct {
	acts    []consent.Act // ours
	rows    string        // the original's, as SQL
	yes, no time.Time     // the latest yes heard by us, the latest no of the original
}

// numbers makes numbers up. They have nothing to do with each other, so one import
// judges all of them.
func numbers(n int) *rapid.Generator[number] {
	return rapid.Custom(func(t *rapid.T) number {
		phone := numberOf(n)
		var made number
		made.acts, made.yes = acts(t, phone)
		made.rows, made.no = rows(t, phone, n)
		return made
	})
}

func numberOf(n int) df.Phone { return df.Phone(fmt.Sprintf("+1500%07d", 5600000+n)) }

// Whatever stands here and whatever the original says, in rows and in texts: who
// was out stays out, and who is out there is out here unless they came back later.
func TestAnImportNeverLoosens(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		const many = 400
		made, before := make([]number, many), make([]string, many)
		r := &consent.Recorder{Clock: clock, NewID: df.IDs(clock)}
		var sql strings.Builder
		for n := range made {
			made[n] = numbers(n).Example(n)
			err := s.InTx(t.Context(), func(tx store.Tx) error {
				_, err := r.RecordAll(t.Context(), tx, made[n].acts)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			sql.WriteString(made[n].rows)
			before[n] = out(t, s, string(numberOf(n)))
		}
		imported(t, s, originalDatabase(t, script(t, "schema.sql"), sql.String()), legacy.Options{})
		var wereOut, said int
		for n, m := range made {
			after := out(t, s, string(numberOf(n)))
			if before[n] != "" {
				wereOut++
				if after != before[n] && after != "sms call" {
					t.Errorf("%d was out of %q and is out of %q", n, before[n], after)
				}
			}
			if !m.no.IsZero() && m.no.After(m.yes) {
				said++
				if after == "" {
					t.Errorf("%d said no at %s, came back at %s, and may be contacted: %s", n, m.no, m.yes, m.rows)
				}
			}
		}
		if wereOut < many/10 || said < many/10 {
			t.Errorf("too little was tried: %d out before, %d said no", wereOut, said)
		}
	})
}

func moment(t *rapid.T, label string) time.Time {
	return now.Add(-time.Duration(rapid.IntRange(1, 50).Draw(t, label)) * time.Hour)
}

// acts makes up what we have heard ourselves, and returns the latest yes.
func acts(t *rapid.T, phone df.Phone) (list []consent.Act, yes time.Time) {
	for range rapid.IntRange(0, 3).Draw(t, "acts") {
		act := consent.Act{Kind: consent.Stop, Phone: phone, Holder: consent.Text, Actor: "customer", At: moment(t, "said"), HeardAt: now,
			Source: "texting", Words: "x", Rule: "keyword"}
		if rapid.Bool().Draw(t, "yes") {
			act.Kind = consent.Start
			if act.At.After(yes) {
				yes = act.At
			}
			if rapid.Bool().Draw(t, "operator") {
				act.Holder, act.Scopes = consent.Operator, consent.Scopes()
			}
		}
		list = append(list, act)
	}
	return list, yes
}

// rows makes up what the original has of the number, and returns the latest no.
func rows(t *rapid.T, phone df.Phone, n int) (sql string, no time.Time) {
	spelled := rapid.SampledFrom([]string{string(phone), string(phone[2:]), fmt.Sprintf("(%s) %s-%s", phone[2:5], phone[5:8], phone[8:])}).Draw(t, "spelling")
	if rapid.Bool().Draw(t, "row") {
		status := rapid.SampledFrom([]string{"opted_out", "opted_in", "OPTED_OUT", ""}).Draw(t, "status")
		source := rapid.SampledFrom([]string{"texting", "ghl", "aloware", "manual"}).Draw(t, "source")
		when := moment(t, "last event")
		sql += fmt.Sprintf("INSERT INTO optout_registry (phone_number, status, source, reason, last_event_at) VALUES ('%s', '%s', '%s', 'STOP', '%s');\n",
			spelled, status, source, when.Format(time.RFC3339))
		if status != "opted_in" {
			no = when
		}
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "texts") {
		words := rapid.SampledFrom([]string{"STOP", "stop please", "START", "YES", "see you this weekend", "UNSTOP"}).Draw(t, "words")
		status := rapid.SampledFrom([]string{"pending", "processing", "error", "done"}).Draw(t, "state")
		when := moment(t, "received")
		sql += fmt.Sprintf(`INSERT INTO texting_webhook_events (received_at, event_type, payload_json, dedupe_key, status) VALUES ('%s', 'message.received',
			'{"eventType":"message.received","messageId":"tx_%d_%d","direction":"inbound","from":"%s","to":"+15005550199","body":"%s"}', 'k%d_%d', '%s');`+"\n",
			when.Format(time.RFC3339), n, i, spelled, words, n, i, status)
		if (words == "STOP" || words == "stop please") && when.After(no) {
			no = when
		}
	}
	return sql, no
}
