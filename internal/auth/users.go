package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/mail"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// User is somebody who may sign in at the console.
type User struct {
	ID          string
	Name        string // stands in the audit log, so it is never another's and does not change
	Email       string // in lower case
	Role        Role
	ClerkUserID string // user_…; "" when there is no way in by Clerk
	HasPassword bool
	CreatedAt   time.Time
	UpdatedAt   time.Time
	DisabledAt  time.Time // zero while the user may sign in
	SignedInAt  time.Time // the last time; zero for never

	epoch int64
	hash  string
}

// actorOfUsers is what the actors of users begin with.
const actorOfUsers = "user:"

// Actor is how the user stands in the audit log.
func (u User) Actor() string { return actorOfUsers + u.Name }

// Epoch counts how often the user's sessions were ended: one of an earlier epoch
// is worth nothing.
func (u User) Epoch() int64 { return u.epoch }

// Disabled reports whether the user may not sign in.
func (u User) Disabled() bool { return !u.DisabledAt.IsZero() }

// ErrNoUser is returned for an id that no user has.
var ErrNoUser error = &df.Error{Code: "NOT_FOUND", Status: http.StatusNotFound, Message: "there is no user with this id"}

// NewUser is what a new user is to be.
type NewUser struct {
	Name        string
	Email       string
	Role        Role
	Password    df.Secret // "" for none: then Clerk is the only way in
	ClerkUserID string
}

// UserChange says what is to become different about a user; nil leaves it.
type UserChange struct {
	Email       *string
	Role        *Role
	Password    *df.Secret
	ClerkUserID *string // "" takes the link away
	Disabled    *bool
}

// Users knows the users of the console: who they are, what proves it, and what
// they may. How often may be guessed is bounded by address, as everywhere, and by
// account, which no change of address gets around.
type Users struct {
	Store     *store.Store
	Passwords *Passwords
	Clock     df.Clock
	NewID     func() string
	Addresses *Brake // shared with the guards
	Accounts  *Brake
}

// Create adds a user. What is wrong with the request is INVALID_REQUEST, a name,
// e-mail or Clerk id that another user has is CONFLICT.
func (u *Users) Create(ctx context.Context, want NewUser) (User, error) {
	want.Name, want.ClerkUserID = strings.TrimSpace(norm.NFC.String(want.Name)), strings.TrimSpace(want.ClerkUserID)
	email, err := checkEmail(want.Email)
	if err = errors.Join(checkName(want.Name), err, checkRole(want.Role), checkClerkID(want.ClerkUserID)); err != nil {
		return User{}, firstOf(err)
	}
	row := store.ConsoleUser{ID: u.NewID(), Name: want.Name, NameKey: strings.ToLower(want.Name), Email: email, Role: string(want.Role),
		ClerkUserID: want.ClerkUserID, CreatedAt: u.Clock().UTC(), UpdatedAt: u.Clock().UTC()}
	if want.Password.Set() {
		if row.PasswordHash, err = u.Passwords.Hash(ctx, want.Password); err != nil {
			return User{}, err
		}
	} else if want.ClerkUserID == "" {
		return User{}, invalid(errors.New("give a password or a Clerk user id: without either nobody could sign in"))
	}
	made := userOf(row)
	err = u.Store.InTx(ctx, func(tx store.Tx) error {
		if err := store.InsertConsoleUser(ctx, tx, row); err != nil {
			return err
		}
		return store.InsertAudit(ctx, tx, u.line(ctx, "user.create", row.ID, map[string]any{"name": row.Name, "role": row.Role}))
	})
	return made, userError(err)
}

// List returns all users, those that may sign in first.
func (u *Users) List(ctx context.Context) ([]User, error) {
	rows, err := u.Store.ConsoleUsers(ctx)
	users := make([]User, len(rows))
	for i, row := range rows {
		users[i] = userOf(row)
	}
	return users, err
}

// Find returns the user with that id or that e-mail, or ErrNoUser.
func (u *Users) Find(ctx context.Context, idOrEmail string) (User, error) {
	row, err := u.Store.ConsoleUser(ctx, idOrEmail)
	if errors.Is(err, store.ErrNotFound) && strings.Contains(idOrEmail, "@") {
		row, err = u.Store.ConsoleUserByEmail(ctx, plainEmail(idOrEmail))
	}
	return userOf(row), userError(err)
}

// Change changes a user and returns how the user is then. A new password, another
// link to Clerk and being disabled end what the user has signed in to; another
// role counts from the next request on. Nobody may take away the own role or
// disable himself: an administrator must remain. The own password is changed by
// ChangeOwnPassword.
func (u *Users) Change(ctx context.Context, id string, c UserChange) (User, error) {
	was, err := u.Find(ctx, id)
	if err != nil {
		return User{}, err
	}
	self := Actor(ctx) == was.Actor()
	if self && c.Password != nil {
		return User{}, &df.Error{Code: "CONFLICT", Status: http.StatusConflict, Message: "change your own password where the one of now is asked for"}
	}
	if self && (c.Disabled != nil && *c.Disabled || c.Role != nil && *c.Role != was.Role) {
		return User{}, &df.Error{Code: "CONFLICT", Status: http.StatusConflict,
			Message: "nobody can disable himself or change his own role; another administrator can, and so can whoever has the admin secret"}
	}
	return u.change(ctx, was, c)
}

