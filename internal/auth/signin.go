package auth

import (
	"context"
	"errors"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// SignIn returns the user whose e-mail and password these are. The errors are
// ErrUnauthorized, *RateLimitedError, and the store's. An e-mail that nobody has,
// a user without a password and one who is disabled cost the same work and get
// the same answer as a wrong password.
func (u *Users) SignIn(ctx context.Context, remote, email string, password df.Secret) (User, error) {
	email = plainEmail(email)
	forgive, err := u.spend(remote, email)
	if err != nil {
		return User{}, err
	}
	row, err := u.Store.ConsoleUserByEmail(ctx, email)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		forgive()
		return User{}, err
	}
	user := userOf(row)
	ok, stale, err := u.Passwords.Check(ctx, user.hash, password)
	switch {
	case err != nil:
		forgive()
		return User{}, err
	case !ok || user.Disabled():
		return User{}, ErrUnauthorized
	}
	forgive()
	return user, u.renew(ctx, user, password, stale)
}

// spend takes one try from the address and one from the account, and returns
// what gives both back.
func (u *Users) spend(remote, email string) (forgive func(), err error) {
	byAddress, held := u.Addresses.Spend(remote)
	if held > 0 {
		return nil, &RateLimitedError{RetryAfter: held}
	}
	byAccount, held := u.Accounts.Spend(accountKey(email))
	if held > 0 {
		return nil, &RateLimitedError{RetryAfter: held}
	}
	return func() { byAddress(); byAccount() }, nil
}

// renew hashes the password with the parameters of today, when its hash has
// others.
func (u *Users) renew(ctx context.Context, user User, password df.Secret, stale bool) error {
	if !stale {
		return nil
	}
	hash, err := u.Passwords.hash(ctx, password)
	if err != nil {
		return err
	}
	return u.Store.RehashConsoleUser(ctx, user.ID, user.hash, hash)
}

// SignInByClerk returns the user who is linked to the user of Clerk's for whom
// verify vouches. An e-mail is never asked: whoever can choose his at Clerk would
// choose whom he is here. The errors are ErrUnauthorized, *RateLimitedError, and
// those of verify and of the store.
func (u *Users) SignInByClerk(ctx context.Context, remote string, verify func(context.Context) (clerkUserID string, err error)) (User, error) {
	forgive, held := u.Addresses.Spend(remote)
	if held > 0 {
		return User{}, &RateLimitedError{RetryAfter: held}
	}
	subject, err := verify(ctx)
	if err != nil {
		if !errors.Is(err, ErrInvalidToken) {
			forgive()
		}
		return User{}, err
	}
	row, err := u.Store.ConsoleUserByClerk(ctx, subject)
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && !row.DisabledAt.IsZero():
		return User{}, ErrUnauthorized
	case err != nil:
		forgive()
		return User{}, err
	}
	forgive()
	return userOf(row), nil
}

// ChangeOwnPassword changes the password of a user who knows the one of now, and
// ends all of the user's sessions. Guessing is bounded as at the sign-in. The
// errors are those of SignIn and of Change.
func (u *Users) ChangeOwnPassword(ctx context.Context, remote, id string, now, next df.Secret) (User, error) {
	user, err := u.Find(ctx, id)
	if err != nil {
		return User{}, err
	}
	if err := checkPassword(next); err != nil {
		return User{}, err
	}
	if user, err = u.SignIn(ctx, remote, user.Email, now); err != nil {
		return User{}, err
	}
	return u.change(ctx, user, UserChange{Password: &next})
}
