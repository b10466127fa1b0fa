package auth

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/df-middleware/dfm/internal/df"
)

// How long a key that was read from the store is believed. After keySoft one
// caller reads it again while the others go on with the copy; after keyHard
// nobody does, so a revocation counts everywhere within five seconds. Only
// when the store does not answer is a copy used for keyOutage: a gateway whose
// database restarts should not refuse everybody.
const (
	keySoft    = 3 * time.Second
	keyHard    = 5 * time.Second
	keyOutage  = time.Minute
	keyRetry   = time.Second
	keyLookup  = 2 * time.Second
	keyCached  = 10_000
	keyMissing = 1_000
)

// Ids that nobody has seen before are looked up at most at this rate, over all
// callers, so that invented keys cannot wear the database out. Keys that are
// in use are not held up by it.
const (
	discoverEvery = 50 * time.Millisecond
	discoverBurst = 50
)

// keyCache stands between Authenticate and the store. A copy of a key is only
// read again for a caller who knows its secret, so neither invented ids nor
// invented secrets reach the store.
type keyCache struct {
	store KeyStore
	clock df.Clock
	loads singleflight.Group

	mu       sync.Mutex
	known    *recent[string, *keyCopy]
	missing  *recent[string, time.Time] // id → when it was found not to exist
	discover bucket
}

type keyCopy struct {
	key    Key
	readAt time.Time
	nextAt time.Time // when to read it again
}

func newKeyCache(store KeyStore, clock df.Clock) *keyCache {
	return &keyCache{store: store, clock: clock,
		known: newRecent[string, *keyCopy](keyCached), missing: newRecent[string, time.Time](keyMissing)}
}

// get returns the key with that id and hash, or ErrUnauthorized, or a
// *RateLimitedError when too many unknown ids are being tried, or the store's
// error when there is no copy to go on with.
func (c *keyCache) get(ctx context.Context, id string, hash []byte) (Key, error) {
	now := c.clock()
	c.mu.Lock()
	held, ok := c.known.get(id)
	if !ok {
		err := c.mayDiscover(id, now)
		c.mu.Unlock()
		if err != nil {
			return Key{}, err
		}
		return c.load(ctx, id, hash)
	}
	key, fresh := held.key, now.Before(held.nextAt)
	if !hmac.Equal(key.Hash, hash) {
		c.mu.Unlock()
		return Key{}, ErrUnauthorized
	}
	if !fresh && now.Sub(held.readAt) < keyHard {
		held.nextAt = now.Add(keyRetry) // the others go on while this caller reads
	}
	c.mu.Unlock()
	if fresh {
		return key, nil
	}
	return c.load(ctx, id, hash)
}

// mayDiscover decides, under the lock, whether an unknown id may be looked up.
func (c *keyCache) mayDiscover(id string, now time.Time) error {
	if foundAt, ok := c.missing.get(id); ok && now.Sub(foundAt) < keyHard {
		return ErrUnauthorized
	}
	if wait := c.discover.take(now, discoverEvery, discoverBurst); wait > 0 {
		return &RateLimitedError{RetryAfter: wait}
	}
	return nil
}

// load reads the key, once for all who ask for it at the same time.
func (c *keyCache) load(ctx context.Context, id string, hash []byte) (Key, error) {
	loaded, err, _ := c.loads.Do(id, func() (any, error) {
		// The first caller's leaving must not fail the others.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keyLookup)
		defer cancel()
		key, err := c.store.KeyByID(ctx, id)
		return c.keep(id, key, err)
	})
	if err != nil {
		return Key{}, err
	}
	key := loaded.(Key)
	if !hmac.Equal(key.Hash, hash) {
		return Key{}, ErrUnauthorized
	}
	return key, nil
}

// keep remembers the outcome of a read and decides what it means.
func (c *keyCache) keep(id string, key Key, err error) (Key, error) {
	now := c.clock()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.known.put(id, &keyCopy{key: key, readAt: now, nextAt: now.Add(keySoft)})
		c.missing.remove(id)
		return key, nil
	case errors.Is(err, ErrNoKey):
		c.known.remove(id)
		c.missing.put(id, now)
		return Key{}, ErrUnauthorized
	}
	if held, ok := c.known.get(id); ok && now.Sub(held.readAt) < keyOutage {
		held.nextAt = now.Add(keyRetry)
		return held.key, nil
	}
	return Key{}, fmt.Errorf("look up API key: %w", err)
}

// forget drops the copy of a key that this instance has just changed.
func (c *keyCache) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known.remove(id)
	c.missing.remove(id)
}
