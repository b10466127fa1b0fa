package stage

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func at() time.Time { return time.Date(2030, 1, 2, 15, 4, 5, 0, time.UTC) }

// play starts a stage with one operation, "touch", that counts its effects.
func play(t *testing.T, seed uint64) (s *Stage, effects func() int) {
	t.Helper()
	s = New(Config{Name: "toy", Seed: seed, Clock: at})
	s.SetMischief(Mischief{SlowBy: time.Millisecond})
	var mu sync.Mutex
	n := 0
	s.Route("touch", "POST", "/touch/", func(w http.ResponseWriter, r *http.Request) {
		if !Unwritten(r) {
			mu.Lock()
			n++
			mu.Unlock()
		}
		JSON(w, 200, map[string]bool{"ok": true})
	})
	if err := s.Listen(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, func() int { mu.Lock(); defer mu.Unlock(); return n }
}

// touch returns the status, 0 when there was no answer.
func touch(t *testing.T, s *Stage) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.URL()+"/touch/", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", nil
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body), answer.Header
}

func TestEachPrankDoesWhatItsNameSays(t *testing.T) {
	for _, test := range []struct {
		prank   Prank
		status  int
		effects int
	}{
		{NoPrank, 200, 1}, {RateLimited, 429, 0}, {RateLimitedUntil, 429, 0}, {LoseRequest, 0, 0},
		{LoseAnswer, 0, 1}, {NotWritten, 200, 0}, {HTML, 200, 0}, {Slow, 200, 1},
	} {
		t.Run(string(test.prank), func(t *testing.T) {
			s, effects := play(t, 1)
			s.Next("touch", test.prank)
			status, body, header := touch(t, s)
			if status != test.status || effects() != test.effects {
				t.Errorf("status %d, %d effects; want %d, %d", status, effects(), test.status, test.effects)
			}
			if got := header.Get("Retry-After") != ""; got != (test.prank == RateLimitedUntil) {
				t.Errorf("Retry-After present: %v", got)
			}
			if got := strings.HasPrefix(body, "<!DOCTYPE"); got != (test.prank == HTML) {
				t.Errorf("HTML: %v", got)
			}
			if requests := s.Requests(); requests[0].Prank != test.prank || requests[0].Status != test.status {
				t.Errorf("the log says %q and %d", requests[0].Prank, requests[0].Status)
			}
			if status, _, _ := touch(t, s); status != 200 {
				t.Errorf("the call after the prank got %d", status)
			}
		})
	}
}

func TestServerErrorsAreOfTheirKind(t *testing.T) {
	s, effects := play(t, 7)
	s.Next("touch", ServerError, ServerError, ServerError, ServerError)
	for range 4 {
		if status, _, _ := touch(t, s); status < 500 || status > 504 {
			t.Errorf("status %d", status)
		}
	}
	if effects() != 0 {
		t.Error("a server error had an effect")
	}
}

func TestMischiefIsTheSameForTheSameSeedWhateverRunsBeside(t *testing.T) {
	m := Mischief{RateLimited: 0.2, ServerError: 0.2, NotWritten: 0.2}
	run := func(seed uint64, noise bool) []Prank {
		s := New(Config{Name: "toy", Seed: seed, Clock: at})
		s.SetMischief(m)
		var got []Prank
		for i := range 200 {
			if noise && i%3 == 0 {
				r := httptest.NewRequest("GET", "/elsewhere", nil)
				s.begin(r, "other", nil)
			}
			entry, _ := s.begin(httptest.NewRequest("POST", "/touch/", nil), "touch", nil)
			got = append(got, entry.Prank)
		}
		return got
	}
	if !slices.Equal(run(1, false), run(1, true)) {
		t.Error("calls of another operation changed the fate of this one")
	}
	if slices.Equal(run(1, false), run(2, false)) {
		t.Error("another seed gave the same run")
	}
	count := 0
	for _, p := range run(3, false) {
		if p != NoPrank {
			count++
		}
	}
	if count < 60 || count > 140 { // 1 - 0.8³ = 0.49 of 200
		t.Errorf("%d of 200 calls met mischief", count)
	}
}