func (u *Users) change(ctx context.Context, was User, c UserChange) (User, error) {
	row, what, err := u.changeOf(ctx, was, c)
	if err != nil || len(what) == 1 { // the name alone: nothing differs
		return was, err
	}
	err = u.Store.InTx(ctx, func(tx store.Tx) error {
		if err := store.ChangeConsoleUser(ctx, tx, was.ID, row, u.Clock()); err != nil {
			return err
		}
		return store.InsertAudit(ctx, tx, u.line(ctx, "user.change", was.ID, what))
	})
	if err != nil {
		return User{}, userError(err)
	}
	return u.Find(ctx, was.ID)
}

// changeOf checks a change and says what it comes to: for the row, and for the
// audit log, which holds neither password nor e-mail.
func (u *Users) changeOf(ctx context.Context, was User, c UserChange) (store.UserChange, map[string]any, error) {
	row, what := store.UserChange{Disabled: c.Disabled}, map[string]any{"name": was.Name}
	if c.Email != nil {
		email, err := checkEmail(*c.Email)
		if err != nil {
			return row, nil, err
		}
		row.Email = &email
		if email != was.Email {
			what["email"] = "changed"
		}
	}
	if c.Role != nil {
		if err := checkRole(*c.Role); err != nil {
			return row, nil, err
		}
		role := string(*c.Role)
		row.Role = &role
		if *c.Role != was.Role {
			what["role"] = string(was.Role) + " to " + role
		}
	}
	if c.ClerkUserID != nil {
		id := strings.TrimSpace(*c.ClerkUserID)
		if err := checkClerkID(id); err != nil {
			return row, nil, err
		}
		row.ClerkUserID = &id
		if id != was.ClerkUserID {
			what["clerk"], row.EndSessions = "changed", true
		}
	}
	if c.Password != nil {
		hash, err := u.Passwords.Hash(ctx, *c.Password)
		if err != nil {
			return row, nil, err
		}
		row.PasswordHash, row.EndSessions, what["password"] = &hash, true, "changed"
	}
	if c.Disabled != nil && *c.Disabled != was.Disabled() {
		what["disabled"], row.EndSessions = *c.Disabled, true
	}
	return row, what, nil
}

func (u *Users) line(ctx context.Context, action, target string, details map[string]any) store.AuditRow {
	return store.AuditRow{At: u.Clock().UTC(), Actor: Actor(ctx), Action: action, Target: target, Details: details}
}

// userError turns what the store says into what an outsider may read.
func userError(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return ErrNoUser
	case errors.Is(err, store.ErrUnique):
		return &df.Error{Code: "CONFLICT", Status: http.StatusConflict, Message: "another user has this name, e-mail or Clerk user id; disabled users keep theirs"}
	}
	return err
}

// firstOf returns the first of several errors: people mend one after the other.
func firstOf(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()[0]
	}
	return err
}

func checkName(name string) error {
	if name == "" || utf8.RuneCountInString(name) > 100 || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return invalid(errors.New("the name must have 1 to 100 printable characters"))
	}
	return nil
}

// plainEmail is the spelling in which e-mails are kept and compared.
func plainEmail(email string) string {
	return strings.ToLower(norm.NFC.String(strings.TrimSpace(email)))
}

func checkEmail(email string) (string, error) {
	plain := plainEmail(email)
	parsed, err := mail.ParseAddress(plain)
	if err != nil || parsed.Address != plain || len(plain) > 254 {
		return "", invalid(errors.New("the e-mail must be an address such as dana@example.com"))
	}
	return plain, nil
}

func checkRole(role Role) error {
	if !role.Allows(Viewer) {
		return invalid(errors.New("the role must be viewer, operator or admin"))
	}
	return nil
}

var clerkUser = regexp.MustCompile(`^user_[A-Za-z0-9]{1,100}$`)

func checkClerkID(id string) error {
	if id != "" && !clerkUser.MatchString(id) {
		return invalid(errors.New("the Clerk user id must read user_…, as Clerk's dashboard shows it; it is no e-mail"))
	}
	return nil
}

func userOf(row store.ConsoleUser) User {
	return User{ID: row.ID, Name: row.Name, Email: row.Email, Role: Role(row.Role), ClerkUserID: row.ClerkUserID, HasPassword: row.PasswordHash != "",
		CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt, DisabledAt: row.DisabledAt, SignedInAt: row.SignedInAt, epoch: row.Epoch, hash: row.PasswordHash}
}

// accountKey names an account for the brake without telling whose it is.
func accountKey(email string) string {
	sum := sha256.Sum256([]byte(email))
	return hex.EncodeToString(sum[:])
}
