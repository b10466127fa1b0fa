package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/store"
)

// The names of the cookies over plain HTTP. Over HTTPS they have the prefix that
// makes browsers refuse them from any other host or path.
const (
	sessionCookie = "dfm_session"
	signInCookie  = "dfm_signin"
	hostPrefix    = "__Host-"
)

// secure reports whether the browser reached us over HTTPS, directly or through
// the proxy at our public address.
func (s *Server) secure(r *http.Request) bool {
	base, err := url.Parse(s.BaseURL)
	return r.TLS != nil || err == nil && base.Scheme == "https" && base.Host == r.Host
}

func (s *Server) cookieName(r *http.Request, name string) string {
	if s.secure(r) {
		return hostPrefix + name
	}
	return name
}

func (s *Server) setCookie(w http.ResponseWriter, r *http.Request, name, value string, seconds int) {
	http.SetCookie(w, &http.Cookie{
		Name: s.cookieName(r, name), Value: value, Path: "/", MaxAge: seconds,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: s.secure(r),
	})
}

// cookie returns what the session cookie holds, or "".
func (s *Server) cookie(r *http.Request) string {
	c, err := r.Cookie(s.cookieName(r, sessionCookie))
	if err != nil {
		return ""
	}
	return c.Value
}

// turnAway sends a browser without a session to the sign-in page. One that
// follows a link from elsewhere shows no strict cookie at first, even if it has
// one: the page's own step to the sign-in page shows it, and leads back.
func (s *Server) turnAway(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		s.failPage(w, r, auth.ErrUnauthorized)
		return
	}
	door := "/sign-in?next=" + url.QueryEscape(r.URL.RequestURI())
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") == "navigate" {
		w.Header().Set("Refresh", "0; url="+door)
		w.WriteHeader(http.StatusOK)
		return
	}
	http.Redirect(w, r, door, http.StatusSeeOther)
}

// signInView is the sign-in page. Its form has a token of its own, which the
// browser also holds in a cookie, so that no other site can sign it in.
type signInView struct {
	CSRF  string
	Next  string
	Error string
	Ended bool
}

func (s *Server) signInPage(w http.ResponseWriter, r *http.Request) {
	protect(w)
	if _, ok := s.sessions.find(s.cookie(r)); ok {
		http.Redirect(w, r, localPath(r.URL.Query().Get("next")), http.StatusSeeOther)
		return
	}
	s.offerSignIn(w, r, http.StatusOK, signInView{Next: localPath(r.URL.Query().Get("next")), Ended: r.URL.Query().Has("ended")})
}

func (s *Server) offerSignIn(w http.ResponseWriter, r *http.Request, status int, data signInView) {
	if c, err := r.Cookie(s.cookieName(r, signInCookie)); err == nil && c.Value != "" {
		data.CSRF = c.Value
	} else {
		made, err := token(s.Random)
		if err != nil {
			s.failPage(w, r, err)
			return
		}
		data.CSRF = made
		s.setCookie(w, r, signInCookie, made, 3600)
	}
	s.render(w, r, status, view{template: "signin.html", title: "Sign in", data: data})
}

// signIn judges the admin secret. The brake of the guard slows guessing down.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	protect(w)
	r.Body = http.MaxBytesReader(w, r.Body, formMost)
	if err := r.ParseForm(); err != nil {
		s.failPage(w, r, invalid("the form is too large or was cut off"))
		return
	}
	next := localPath(r.PostForm.Get("next"))
	c, err := r.Cookie(s.cookieName(r, signInCookie))
	if err != nil || c.Value == "" || s.crossOrigin.Check(r) != nil || !auth.Equal(r.PostForm.Get("csrf"), c.Value) {
		s.offerSignIn(w, r, http.StatusForbidden, signInView{Next: next, Error: "The page was too old, or your browser refuses cookies. Try again."})
		return
	}
	actor, err := s.Guard.Check(s.Guard.Remote(r), r.PostForm.Get("secret"))
	if err != nil {
		s.refuseSignIn(w, r, next, err)
		return
	}
	if err := s.startSession(w, r, actor); err != nil {
		s.failPage(w, r, err)
		return
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (s *Server) refuseSignIn(w http.ResponseWriter, r *http.Request, next string, err error) {
	status, text := http.StatusUnauthorized, "That is not the admin secret."
	if limited, ok := errors.AsType[*auth.RateLimitedError](err); ok {
		status, text = http.StatusTooManyRequests, "Too many wrong tries from your address. Wait "+strconv.Itoa(limited.RetryAfterSeconds())+" seconds."
		w.Header().Set("Retry-After", strconv.Itoa(limited.RetryAfterSeconds()))
	}
	s.offerSignIn(w, r, status, signInView{Next: next, Error: text})
}

// startSession begins a session with an id of its own, ends the one before, and
// writes the sign-in into the audit log.
func (s *Server) startSession(w http.ResponseWriter, r *http.Request, actor string) error {
	s.sessions.end(s.cookie(r))
	id, err := s.sessions.begin(actor)
	if err != nil {
		return err
	}
	err = s.Store.Audit(r.Context(), store.AuditRow{At: s.Clock(), Actor: actor, Action: "console.sign-in", Target: "console",
		Details: map[string]any{"from": s.Guard.Remote(r)}})
	if err != nil {
		s.sessions.end(id)
		return err
	}
	s.setCookie(w, r, sessionCookie, id, int(sessionTime.Seconds()))
	s.setCookie(w, r, signInCookie, "", -1)
	return nil
}

// signOut ends the session. The cookie may stay: it opens nothing any more.
func (s *Server) signOut(r *http.Request) (view, error) {
	s.sessions.end(visitorOf(r).id)
	s.pulse.drop(visitorOf(r).id)
	return view{redirect: "/sign-in?ended"}, s.audit(r, "console.sign-out", "console", nil)
}
