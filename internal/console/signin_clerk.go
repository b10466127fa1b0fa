package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
)

// clerkField is the field of a form that holds a session token of Clerk's, named
// as Clerk's own cookie.
const clerkField = "__session"

// clerkEntry is the answer to a program that traded a token for a session.
type clerkEntry struct {
	Name      string    `json:"name"`
	Role      Role      `json:"role"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// signInByClerk trades a session token of Clerk's for a session. It comes as
// Authorization: Bearer, which no page of another site can make a browser send;
// or in a form of the sign-in page; or in a form of a page of Verity's, whose
// origin must be among those that are configured, so that no other site can sign a
// browser in as somebody of its choice.
func (s *Server) signInByClerk(w http.ResponseWriter, r *http.Request) {
	protect(w)
	if s.Clerk == nil {
		s.failPage(w, r, &df.Error{Code: "NOT_FOUND", Message: "Clerk is not configured here.", Status: http.StatusNotFound})
		return
	}
	if token := auth.BearerOrHeader(r, ""); token != "" {
		s.tradeForProgram(w, r, token)
		return
	}
	next := "/"
	if !s.fromVerity(r) {
		var ok bool
		if next, ok = s.signInForm(w, r); !ok {
			return
		}
	} else if r.Body = http.MaxBytesReader(w, r.Body, formMost); r.ParseForm() != nil {
		s.failPage(w, r, invalid("the form is too large or was cut off"))
		return
	} else {
		next = localPath(r.PostForm.Get("next"))
	}
	user, err := s.byClerk(r, strings.TrimSpace(r.PostForm.Get(clerkField)))
	if err == nil {
		err = s.startSession(w, r, entrantOf(user), "clerk")
	}
	if err != nil {
		s.refuseSignIn(w, r, signInView{Next: next, Error: "The token is not good, or its user of Clerk's is not linked to a user here. A token is good for a minute."}, err)
		return
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// fromVerity reports whether a page of a configured origin sends the form.
func (s *Server) fromVerity(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	return len(origins) == 1 && slices.Contains(s.ClerkOrigins, origins[0])
}

// tradeForProgram answers a program with the session's cookie.
func (s *Server) tradeForProgram(w http.ResponseWriter, r *http.Request, token string) {
	user, err := s.byClerk(r, token)
	if err == nil {
		err = s.startSession(w, r, entrantOf(user), "clerk")
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, body{Success: true, Data: clerkEntry{user.Name, user.Role, s.Clock().Add(sessionTime).UTC()}})
}

func (s *Server) byClerk(r *http.Request, token string) (auth.User, error) {
	remote := s.Guard.Remote(r)
	user, err := s.Accounts.SignInByClerk(r.Context(), remote, func(ctx context.Context) (string, error) {
		if token == "" {
			return "", auth.ErrInvalidToken
		}
		return s.Clerk(ctx, token)
	})
	if errors.Is(err, auth.ErrInvalidToken) { // why is in the metrics; outsiders learn no more than of a stranger
		err = auth.ErrUnauthorized
	}
	if err != nil {
		s.tellRefused(remote, err)
	}
	return user, err
}
