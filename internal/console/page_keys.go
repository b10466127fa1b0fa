package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

type keysView struct {
	Keys   []keyRow
	Scopes []scopeRow
}

// keyRow is a key, and whether it works now.
type keyRow struct {
	auth.Key
	State string // active, ends, expired, revoked, setting
}

type scopeRow struct {
	Scope   auth.Scope
	Meaning string
}

// Active reports whether the key still opens anything.
func (k keyRow) Works() bool { return k.State == "active" || k.State == "ends" }

func (s *Server) keysPage(r *http.Request) (view, error) {
	keys, err := s.Keys.List(r.Context())
	if err != nil {
		return view{}, err
	}
	data := keysView{Scopes: []scopeRow{
		{auth.ScopeGateway, "call Verity through the gateway"}, {auth.ScopeMCP, "use the MCP server"},
		{auth.ScopeChat, "use the chat"}, {auth.ScopeAdminRead, "read the admin API, change nothing"},
	}}
	for _, k := range keys {
		data.Keys = append(data.Keys, keyRow{k, keyState(k, s.Clock())})
	}
	return view{template: "keys.html", title: "API keys", section: "keys", data: data}, nil
}

func keyState(k auth.Key, now time.Time) string {
	switch {
	case k.ID == auth.EnvKeyID:
		return "setting"
	case !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt):
		return "expired"
	case !k.Active(now):
		return "revoked"
	case !k.RevokedAt.IsZero():
		return "ends"
	default:
		return "active"
	}
}

// keyMade shows a new key, this once.
type keyMade struct {
	Key     auth.Key
	Text    string
	Rotated string // the key that it follows
	Until   time.Time
}

func (s *Server) makeKey(r *http.Request) (view, error) {
	want := auth.NewKey{Name: strings.TrimSpace(r.PostForm.Get("name"))}
	for _, scope := range r.PostForm["scope"] {
		want.Scopes = append(want.Scopes, auth.Scope(scope))
	}
	if text := r.PostForm.Get("expires"); text != "" {
		day, err := time.Parse(time.DateOnly, text)
		if err != nil {
			return view{}, invalid("the expiry must be a date such as 2030-12-31")
		}
		want.ExpiresAt = day
	}
	key, text, err := s.Keys.Create(r.Context(), want)
	if err != nil {
		return view{}, err
	}
	return view{template: "keymade.html", title: "New key", section: "keys", data: keyMade{Key: key, Text: text.Reveal()}}, nil
}

// wantedKey returns the key of the request when the action makes sense for it.
func (s *Server) wantedKey(r *http.Request) (auth.Key, error) {
	if action := r.PathValue("action"); action != "rotate" && action != "revoke" {
		return auth.Key{}, store.ErrNotFound
	}
	keys, err := s.Keys.List(r.Context())
	if err != nil {
		return auth.Key{}, err
	}
	i := slices.IndexFunc(keys, func(k auth.Key) bool { return k.ID == r.PathValue("id") })
	switch {
	case i < 0:
		return auth.Key{}, store.ErrNotFound
	case !(keyRow{keys[i], keyState(keys[i], s.Clock())}).Works():
		return auth.Key{}, store.ErrState
	}
	return keys[i], nil
}

func (s *Server) confirmKey(r *http.Request) (view, error) {
	k, err := s.wantedKey(r)
	if err != nil {
		return view{}, err
	}
	c := confirmation{
		Question: "Revoke this key?", Subject: k.Name + ", " + k.ID, Button: "Revoke", Danger: true, Back: "/keys",
		Says: "Whoever uses it is refused from now on: at once here, within five seconds on other instances. This cannot be taken back.",
	}
	if r.PathValue("action") == "rotate" {
		c.Question, c.Button, c.Danger, c.Overlap = "Rotate this key?", "Rotate", false, true
		c.Says = "A new key with the same name, scopes and expiry is made and shown once. The old one goes on working for the time you choose."
	}
	c.Post = "/keys/" + url.PathEscape(k.ID) + "/" + r.PathValue("action")
	return confirm("keys", c), nil
}

func (s *Server) changeKey(r *http.Request) (view, error) {
	k, err := s.wantedKey(r)
	if err != nil {
		return view{}, err
	}
	if r.PathValue("action") == "revoke" {
		if err := s.Keys.Revoke(r.Context(), k.ID); err != nil {
			return view{}, keyError(err)
		}
		return view{redirect: "/keys", notice: "The key " + k.Name + " was revoked."}, nil
	}
	hours, err := strconv.Atoi(r.PostForm.Get("overlapHours"))
	if err != nil || hours < 0 || hours > 90*24 {
		return view{}, &df.Error{Code: "INVALID_REQUEST", Status: http.StatusBadRequest, Message: "the overlap must be a whole number of hours, 90 days at most"}
	}
	overlap := time.Duration(hours) * time.Hour
	next, text, err := s.Keys.Rotate(r.Context(), k.ID, overlap)
	if err != nil {
		return view{}, keyError(err)
	}
	return view{template: "keymade.html", title: "New key", section: "keys",
		data: keyMade{Key: next, Text: text.Reveal(), Rotated: k.ID, Until: s.Clock().Add(overlap)}}, nil
}
