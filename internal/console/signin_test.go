package console_test

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func (w *world) cookies() map[string]string {
	at, err := url.Parse(w.URL)
	w.must(err)
	held := map[string]string{}
	for _, c := range w.browser.Jar.Cookies(at) {
		held[c.Name] = c.Value
	}
	return held
}

func TestASessionBeginsAndEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signIn()
	before := w.cookies()["dfm_session"]
	if got := w.get("/sign-in?next=/people"); got.status != http.StatusSeeOther || got.header.Get("Location") != "/people" {
		t.Errorf("the sign-in page of a signed-in browser: %d to %q", got.status, got.header.Get("Location"))
	}
	w.has("/audit", "console.sign-in")
	if got := w.post("/sign-out"); got.status != http.StatusSeeOther || got.header.Get("Location") != "/sign-in?ended" {
		t.Fatalf("%d to %q", got.status, got.header.Get("Location"))
	}
	w.has("/sign-in?ended", "You are signed out")
	if got := w.get("/audit"); got.status != http.StatusSeeOther || w.cookies()["dfm_session"] != before {
		t.Errorf("the old cookie still opens the door: %d", got.status)
	}
	w.signIn()
	if after := w.cookies()["dfm_session"]; after == before {
		t.Error("a session id came back")
	}
	w.has("/audit", "console.sign-out")
}

func TestASessionExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signIn()
	w.clock.skip(12*time.Hour - time.Minute)
	w.has("/agents")
	w.clock.skip(time.Minute)
	if got := w.get("/agents?x=1"); got.status != http.StatusSeeOther || got.header.Get("Location") != "/sign-in?next=%2Fagents%3Fx%3D1" {
		t.Errorf("after 12 hours: %d to %q", got.status, got.header.Get("Location"))
	}
	if got := w.post("/agents", "key", "LATE"); got.status != http.StatusUnauthorized {
		t.Errorf("a form after 12 hours: %d", got.status)
	}
}

func TestAWrongSecretIsRefusedAndGuessingIsHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	try := func(secret string) answer {
		return w.do(http.MethodPost, "/sign-in", url.Values{"csrf": {tokenIn(t, w.get("/sign-in").body)}, "secret": {secret}}, nil)
	}
	for range 10 {
		if got := try("guess"); got.status != http.StatusUnauthorized || !strings.Contains(got.body, "not the admin secret") || strings.Contains(got.body, "guess") {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	held := try(adminSecret)
	if held.status != http.StatusTooManyRequests || held.header.Get("Retry-After") == "" || w.cookies()["dfm_session"] != "" {
		t.Errorf("the eleventh try, with the right secret: %d", held.status)
	}
	w.clock.skip(11 * time.Second)
	if got := try(adminSecret); got.status != http.StatusSeeOther {
		t.Errorf("after the pause: %d", got.status)
	}
}

func TestCookiesAreHardToSteal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	form := url.Values{"csrf": {tokenIn(t, w.get("/sign-in").body)}, "secret": {adminSecret}}
	got := w.do(http.MethodPost, "/sign-in", form, nil)
	cookie := got.header.Get("Set-Cookie")
	for _, part := range []string{"dfm_session=", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"} {
		if !strings.Contains(cookie, part) {
			t.Errorf("the cookie %q lacks %s", cookie[:20], part)
		}
	}
	secure := newWorld(t)
	server := secure.Config.Handler
	secure.Server.Close()
	secure.Server = newTLS(t, server)
	transport := secure.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: transport.TLSClientConfig.RootCAs}
	secure.browser = secure.newBrowser()
	secure.browser.Transport = transport
	t.Cleanup(transport.CloseIdleConnections)
	form.Set("csrf", tokenIn(t, secure.get("/sign-in").body))
	cookie = secure.do(http.MethodPost, "/sign-in", form, nil).header.Get("Set-Cookie")
	if !strings.HasPrefix(cookie, "__Host-dfm_session=") || !strings.Contains(cookie, "; Secure") {
		t.Errorf("over HTTPS the cookie is %.24q…", cookie)
	}
}

// A form that another site made the browser send, or one without the token,
// changes nothing.
func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	path := "/events/" + w.events["done"] + "/replay"
	form := url.Values{"reason": {"forged"}}
	for name, forge := range map[string]func() answer{
		"no token":    func() answer { return w.do(http.MethodPost, path, form, nil) },
		"wrong token": func() answer { return w.do(http.MethodPost, path, url.Values{"reason": {"x"}, "csrf": {"x"}}, nil) },
		"from another site": func() answer {
			return w.do(http.MethodPost, path, url.Values{"reason": {"x"}, "csrf": {w.csrf}}, http.Header{"Sec-Fetch-Site": {"cross-site"}})
		},
		"from another origin": func() answer {
			return w.do(http.MethodPost, path, url.Values{"reason": {"x"}, "csrf": {w.csrf}}, http.Header{"Origin": {"https://elsewhere.example.test"}})
		},
		"token in the address": func() answer { return w.do(http.MethodPost, path+"?csrf="+w.csrf, form, nil) },
	} {
		if got := forge(); got.status != http.StatusForbidden {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	if got := w.post(path, "reason", strings.Repeat("x", 70<<10)); got.status != http.StatusBadRequest {
		t.Errorf("a huge form: %d", got.status)
	}
	w.browser = w.newBrowser()
	if got := w.do(http.MethodPost, "/sign-in", url.Values{"csrf": {"x"}, "secret": {adminSecret}}, nil); got.status != http.StatusForbidden || w.cookies()["dfm_session"] != "" {
		t.Errorf("a sign-in that the browser did not ask for: %d", got.status)
	}
}

// The sign-in page leads back to where one came from, and nowhere else.
func TestSignInLeadsOnlyIntoTheConsole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signIn()
	for next, want := range map[string]string{
		"/events?status=error": "/events?status=error", "https://elsewhere.example.test/": "/", "//elsewhere.example.test": "/", "/\\elsewhere.example.test": "/",
		"javascript:alert(1)": "/", "": "/", "/\telsewhere": "/", "events": "/",
	} {
		if got := w.get("/sign-in?next=" + url.QueryEscape(next)).header.Get("Location"); got != want {
			t.Errorf("%q leads to %q, want %q", next, got, want)
		}
	}
}

// A strict cookie is not sent along with a link from a chat. The browser is led
// over the sign-in page then, which sees the cookie and leads back.
func TestALinkFromElsewhereWorksForASignedInBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signIn()
	kept := w.browser
	w.browser = w.newBrowser()
	got := w.do(http.MethodGet, "/events", nil, http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}})
	refresh := got.header.Get("Refresh")
	if got.status != http.StatusOK || refresh != "0; url=/sign-in?next=%2Fevents" || got.body != "" {
		t.Fatalf("%d %q %q", got.status, refresh, got.body)
	}
	w.browser = kept
	if got := w.get("/sign-in?next=%2Fevents"); got.header.Get("Location") != "/events" {
		t.Errorf("leads to %q", got.header.Get("Location"))
	}
}
