package visit

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// console is a sign-in, a list of three answers, and a page that fails.
func console(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sign-in", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `<input name="csrf" value="tok">`) })
	mux.HandleFunc("POST /sign-in", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("csrf") != "tok" || r.FormValue("secret") != "right" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "s"})
		w.WriteHeader(http.StatusSeeOther)
	})
	mux.HandleFunc("GET /api/list", func(w http.ResponseWriter, r *http.Request) {
		next := map[string]string{"": `"one"`, "one": `"two"`, "two": "null"}[r.URL.Query().Get("cursor")]
		fmt.Fprintf(w, `{"data":[],"nextCursor":%s}`, next)
	})
	mux.HandleFunc("GET /page", func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.Cookie("session"); err != nil {
			w.WriteHeader(http.StatusSeeOther)
		}
	})
	mux.HandleFunc("GET /broken", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, "<h1>It is</h1> <p>broken</p>")
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func TestAVisitorSignsInAndGoesDeep(t *testing.T) {
	server := console(t)
	if _, err := SignIn(t.Context(), server.URL, "wrong"); err == nil {
		t.Error("a wrong secret signs in")
	}
	v, err := SignIn(t.Context(), server.URL, "right")
	if err != nil {
		t.Fatal(err)
	}
	paths, err := v.Paths(t.Context(), []Pair{{"/page", "/api/list", false}, {"/page", "/api/list", true}, {"/page", "", false}})
	if err != nil || !slices.Equal(paths, []string{"/page", "/api/list", "/page?cursor=two", "/api/list?cursor=two"}) {
		t.Errorf("paths %v, %v", paths, err)
	}
	all, err := v.Measure(t.Context(), paths, 3, io.Discard)
	if err != nil || len(all) != 4 || all[0].Asked != 3 || all[0].P95 < all[3].P95 {
		t.Errorf("measured %+v, %v", all, err)
	}
	// A page that fails quickly is not fast.
	all, err = v.Measure(t.Context(), []string{"/broken", "/page"}, 1, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "/broken: answered 400: It is broken") || len(all) != 1 {
		t.Errorf("a broken page: %+v, %v", all, err)
	}
}

func TestTheTableSaysWhatIsOver(t *testing.T) {
	var took []time.Duration
	for i := range 20 {
		took = append(took, time.Duration(i+1)*time.Millisecond)
	}
	if p50, p95 := quantile(took, 0.5), quantile(took, 0.95); p50 != 10*time.Millisecond || p95 != 19*time.Millisecond {
		t.Errorf("p50 %v, p95 %v", p50, p95)
	}
	if one := quantile(took[:1], 0.95); one != time.Millisecond {
		t.Errorf("of one: %v", one)
	}
	all := []Timed{{Path: "/slow", Asked: 20, P95: 300 * time.Millisecond, Bytes: 2000}, {Path: "/fast", P95: 200 * time.Millisecond}}
	if n := Over(all, 200*time.Millisecond); n != 1 {
		t.Errorf("%d are over", n)
	}
	if text := Table(all, 1); !strings.Contains(text, "| `/slow` | 20 | 0.0 ms | 300.0 ms | 0.0 ms | 2 |") || strings.Contains(text, "/fast") {
		t.Errorf("the table is\n%s", text)
	}
}