func TestMischiefOnlyMeetsItsOperations(t *testing.T) {
	s, _ := play(t, 1)
	s.SetMischief(Mischief{Operations: []string{"other"}, ServerError: 1})
	if status, _, _ := touch(t, s); status != 200 {
		t.Errorf("status %d", status)
	}
	s.SetWorldMischief(Mischief{RateLimited: 1})
	if status, _, _ := touch(t, s); status != 429 {
		t.Errorf("the world's mischief did not reach: %d", status)
	}
}

func TestTrailingSlashIsPartOfThePath(t *testing.T) {
	s, _ := play(t, 1)
	for path, want := range map[string]int{"/touch/": 200, "/touch": 404, "/touch//": 404, "//touch/": 404} {
		answer, err := http.Post(s.URL()+path, "application/json", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, answer.StatusCode, want)
		}
	}
}

func TestRouterPrefersLiteralSegmentsAndUnescapesValues(t *testing.T) {
	s := New(Config{Name: "toy", Clock: at})
	var got string
	note := func(name string) http.HandlerFunc {
		return func(_ http.ResponseWriter, r *http.Request) {
			got = name + " " + r.PathValue("id") + r.PathValue("path")
		}
	}
	s.Route("one", "GET", "/a/{id}", note("one"))
	s.Route("search", "GET", "/a/search", note("search"))
	s.Route("rest", "GET", "/files/{path...}", note("rest"))
	for path, want := range map[string]string{"/a/search": "search ", "/a/x%2Fy": "one x/y", "/files/a/b": "rest a/b"} {
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
		if got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestInterceptComesFirst(t *testing.T) {
	s, effects := play(t, 1)
	s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(418)
		return true
	})
	if status, _, _ := touch(t, s); status != 418 || effects() != 0 {
		t.Errorf("status %d, %d effects", status, effects())
	}
	s.Intercept(nil)
	if status, _, _ := touch(t, s); status != 200 || s.CallsOf("touch") != 2 {
		t.Errorf("status %d after %d calls", status, s.CallsOf("touch"))
	}
}

func TestListenRefusesAddressesOthersCanReach(t *testing.T) {
	s := New(Config{Name: "toy", Clock: at})
	for _, address := range []string{"0.0.0.0:0", "192.0.2.1:0", "example.test:0"} {
		if err := s.Listen(t.Context(), address); err == nil {
			t.Errorf("%s was accepted", address)
			_ = s.Close()
		}
	}
}

