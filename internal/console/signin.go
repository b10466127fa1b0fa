package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
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
	Email string
	Error string

	Ended   bool // after signing out
	Changed bool // after the reader changed his password
	Clerk   bool // whether a token of Clerk's is a way in
}

func (s *Server) signInPage(w http.ResponseWriter, r *http.Request) {
	protect(w)
	_, ok, err := s.sessions.find(r.Context(), s.cookie(r))
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	if ok {
		http.Redirect(w, r, localPath(r.URL.Query().Get("next")), http.StatusSeeOther)
		return
	}
	s.offerSignIn(w, r, http.StatusOK, signInView{Next: localPath(r.URL.Query().Get("next")), Ended: r.URL.Query().Has("ended"),
		Changed: r.URL.Query().Has("changed")})
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
	data.Clerk = s.Clerk != nil
	s.render(w, r, status, view{template: "signin.html", title: "Sign in", data: data})
}

// signIn judges an e-mail with its password, or without an e-mail the admin
// secret. The brakes of the guard and of the accounts slow guessing down.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	protect(w)
	next, ok := s.signInForm(w, r)
	if !ok {
		return
	}
	email := strings.TrimSpace(r.PostForm.Get("email"))
	who, err := s.judge(r, email, r.PostForm.Get("secret"))
	if err != nil {
		text := "That is not the admin secret."
		if email != "" {
			text = "There is no user with this e-mail and password."
		}
		s.refuseSignIn(w, r, signInView{Next: next, Email: email, Error: text}, err)
		return
	}
	if err := s.startSession(w, r, who, "password"); err != nil {
		s.failPage(w, r, err)
		return
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// signInForm reads a form of the sign-in page and returns where it leads to. It
// answers by itself when the form was not sent from that page.
func (s *Server) signInForm(w http.ResponseWriter, r *http.Request) (next string, ok bool) {
	r.Body = http.MaxBytesReader(w, r.Body, formMost)
	if err := r.ParseForm(); err != nil {
		s.failPage(w, r, invalid("the form is too large or was cut off"))
		return "", false
	}
	next = localPath(r.PostForm.Get("next"))
	c, err := r.Cookie(s.cookieName(r, signInCookie))
	if err != nil || c.Value == "" || s.crossOrigin.Check(r) != nil || !auth.Equal(r.PostForm.Get("csrf"), c.Value) {
		s.offerSignIn(w, r, http.StatusForbidden, signInView{Next: next, Error: "The page was too old, or your browser refuses cookies. Try again."})
		return "", false
	}
	return next, true
}

// judge returns who it is that shows the secret.
func (s *Server) judge(r *http.Request, email, secret string) (entrant, error) {
	remote := s.Guard.Remote(r)
	if email == "" {
		actor, err := s.Guard.Check(remote, secret)
		return entrant{actor: actor, role: Admin}, err
	}
	user, err := s.Accounts.SignIn(r.Context(), remote, email, df.Secret(secret))
	if err != nil {
		s.tellRefused(remote, err)
	}
	return entrantOf(user), err
}

// tellRefused counts a refused sign-in of a user, as the guard does of its own.
func (s *Server) tellRefused(remote string, err error) {
	_, held := errors.AsType[*auth.RateLimitedError](err)
	if held || errors.Is(err, auth.ErrUnauthorized) || errors.Is(err, auth.ErrInvalidToken) {
		s.Guard.OnFailure(auth.Failure{Guard: "console", Remote: remote, Held: held})
	}
}

// refuseSignIn shows the sign-in page again, with what was wrong.
func (s *Server) refuseSignIn(w http.ResponseWriter, r *http.Request, shown signInView, err error) {
	status := http.StatusUnauthorized
	limited, held := errors.AsType[*auth.RateLimitedError](err)
	switch {
	case held:
		status, shown.Error = http.StatusTooManyRequests, "Too many wrong tries. Wait "+strconv.Itoa(limited.RetryAfterSeconds())+" seconds."
		w.Header().Set("Retry-After", strconv.Itoa(limited.RetryAfterSeconds()))
	case errors.Is(err, auth.ErrKeysUnavailable):
		status, shown.Error = http.StatusServiceUnavailable, "Clerk's keys could not be fetched yet. Try again in a moment."
	case !errors.Is(err, auth.ErrUnauthorized) && !errors.Is(err, auth.ErrInvalidToken):
		s.failPage(w, r, err)
		return
	}
	s.offerSignIn(w, r, status, shown)
}

// startSession begins a session with an id of its own, ends the one before, and
// writes the sign-in into the audit log.
func (s *Server) startSession(w http.ResponseWriter, r *http.Request, who entrant, way string) error {
	if err := s.sessions.end(r.Context(), s.cookie(r)); err != nil {
		return err
	}
	if who.user == "" {
		way = "admin secret"
	}
	id, err := s.sessions.begin(r.Context(), who, map[string]any{"from": s.Guard.Remote(r), "by": way})
	if err != nil {
		return err
	}
	s.setCookie(w, r, sessionCookie, id, int(sessionTime.Seconds()))
	s.setCookie(w, r, signInCookie, "", -1)
	return nil
}

// signOut ends the session. The cookie may stay: it opens nothing any more.
func (s *Server) signOut(r *http.Request) (view, error) {
	if err := s.sessions.end(r.Context(), visitorOf(r).id); err != nil {
		return view{}, err
	}
	s.pulse.drop(visitorOf(r).id)
	return view{redirect: "/sign-in?ended"}, s.audit(r, "console.sign-out", "console", nil)
}
