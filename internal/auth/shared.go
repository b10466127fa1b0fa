package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// SharedToken is the row that instances share about one token. Times are those
// of the clock that all our instances are assumed to agree on.
type SharedToken struct {
	Sealed    string    // the token, sealed by the Vault; empty when there is none
	ExpiresAt time.Time // of the sealed token; the row may be deleted after it
	NotBefore time.Time // nobody asks Clerk before this time; zero for no wait
	Trouble   Trouble   // why not, when NotBefore is set
}

// SharedState is what instances share, so that together they mint a token once
// and together leave Clerk alone when it refuses.
type SharedState interface {
	// LoadToken returns the row of that name, and a zero SharedToken when there
	// is none.
	LoadToken(ctx context.Context, name string) (SharedToken, error)
	// LeaseToken makes owner the one who may ask Clerk, for at most that long,
	// unless another owner's lease is still running. It returns whether it did
	// and the row as it is then, which may be newer than what LoadToken saw.
	LeaseToken(ctx context.Context, name, owner string, lease time.Duration) (row SharedToken, held bool, err error)
	// SaveToken replaces the row and ends the owner's lease. It changes nothing
	// and returns an error when the owner's lease has run out.
	SaveToken(ctx context.Context, name, owner string, row SharedToken) error
}

const (
	mintLease    = 20 * time.Second // longer than one attempt to mint
	sharedPoll   = 250 * time.Millisecond
	sharedCall   = 3 * time.Second
	sealPurpose  = "clerk token "
	obtainBudget = 45 * time.Second
)

// obtain gets the next token: another instance's when it has one, else a new
// one. Without shared state, or when that does not answer, it mints alone.
func (k *TokenKeeper) obtain(ctx context.Context, previous *ownToken) (*ownToken, error) {
	ctx, cancel := context.WithTimeout(ctx, obtainBudget)
	defer cancel()
	if k.Shared == nil {
		return k.Mint.mint(ctx)
	}
	for {
		token, decided, err := k.obtainShared(ctx, previous)
		if decided {
			return token, err
		}
		if err != nil {
			k.Log.WarnContext(ctx, "shared token not available, minting alone", "err", err)
			return k.Mint.mint(ctx)
		}
		select {
		case <-time.After(sharedPoll): // another instance is minting
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// obtainShared makes one round: look, lease, look again, mint, save. decided is
// false when another instance holds the lease, and when the database fails.
func (k *TokenKeeper) obtainShared(ctx context.Context, previous *ownToken) (token *ownToken, decided bool, err error) {
	call, cancel := context.WithTimeout(ctx, sharedCall)
	defer cancel()
	row, err := k.Shared.LoadToken(call, k.Mint.Name())
	if err != nil {
		return nil, false, fmt.Errorf("load token: %w", err)
	}
	if token, err := k.judgeRow(row, previous); token != nil || err != nil {
		return token, true, err
	}
	row, held, err := k.Shared.LeaseToken(call, k.Mint.Name(), k.Instance, mintLease)
	if err != nil {
		return nil, false, fmt.Errorf("lease token: %w", err)
	}
	if !held {
		return nil, false, nil
	}
	if token, err := k.judgeRow(row, previous); token != nil || err != nil {
		k.save(ctx, row) // ends the lease
		return token, true, err
	}
	token, err = k.mintShared(ctx, row)
	return token, true, err
}

// judgeRow returns the row's token when it is a better one than previous, or
// the trouble for which nobody is to ask Clerk now, or neither.
func (k *TokenKeeper) judgeRow(row SharedToken, previous *ownToken) (*ownToken, error) {
	now := k.Clock()
	if token := k.open(row); token != nil && now.Before(token.softEnd) && !k.refused(token.value) &&
		(previous == nil || !Equal(token.value.Reveal(), previous.value.Reveal())) {
		return token, nil
	}
	if now.Before(row.NotBefore) {
		return nil, row.Trouble.callError(row.NotBefore)
	}
	return nil, nil
}

// open returns the token in the row, or nil when there is none that can be read.
func (k *TokenKeeper) open(row SharedToken) *ownToken {
	if row.Sealed == "" {
		return nil
	}
	plain, err := k.Vault.Open(sealPurpose+k.Mint.Name(), row.Sealed)
	if err != nil {
		k.Log.Warn("shared token cannot be opened, minting a new one", "err", err)
		return nil
	}
	c, err := peekClaims(string(plain))
	if err != nil {
		return nil
	}
	offset := time.Duration(k.offset.Load())
	issued := c.IssuedAt.time()
	if issued.IsZero() { // its first instance knew; assume the worst
		issued = k.Clock().Add(offset)
	}
	token, err := newOwnToken(df.Secret(plain), c, issued, offset)
	if err != nil {
		return nil
	}
	return token
}

// mintShared mints while holding the lease and leaves the outcome in the row,
// good or bad.
func (k *TokenKeeper) mintShared(ctx context.Context, row SharedToken) (*ownToken, error) {
	token, err := k.Mint.mint(ctx)
	if ctx.Err() != nil && err != nil {
		return nil, err // stopping: the lease runs out by itself
	}
	if err != nil {
		row.Trouble = troubleOf(err)
		row.NotBefore = k.retryAt(err, row.Trouble, k.failuresSoFar())
		k.save(ctx, row)
		return nil, err
	}
	sealed, err := k.Vault.Seal(sealPurpose+k.Mint.Name(), []byte(token.value.Reveal()))
	if err != nil {
		k.Log.WarnContext(ctx, "token not shared", "err", err)
		return token, nil
	}
	k.save(ctx, SharedToken{Sealed: sealed, ExpiresAt: token.expires.UTC()})
	return token, nil
}

func (k *TokenKeeper) failuresSoFar() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.failures
}

// save writes the row. Failing costs another instance one more mint, no more.
func (k *TokenKeeper) save(ctx context.Context, row SharedToken) {
	ctx, cancel := context.WithTimeout(ctx, sharedCall)
	defer cancel()
	if err := k.Shared.SaveToken(ctx, k.Mint.Name(), k.Instance, row); err != nil && !errors.Is(err, context.Canceled) {
		k.Log.WarnContext(ctx, "token not shared", "err", err)
	}
}
