package app

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/store"
)

// visitor is somebody who is signed in at the console.
type visitor struct {
	t    *testing.T
	http *http.Client
	base string
	csrf string
}

func (w textingWorld) visitor(t *testing.T) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &visitor{t: t, http: &http.Client{Jar: jar}, base: w.app.URL("web")}
	b.get("/sign-in", 200)
	b.post("/sign-in", 200, url.Values{"secret": {"test-admin-secret"}, "next": {"/"}})
	return b
}

func (b *visitor) read(answer *http.Response, err error, want int) string {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	page, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != want {
		b.t.Fatalf("%s: %d, %v\n%s", answer.Request.URL, answer.StatusCode, err, page)
	}
	if token := csrfField.FindSubmatch(page); token != nil {
		b.csrf = string(token[1])
	}
	return string(page)
}

func (b *visitor) get(path string, want int) string {
	b.t.Helper()
	answer, err := b.http.Get(b.base + path)
	return b.read(answer, err, want)
}

func (b *visitor) post(path string, want int, form url.Values) string {
	b.t.Helper()
	form.Set("csrf", b.csrf)
	answer, err := b.http.PostForm(b.base+path, form)
	return b.read(answer, err, want)
}

func TestTheOptOutsPageShowsWhatWasSaidAndTakesAPersonsWord(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		w.says("please take me off your list")
		settle(t, w.World, w.app)
		err := w.app.store.InTx(t.Context(), func(tx store.Tx) error {
			_, err := store.InsertIncident(t.Context(), tx, store.Incident{Key: "k", Phone: customerPhone, Scope: "call", Source: "aloware",
				At: time.Now(), SeenAt: time.Now(), OutSince: time.Now()})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		b := w.visitor(t)
		page := b.get("/opt-outs", 200)
		for _, want := range []string{"Contacted after an opt-out", "take me off your list", customerPhone[1:], "Set by hand"} {
			if !strings.Contains(page, want) {
				t.Errorf("the page does not say %q", want)
			}
		}
		reviews, err := w.app.store.ConsentReviews(t.Context(), 9)
		if err != nil || len(reviews) != 1 {
			t.Fatalf("%+v, %v", reviews, err)
		}
		b.post("/opt-outs/reviews", 200, url.Values{"id": {reviews[0].EventID}, "note": {"an opt-out indeed"}})
		page = b.post("/opt-outs/incidents", 200, url.Values{"key": {"k"}, "note": {"agent told"}})
		if strings.Contains(page, "Contacted after") || strings.Contains(page, "take me off") {
			t.Error("what was resolved is still shown")
		}
		by := url.Values{"phone": {"+15005550122"}, "status": {"opted_out"}, "scopes": {"sms"}, "evidence": {"letter of 3 May"}}
		b.post("/opt-outs", 400, by)
		b.get("/opt-outs", 200)
		by.Set("confirm", "yes")
		if page = b.post("/opt-outs", 200, by); !strings.Contains(page, "Every system is being told") {
			t.Error("the page does not say that it was recorded")
		}
		rows, err := w.app.store.ConsentRows(t.Context(), store.ConsentRowFilter{Phone: "+15005550122", Limit: 1})
		if err != nil || len(rows) != 1 || rows[0].Status != "opted_out" || rows[0].CallStatus == "opted_out" {
			t.Fatalf("%+v, %v", rows, err)
		}
		page = b.get("/opt-outs/"+rows[0].ID+"?verify=1", 200)
		for _, want := range []string{"letter of 3 May", "ghl dnd", "The chain of evidence is whole"} {
			if !strings.Contains(page, want) {
				t.Errorf("the number's page does not say %q:\n%s", want, page)
			}
		}
		if _, err := w.app.store.Exec(t.Context(), `UPDATE consent_events SET words = 'nothing' WHERE phone = $1`, customerPhone); err != nil {
			t.Fatal(err)
		}
		if page = b.get("/opt-outs/"+rows[0].ID+"?verify=1", 200); !strings.Contains(page, "The evidence was altered") {
			t.Error("altered evidence is not noticed")
		}
		if evidence := b.get("/opt-outs/evidence?format=csv&phone=%2B15005550122", 200); !strings.Contains(evidence, "letter of 3 May") {
			t.Errorf("evidence %s", evidence)
		}
		b.get("/opt-outs/nobody", 404)
		audit, err := w.app.store.AuditLog(t.Context(), 0, 9)
		if err != nil || len(audit) < 3 || audit[0].Action != "optout.set" || audit[0].Actor != audit[1].Actor || audit[0].Actor == "system" {
			t.Errorf("%+v, %v", audit, err)
		}
	})
}
