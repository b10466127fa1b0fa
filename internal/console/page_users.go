package console

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// writeUserPages adds the pages about users, and everybody's own password.
func (s *Server) writeUserPages(b *Book) {
	b.page(Admin, "/users", s.usersPage)
	b.page(Admin, "/users/{id}", s.userPage)
	b.page(Admin, "/users/{id}/{action}", s.confirmUser)
	b.form(Admin, "/users", s.addUser)
	b.form(Admin, "/users/{id}", s.editUser)
	b.form(Admin, "/users/{id}/password", s.setPassword)
	b.form(Admin, "/users/{id}/{action}", s.switchUser)
	b.page(Viewer, "/password", s.passwordPage)
	b.form(Viewer, "/password", s.changePassword)
}

type roleRow struct {
	Role    Role
	Meaning string
}

func roleRows() []roleRow {
	return []roleRow{
		{Viewer, "reads everything but keys, users and settings"}, {Operator, "also works: replays, resolves, merges, chats"},
		{Admin, "also manages keys, users and settings"},
	}
}

type usersView struct {
	Users []auth.User
	Roles []roleRow
	Least int  // characters of a password
	Clerk bool // whether a token of Clerk's is a way in
}

func (s *Server) usersPage(r *http.Request) (view, error) {
	users, err := s.Accounts.List(r.Context())
	if err != nil {
		return view{}, err
	}
	return view{template: "users.html", title: "Users", section: "users",
		data: usersView{Users: users, Roles: roleRows(), Least: auth.PasswordLeast, Clerk: s.Clerk != nil}}, nil
}

type oneUserView struct {
	auth.User
	Roles []roleRow
	Least int
	Clerk bool
	Self  bool // whether the reader looks at himself
}

func (s *Server) userPage(r *http.Request) (view, error) {
	u, err := s.Accounts.Find(r.Context(), r.PathValue("id"))
	if err != nil {
		return view{}, err
	}
	return view{template: "user.html", title: u.Name, section: "users",
		data: oneUserView{u, roleRows(), auth.PasswordLeast, s.Clerk != nil, visitorOf(r).user == u.ID}}, nil
}

func (s *Server) addUser(r *http.Request) (view, error) {
	f := r.PostForm
	u, err := s.Accounts.Create(r.Context(), auth.NewUser{Name: f.Get("name"), Email: f.Get("email"), Role: Role(f.Get("role")),
		Password: df.Secret(f.Get("password")), ClerkUserID: f.Get("clerkUserId")})
	if err != nil {
		return view{}, err
	}
	return view{redirect: "/users", notice: u.Name + " can sign in now."}, nil
}

// editUser changes e-mail, role and link to Clerk.
func (s *Server) editUser(r *http.Request) (view, error) {
	email, role, clerk := r.PostForm.Get("email"), Role(r.PostForm.Get("role")), r.PostForm.Get("clerkUserId")
	change := auth.UserChange{Email: &email, Role: &role}
	if r.PostForm.Has("clerkUserId") { // the field is left out where there is no Clerk
		change.ClerkUserID = &clerk
	}
	u, err := s.Accounts.Change(r.Context(), r.PathValue("id"), change)
	if err != nil {
		return view{}, err
	}
	return view{redirect: "/users", notice: "What changed of " + u.Name + " counts from now on."}, nil
}

func (s *Server) setPassword(r *http.Request) (view, error) {
	password := df.Secret(r.PostForm.Get("password"))
	u, err := s.Accounts.Change(r.Context(), r.PathValue("id"), auth.UserChange{Password: &password})
	if err != nil {
		return view{}, err
	}
	return view{redirect: "/users", notice: u.Name + " has a new password and is signed out everywhere."}, nil
}

// switched reads whether the action disables or enables.
func switched(r *http.Request) (off bool, err error) {
	switch r.PathValue("action") {
	case "disable":
		return true, nil
	case "enable":
		return false, nil
	}
	return false, store.ErrNotFound
}

func (s *Server) confirmUser(r *http.Request) (view, error) {
	off, err := switched(r)
	if err != nil {
		return view{}, err
	}
	u, err := s.Accounts.Find(r.Context(), r.PathValue("id"))
	switch {
	case err != nil:
		return view{}, err
	case u.Disabled() == off:
		return view{}, store.ErrState
	}
	c := confirmation{
		Question: "Disable this user?", Subject: u.Name + ", " + u.Email, Button: "Disable", Danger: true, Back: "/users",
		Says: "Whatever " + u.Name + " has open is signed out at once, on every instance, and can sign in again only when enabled. What was done stays on record.",
	}
	if !off {
		c.Question, c.Button, c.Danger = "Enable this user?", "Enable", false
		c.Says = u.Name + " can sign in again, with the password and the role of before."
	}
	c.Post = "/users/" + url.PathEscape(u.ID) + "/" + r.PathValue("action")
	return confirm("users", c), nil
}

func (s *Server) switchUser(r *http.Request) (view, error) {
	off, err := switched(r)
	if err != nil {
		return view{}, err
	}
	u, err := s.Accounts.Change(r.Context(), r.PathValue("id"), auth.UserChange{Disabled: &off})
	if err != nil {
		return view{}, err
	}
	word := "enabled."
	if off {
		word = "disabled."
	}
	return view{redirect: "/users", notice: u.Name + " is " + word}, nil
}

type passwordView struct {
	Named bool // whether the reader is a user at all
	Least int
}

func (s *Server) passwordPage(r *http.Request) (view, error) {
	return view{template: "password.html", title: "Your password", data: passwordView{visitorOf(r).user != "", auth.PasswordLeast}}, nil
}

// changePassword changes the reader's own password. It ends all of his sessions:
// also this one, since whoever changes a password may do it because somebody else
// has one.
func (s *Server) changePassword(r *http.Request) (view, error) {
	who := visitorOf(r)
	if who.user == "" {
		return view{}, store.ErrState
	}
	if r.PostForm.Get("next") != r.PostForm.Get("again") {
		return view{}, invalid("the new password was not typed the same twice; go back and try again")
	}
	remote := s.Guard.Remote(r)
	_, err := s.Accounts.ChangeOwnPassword(r.Context(), remote, who.user, df.Secret(r.PostForm.Get("now")), df.Secret(r.PostForm.Get("next")))
	if errors.Is(err, auth.ErrUnauthorized) {
		s.tellRefused(remote, err)
		err = &df.Error{Code: "FORBIDDEN", Status: http.StatusForbidden, Message: "That is not your password of now."}
	}
	if err != nil {
		return view{}, err
	}
	s.pulse.drop(who.id)
	return view{redirect: "/sign-in?changed"}, nil
}
