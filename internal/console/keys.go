package console

import (
	"errors"
	"net/http"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
)

type keyView struct {
	ID         string       `json:"id"`
	Key        string       `json:"key,omitempty"` // only in the answer that made it
	Name       string       `json:"name"`
	Scopes     []auth.Scope `json:"scopes"`
	CreatedAt  time.Time    `json:"createdAt"`
	ExpiresAt  *time.Time   `json:"expiresAt"`
	RevokedAt  *time.Time   `json:"revokedAt"`
	LastUsedAt *time.Time   `json:"lastUsedAt"`
}

func viewKey(k auth.Key, text df.Secret) keyView {
	return keyView{
		ID: k.ID, Key: text.Reveal(), Name: k.Name, Scopes: k.Scopes, CreatedAt: k.CreatedAt,
		ExpiresAt: optional(k.ExpiresAt), RevokedAt: optional(k.RevokedAt), LastUsedAt: optional(k.LastUsedAt),
	}
}

func (s *Server) listKeys(r *http.Request) (any, error) {
	keys, err := s.Keys.List(r.Context())
	if err != nil {
		return nil, err
	}
	views := make([]keyView, len(keys))
	for i, k := range keys {
		views[i] = viewKey(k, "")
	}
	return page{Data: views}, nil
}

// createKey makes a key and shows it this once.
func (s *Server) createKey(r *http.Request) (any, error) {
	var in struct {
		Name      string       `json:"name"`
		Scopes    []auth.Scope `json:"scopes"`
		ExpiresAt *time.Time   `json:"expiresAt"`
	}
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	want := auth.NewKey{Name: in.Name, Scopes: in.Scopes}
	if in.ExpiresAt != nil {
		want.ExpiresAt = *in.ExpiresAt
	}
	key, text, err := s.Keys.Create(r.Context(), want)
	if err != nil {
		return nil, err
	}
	return viewKey(key, text), nil
}

// rotateKey makes a key like another one, which goes on working for the overlap.
func (s *Server) rotateKey(r *http.Request) (any, error) {
	var in struct {
		OverlapSeconds int `json:"overlapSeconds"`
	}
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	key, text, err := s.Keys.Rotate(r.Context(), r.PathValue("id"), time.Duration(in.OverlapSeconds)*time.Second)
	if err != nil {
		return nil, keyError(err)
	}
	return viewKey(key, text), nil
}

func (s *Server) revokeKey(r *http.Request) (any, error) {
	id := r.PathValue("id")
	if err := s.Keys.Revoke(r.Context(), id); err != nil {
		return nil, keyError(err)
	}
	return map[string]string{"id": id}, nil
}

func keyError(err error) error {
	if errors.Is(err, auth.ErrNoKey) {
		return &df.Error{Code: "NOT_FOUND", Message: "there is no key with this id", Status: http.StatusNotFound}
	}
	return err
}
