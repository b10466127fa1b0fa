package app

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/store"
)

// browser is somebody who is signed in at the console.
type browser struct {
	*swept
	http *http.Client
}

func (s *swept) browser() browser {
	s.Helper()
	jar, err := cookiejar.New(nil)
	s.must(err)
	b := browser{s, &http.Client{Jar: jar}}
	b.post("/sign-in", "/sign-in", url.Values{"secret": {"test-admin-secret"}})
	return b
}

func (b browser) get(path string) string {
	b.Helper()
	response, err := b.http.Get(b.app.URL("web") + path)
	b.must(err)
	return b.body(path, response)
}

func (b browser) body(path string, response *http.Response) string {
	b.Helper()
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	b.must(err)
	if response.StatusCode != http.StatusOK {
		b.Errorf("%s answers %d: %.300s", path, response.StatusCode, data)
	}
	return string(data)
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// post sends a form of the page.
func (b browser) post(page, path string, form url.Values) string {
	b.Helper()
	if token := csrfField.FindStringSubmatch(b.get(page)); token != nil {
		form.Set("csrf", token[1])
	}
	request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, b.app.URL("web")+path, strings.NewReader(form.Encode()))
	b.must(err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := b.http.Do(request)
	b.must(err)
	return b.body(path, response)
}

func holds(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not hold %q", text)
		}
	}
}

// The pages show what differs, with the people behind each number, and let an
// operator sweep and replay.
func TestTheDriftPagesShowWhoDiffersAndSweep(t *testing.T) {
	s := newSwept(t, databases()["sqlite"](t), 2)
	s.must(s.world.GHL.EditContact(s.people[0].id, map[string]string{"city": "Waco"}))
	s.lose()
	s.measure()
	b := s.browser()
	holds(t, b.get("/drift"), "Without a reason", "/drift/people?kind=field&amp;field=city&amp;reason=unexplained", "measure", "Undecided")
	holds(t, b.get("/drift/people?kind=field&field=city"), "/people/"+s.personOf(s.people[0]), "unexplained")
	holds(t, b.get("/drift/people?field=state"), "Nobody differs in that")
	holds(t, b.post("/drift", "/drift/run", url.Values{"job": {"sweep"}}), "Asked for")
	eventually(t, 10*time.Second, func() error {
		if got := s.drift(); len(got) > 0 {
			return io.ErrNoProgress
		}
		return nil
	})
	holds(t, b.get("/drift"), "Nothing differs", "sweep")
	holds(t, b.get("/replays?source=ghl"), " events of 2 people", "superseded")
	holds(t, b.post("/replays?source=ghl", "/replays", url.Values{"source": {"ghl"}}), "are being gone through")
	eventually(t, 10*time.Second, func() error {
		all, err := s.app.store.Replays(t.Context(), 1)
		if err == nil && (len(all) != 1 || all[0].Status != store.ReplayDone) {
			err = io.ErrNoProgress
		}
		return err
	})
	holds(t, b.get("/replays"), "done", "<progress")
}
