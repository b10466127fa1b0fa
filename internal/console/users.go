package console

import (
	"net/http"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
)

// registerUsers adds the JSON twins of the page Users.
func (s *Server) registerUsers(admin func(string, handler)) {
	admin("GET /api/admin/users", s.listUsers)
	admin("POST /api/admin/users", s.createUser)
	admin("GET /api/admin/users/{id}", s.getUser)
	admin("PUT /api/admin/users/{id}", s.changeUser)
	admin("PATCH /api/admin/users/{id}", s.changeUser)
	admin("DELETE /api/admin/users/{id}", s.disableUser)
}

type userView struct {
	ID           string     `json:"id"`
	Name         string     `json:"name"`
	Email        string     `json:"email"`
	Role         Role       `json:"role"`
	ClerkUserID  string     `json:"clerkUserId,omitempty"`
	HasPassword  bool       `json:"hasPassword"`
	Disabled     bool       `json:"disabled"`
	CreatedAt    time.Time  `json:"createdAt"`
	UpdatedAt    time.Time  `json:"updatedAt"`
	DisabledAt   *time.Time `json:"disabledAt"`
	LastSignInAt *time.Time `json:"lastSignInAt"`
}

func viewUser(u auth.User) userView {
	return userView{ID: u.ID, Name: u.Name, Email: u.Email, Role: u.Role, ClerkUserID: u.ClerkUserID, HasPassword: u.HasPassword, Disabled: u.Disabled(),
		CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt, DisabledAt: optional(u.DisabledAt), LastSignInAt: optional(u.SignedInAt)}
}

func (s *Server) listUsers(r *http.Request) (any, error) {
	users, err := s.Accounts.List(r.Context())
	if err != nil {
		return nil, err
	}
	views := make([]userView, len(users))
	for i, u := range users {
		views[i] = viewUser(u)
	}
	return page{Data: views}, nil
}

func (s *Server) getUser(r *http.Request) (any, error) {
	return answerUser(s.Accounts.Find(r.Context(), r.PathValue("id")))
}

func (s *Server) createUser(r *http.Request) (any, error) {
	var in struct {
		Name        string `json:"name"`
		Email       string `json:"email"`
		Role        Role   `json:"role"`
		Password    string `json:"password"`
		ClerkUserID string `json:"clerkUserId"`
	}
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	return answerUser(s.Accounts.Create(r.Context(), auth.NewUser{Name: in.Name, Email: in.Email, Role: in.Role, Password: df.Secret(in.Password),
		ClerkUserID: in.ClerkUserID}))
}

// changeUser changes what the body names and leaves the rest.
func (s *Server) changeUser(r *http.Request) (any, error) {
	var in struct {
		Name        *string `json:"name"`
		Email       *string `json:"email"`
		Role        *Role   `json:"role"`
		Password    *string `json:"password"`
		ClerkUserID *string `json:"clerkUserId"`
		Disabled    *bool   `json:"disabled"`
	}
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	if in.Name != nil {
		return nil, invalid("a name stands in the audit log and does not change; add another user instead")
	}
	change := auth.UserChange{Email: in.Email, Role: in.Role, ClerkUserID: in.ClerkUserID, Disabled: in.Disabled}
	if in.Password != nil {
		password := df.Secret(*in.Password)
		change.Password = &password
	}
	return answerUser(s.Accounts.Change(r.Context(), r.PathValue("id"), change))
}

func (s *Server) disableUser(r *http.Request) (any, error) {
	off := true
	return answerUser(s.Accounts.Change(r.Context(), r.PathValue("id"), auth.UserChange{Disabled: &off}))
}

func answerUser(u auth.User, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return viewUser(u), nil
}