func TestMischiefReadsBackWhatItWrites(t *testing.T) {
	m := Mischief{RateLimitedUntil: 0.5, RetryAfter: 2 * time.Second, Normalise: true, DelayBy: 90 * time.Millisecond, Operations: []string{"x"}}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var back Mischief
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if back.RetryAfter != m.RetryAfter || back.DelayBy != m.DelayBy || back.RateLimitedUntil != 0.5 || !back.Normalise {
		t.Errorf("got %+v from %s", back, data)
	}
	for _, bad := range []string{`{"slow":2}`, `{"droppWebhooks":0.1}`, `{"retryAfter":"soon"}`, `{"slow":-0.1}`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func TestControlEndpointsStayOutOfTheLog(t *testing.T) {
	s, _ := play(t, 1)
	answer, err := http.Post(s.URL()+"/_sandbox/next", "application/json", strings.NewReader(`{"operation":"touch","pranks":["html"]}`))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if _, body, _ := touch(t, s); !strings.HasPrefix(body, "<!DOCTYPE") {
		t.Error("the prank did not come")
	}
	if n := len(s.Requests()); n != 1 {
		t.Errorf("%d requests in the log", n)
	}
	answer, err = http.Post(s.URL()+"/_sandbox/next", "application/json", strings.NewReader(`{"operation":"touch","pranks":["joke"]}`))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 400 {
		t.Errorf("an unknown prank got %d", answer.StatusCode)
	}
}

func TestCloseEndsRequestsThatHang(t *testing.T) {
	s := New(Config{Name: "toy", Clock: at})
	entered := make(chan struct{})
	s.Route("hang", "GET", "/hang", func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		s.Wait(r, time.Hour)
	})
	if err := s.Listen(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	finished := make(chan error, 1)
	go func() {
		answer, err := http.Get(s.URL() + "/hang")
		if err == nil {
			answer.Body.Close()
		}
		finished <- nil
	}()
	<-entered
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	<-finished
	if err := s.Settle(context.Background()); err != nil {
		t.Errorf("a closed stage has nothing to settle: %v", err)
	}
}

func TestPeopleSteerAStageWithCurl(t *testing.T) {
	s, _ := play(t, 1)
	send := func(method, path, body string) (int, map[string]any) {
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, httptest.NewRequest(method, path, strings.NewReader(body)))
		var out map[string]any
		_ = json.Unmarshal(rec.Body.Bytes(), &out) // lists are checked by their status
		return rec.Code, out
	}
	send("POST", "/_sandbox/pause", "")
	s.Send(Post{Event: "e", URL: s.URL() + "/touch/", Body: []byte(`{"x":1}`)})
	if status, _ := send("POST", "/_sandbox/settle", ""); status != 409 {
		t.Errorf("settling while paused: %d", status)
	}
	_, state := send("GET", "/_sandbox/state", "")
	if webhooks := state["webhooks"].(map[string]any); webhooks["pending"] != 1.0 || webhooks["paused"] != true {
		t.Errorf("got %v", state)
	}
	send("POST", "/_sandbox/resume", "")
	for _, order := range []string{"settle", "drop"} {
		if status, _ := send("POST", "/_sandbox/"+order, ""); status != 200 {
			t.Errorf("%s: %d", order, status)
		}
	}
	if status, out := send("POST", "/_sandbox/mischief", `{"html":1,"slowBy":"2s"}`); status != 200 || out["slowBy"] != "2s" {
		t.Errorf("%d %v", status, out)
	}
	if status, _ := send("POST", "/_sandbox/mischief", `{"hmtl":1}`); status != 400 || s.Mischief().HTML != 1 {
		t.Errorf("a misspelt order: %d, %+v", status, s.Mischief())
	}
	for _, path := range []string{"requests", "deliveries", "mischief"} {
		if status, _ := send("GET", "/_sandbox/"+path, ""); status != 200 {
			t.Errorf("%s: %d", path, status)
		}
	}
	if d := s.Deliveries(); len(d) != 1 || d[0].State != Given {
		t.Errorf("got %+v", d)
	}
	s.ForgetRequests()
	if len(s.Requests()) != 0 || s.CallsOf("touch") != 0 {
		t.Error("the requests were not forgotten")
	}
}

func TestTheLogKeepsTheNewest(t *testing.T) {
	s := New(Config{Name: "toy", Clock: at, LogSize: 3})
	for range 10 {
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}
	requests := s.Requests()
	if len(requests) != 3 || requests[2].Seq != 10 || s.CallsOf("unknown") != 10 {
		t.Errorf("got %+v", requests)
	}
}

func TestIdsFollowFromSeedAndName(t *testing.T) {
	id := func(seed uint64, name string) string {
		s := New(Config{Name: name, Seed: seed, Clock: at})
		return s.ID(20) + " " + s.UUID() + " " + s.HexID(12)
	}
	if first, again := id(1, "a"), id(1, "a"); first != again || id(1, "a") == id(2, "a") || id(1, "a") == id(1, "b") {
		t.Error("ids do not follow from seed and name alone")
	}
}

func FuzzMischief(f *testing.F) {
	f.Add(`{"dropWebhooks":0.1,"delayBy":"3s","operations":["x"]}`)
	f.Add(`{"slow":1e309}`)
	f.Fuzz(func(t *testing.T, text string) {
		var m Mischief
		if json.Unmarshal([]byte(text), &m) != nil {
			return
		}
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var back Mischief
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatalf("%s does not read back: %v", data, err)
		}
	})
}

func FuzzRouter(f *testing.F) {
	f.Add("/a/b%2Fc/")
	f.Add("//")
	f.Fuzz(func(t *testing.T, path string) {
		var routes router
		routes.add("one", "GET", "/a/{id}/b", http.NotFoundHandler())
		routes.add("rest", "GET", "/c/{path...}", http.NotFoundHandler())
		found, values, _ := routes.match("GET", path)
		if found != nil && found.operation == "one" && values["id"] == "" {
			t.Errorf("%q matched with an empty value", path)
		}
	})
}
