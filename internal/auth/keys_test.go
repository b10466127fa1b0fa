package auth

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

func testKeys(store KeyStore, change func(*KeysConfig)) *Keys {
	config := KeysConfig{Store: store, EnvKey: "gw-demo-key", Clock: time.Now, Random: rand.Reader, Log: quiet()}
	if change != nil {
		change(&config)
	}
	return NewKeys(config)
}

func newKey(t *testing.T, k *Keys, scopes ...Scope) (Key, string) {
	t.Helper()
	key, text, err := k.Create(WithActor(t.Context(), "admin"), NewKey{Name: "reports", Scopes: scopes})
	if err != nil {
		t.Fatal(err)
	}
	return key, text.Reveal()
}

func wantAuth(t *testing.T, k *Keys, presented string, scope Scope, want error) {
	t.Helper()
	key, err := k.Authenticate(t.Context(), presented, scope)
	if !errors.Is(err, want) || (err != nil && key.ID != "") {
		t.Errorf("scope %s: key %q, %v, want %v", scope, key.ID, err, want)
	}
}

func TestKeyIsGoodForItsScopesOnly(t *testing.T) {
	k := testKeys(newMemKeys(), nil)
	_, text := newKey(t, k, ScopeGateway, ScopeAdminRead)
	wantAuth(t, k, text, ScopeGateway, nil)
	wantAuth(t, k, text, ScopeAdminRead, nil)
	wantAuth(t, k, text, ScopeMCP, ErrForbidden)
	wantAuth(t, k, text, Scope("gatewa"), ErrForbidden)
	if public := df.AsError(ErrForbidden); public.Status != http.StatusForbidden || public.Code != "FORBIDDEN" {
		t.Errorf("outsiders read %v", public)
	}
}

func TestNothingButTheWholeKeyIsAccepted(t *testing.T) {
	k := testKeys(newMemKeys(), nil)
	key, text := newKey(t, k, ScopeGateway)
	last := map[bool]string{true: "A", false: "E"}[strings.HasSuffix(text, "E")]
	for name, presented := range map[string]string{
		"nothing": "", "only the prefix": keyPrefix, "only the id": keyPrefix + key.ID, "cut": text[:len(text)-1],
		"longer": text + "A", "last letter": text[:len(text)-1] + last, "unused bits": text[:len(text)-1] + "B",
		"capitals in the id": keyPrefix + strings.ToUpper(key.ID) + text[20:], "other separator": text[:20] + "." + text[21:],
		"the hash": fmt.Sprintf("%x", key.Hash), "with white space": " " + text, "huge": strings.Repeat("a", 1<<20),
		"unknown id": keyPrefix + "0123456789abcdef" + text[20:], "env key cut": "gw-demo-ke", "env key longer": "gw-demo-key ",
	} {
		if presented == text {
			continue
		}
		if _, err := k.Authenticate(t.Context(), presented, ScopeGateway); !errors.Is(err, ErrUnauthorized) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantAuth(t, k, text, ScopeGateway, nil)
}

func TestEnvironmentKeyStaysTheFirstKey(t *testing.T) {
	k := testKeys(nil, nil)
	for _, scope := range []Scope{ScopeGateway, ScopeMCP, ScopeChat} {
		wantAuth(t, k, "gw-demo-key", scope, nil)
	}
	wantAuth(t, k, "gw-demo-key", ScopeAdminRead, ErrForbidden)
	if keys, err := k.List(t.Context()); err != nil || len(keys) != 1 || keys[0].ID != EnvKeyID {
		t.Errorf("list: %v, %v", keys, err)
	}
	stored := testKeys(newMemKeys(), nil)
	made, _ := newKey(t, stored, ScopeChat)
	if keys, err := stored.List(t.Context()); err != nil || len(keys) != 2 || keys[0].ID != EnvKeyID || keys[1].ID != made.ID {
		t.Errorf("list with a store: %v, %v", keys, err)
	}
	if _, _, err := k.Create(t.Context(), NewKey{Name: "n", Scopes: []Scope{ScopeChat}}); df.AsError(err).Code != "INVALID_REQUEST" {
		t.Errorf("create without a store: %v", err)
	}
	if err := k.Revoke(t.Context(), made.ID); !errors.Is(err, ErrNoKey) {
		t.Errorf("revoke without a store: %v", err)
	}
	closed := testKeys(nil, func(c *KeysConfig) { c.EnvKey = "" })
	wantAuth(t, closed, "", ScopeGateway, ErrUnauthorized) // an unset key opens nothing
	for name, err := range map[string]error{"revoke": k.Revoke(t.Context(), EnvKeyID), "rotate": second(k.Rotate(t.Context(), EnvKeyID, 0))} {
		if df.AsError(err).Code != "INVALID_REQUEST" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second(_ Key, _ df.Secret, err error) error { return err }

func TestStoredKeyHoldsNoSecret(t *testing.T) {
	store := newMemKeys()
	k := testKeys(store, nil)
	key, text := newKey(t, k, ScopeGateway)
	secret := strings.Split(text, "_")[2]
	shown, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{fmt.Sprintf("%+v", store.keys), fmt.Sprintf("%+v", store.audits), string(shown)} {
		if strings.Contains(place, secret) {
			t.Errorf("holds the secret: %s", place)
		}
	}
	if strings.Contains(string(shown), "Hash") {
		t.Errorf("JSON shows the hash: %s", shown)
	}
	if a := store.audits[0]; a.Actor != "admin" || a.Action != "key.create" || a.Target != key.ID || a.Details["scopes"] != "gateway" {
		t.Errorf("audit %+v", a)
	}
}

func TestWrongWishesForKeysAreRefusedWithAReason(t *testing.T) {
	k := testKeys(newMemKeys(), nil)
	good := NewKey{Name: "n", Scopes: []Scope{ScopeGateway}}
	for want, change := range map[string]func(*NewKey){
		"name must have":    func(n *NewKey) { n.Name = "  " },
		"characters":        func(n *NewKey) { n.Name = strings.Repeat("n", 101) },
		"control":           func(n *NewKey) { n.Name = "a\nb" },
		"at least one":      func(n *NewKey) { n.Scopes = nil },
		"unknown scope":     func(n *NewKey) { n.Scopes = []Scope{"admin"} },
		"in the future":     func(n *NewKey) { n.ExpiresAt = time.Now().Add(-time.Hour) },
		"must not be negat": func(n *NewKey) { n.Rate.PerMinute = -1 },
	} {
		wish := good
		change(&wish)
		_, _, err := k.Create(t.Context(), wish)
		if public := df.AsError(err); public.Code != "INVALID_REQUEST" || !strings.Contains(public.Message, want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	short := testKeys(newMemKeys(), func(c *KeysConfig) { c.Random = strings.NewReader("short") })
	if _, _, err := short.Create(t.Context(), good); err == nil {
		t.Error("made a key without randomness")
	}
}

func TestKeyEndsWithItsExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := testKeys(newMemKeys(), nil)
		_, text, err := k.Create(t.Context(), NewKey{Name: "n", Scopes: []Scope{ScopeGateway}, ExpiresAt: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour - time.Second)
		wantAuth(t, k, text.Reveal(), ScopeGateway, nil)
		time.Sleep(time.Second)
		wantAuth(t, k, text.Reveal(), ScopeGateway, ErrUnauthorized)
	})
}

func TestRevocationCountsHereAtOnceAndElsewhereWithinFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemKeys()
		here, there := testKeys(store, nil), testKeys(store, nil)
		key, text := newKey(t, here, ScopeGateway)
		wantAuth(t, here, text, ScopeGateway, nil)
		wantAuth(t, there, text, ScopeGateway, nil)
		if err := here.Revoke(t.Context(), key.ID); err != nil {
			t.Fatal(err)
		}
		wantAuth(t, here, text, ScopeGateway, ErrUnauthorized)
		time.Sleep(keyHard)
		wantAuth(t, there, text, ScopeGateway, ErrUnauthorized)
		if err := here.Revoke(t.Context(), "0123456789abcdef"); !errors.Is(err, ErrNoKey) {
			t.Errorf("unknown key: %v", err)
		}
	})
}

// A key that was not used for long has an old copy, and only the first caller
// reads it again: the others must wait for that and not go by the old copy.
func TestNobodyGoesByACopyOlderThanFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemKeys()
		k := testKeys(store, nil)
		key, text := newKey(t, k, ScopeGateway)
		wantAuth(t, k, text, ScopeGateway, nil)
		time.Sleep(time.Hour)
		if err := store.RevokeKey(t.Context(), key.ID, time.Now(), Audit{}); err != nil {
			t.Fatal(err)
		}
		store.slow = time.Second
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { wantAuth(t, k, text, ScopeGateway, ErrUnauthorized) })
		}
		wg.Wait()
		if n := store.readCount(); n != 2 {
			t.Errorf("%d reads", n)
		}
	})
}

func TestRotationLetsBothKeysLiveForTheOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemKeys()
		k := testKeys(store, nil)
		old, oldText := newKey(t, k, ScopeGateway, ScopeMCP)
		next, nextText, err := k.Rotate(t.Context(), old.ID, time.Hour)
		if err != nil || next.Name != old.Name || !next.Allows(ScopeMCP) || next.ID == old.ID {
			t.Fatalf("%+v, %v", next, err)
		}
		wantAuth(t, k, oldText, ScopeGateway, nil)
		wantAuth(t, k, nextText.Reveal(), ScopeGateway, nil)
		time.Sleep(time.Hour)
		wantAuth(t, k, oldText, ScopeGateway, ErrUnauthorized)
		wantAuth(t, k, nextText.Reveal(), ScopeGateway, nil)
		if a := store.audits[1]; a.Action != "key.rotate" || a.Target != old.ID || a.Details["next"] != next.ID {
			t.Errorf("audit %+v", a)
		}
		if _, _, err := k.Rotate(t.Context(), old.ID, time.Hour); df.AsError(err).Code != "INVALID_REQUEST" {
			t.Errorf("rotated an ended key: %v", err)
		}
		if _, _, err := k.Rotate(t.Context(), next.ID, 91*24*time.Hour); df.AsError(err).Code != "INVALID_REQUEST" {
			t.Errorf("a long overlap: %v", err)
		}
	})
}

func TestKeyInUseCostsTheStoreOneReadInThreeSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemKeys()
		k := testKeys(store, nil)
		_, text := newKey(t, k, ScopeGateway)
		for range 600 { // a minute
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() { wantAuth(t, k, text, ScopeGateway, nil) })
			}
			wg.Wait()
			time.Sleep(100 * time.Millisecond)
		}
		if n := store.readCount(); n > 22 {
			t.Errorf("%d reads in a minute", n)
		}
	})
}

func TestInventedKeysDoNotReachTheStoreForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemKeys()
		k := testKeys(store, nil)
		key, text := newKey(t, k, ScopeGateway)
		wantAuth(t, k, text, ScopeGateway, nil)
		limited := 0
		for i := range 10_000 { // ten seconds of a thousand a second
			_, err := k.Authenticate(t.Context(), fmt.Sprintf("dfm_%016x%s", i, text[20:]), ScopeGateway)
			var over *RateLimitedError
			if errors.As(err, &over) {
				limited++
			} else if !errors.Is(err, ErrUnauthorized) {
				t.Fatal(err)
			}
			// Neither the flood nor wrong secrets disturb the good key.
			wantAuth(t, k, text, ScopeGateway, nil)
			wantAuth(t, k, "dfm_"+key.ID+"_"+strings.Repeat("A", 43), ScopeGateway, ErrUnauthorized)
			time.Sleep(time.Millisecond)
		}
		if n := store.readCount(); n > 260 || limited < 9_000 {
			t.Errorf("%d reads, %d limited", n, limited)
		}
		if n := k.cache.missing.len(); n > keyMissing {
			t.Errorf("remembers %d missing ids", n)
		}
	})
}

func TestKnownKeysSurviveAShortOutageOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemKeys()
		k := testKeys(store, nil)
		_, text := newKey(t, k, ScopeGateway)
		_, unknown := newKey(t, k, ScopeGateway)
		wantAuth(t, k, text, ScopeGateway, nil)
		before := store.readCount()
		down := errors.New("database is down")
		store.setDown(down)
		for range 55 {
			wantAuth(t, k, text, ScopeGateway, nil)
			time.Sleep(time.Second)
		}
		if n := store.readCount() - before; n > 60 {
			t.Errorf("%d reads while down", n)
		}
		wantAuth(t, k, unknown, ScopeGateway, down)
		if public := df.AsError(fmt.Errorf("x: %w", down)); public.Status != http.StatusInternalServerError {
			t.Errorf("outsiders read %v", public)
		}
		time.Sleep(10 * time.Second)
		wantAuth(t, k, text, ScopeGateway, down) // it might be revoked by now
		store.setDown(nil)
		time.Sleep(keyRetry)
		wantAuth(t, k, text, ScopeGateway, nil)
	})
}

func TestLastUsesAreWrittenInOneBatchAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemKeys()
		k := testKeys(store, nil)
		a, aText := newKey(t, k, ScopeGateway)
		b, bText := newKey(t, k, ScopeGateway)
		k.Start()
		time.Sleep(time.Millisecond)
		for range 180 {
			wantAuth(t, k, aText, ScopeGateway, nil)
			wantAuth(t, k, "gw-demo-key", ScopeGateway, nil)
			time.Sleep(time.Second)
		}
		touches, aUsed, bUsed := store.uses(a.ID, b.ID)
		if touches != 3 || time.Since(aUsed) > 2*time.Second || !bUsed.IsZero() {
			t.Errorf("%d writes, a %s, b %s", touches, aUsed, bUsed)
		}
		wantAuth(t, k, bText, ScopeGateway, nil)
		used := time.Now()
		store.setDown(errors.New("down"))
		time.Sleep(90 * time.Second)
		store.setDown(nil)
		stop(t, k) // writes what could not be written
		if _, _, got := store.uses(a.ID, b.ID); !got.Equal(used) {
			t.Errorf("b used at %s, want %s", got, used)
		}
	})
}

func TestRefusalsAreCountedByReason(t *testing.T) {
	counted := map[string]int{}
	store := newMemKeys()
	k := testKeys(store, func(c *KeysConfig) {
		c.OnRefuse = func(reason string) { counted[reason]++ }
		c.Limiter, c.Rate = NewLimiter(nil, time.Now, quiet()), Rate{PerMinute: 1, Burst: 1}
	})
	_, text := newKey(t, k, ScopeGateway)
	ctx := context.Background()
	for _, presented := range []string{"wrong", text, text} {
		_, _ = k.Authenticate(ctx, presented, ScopeGateway)
	}
	_, _ = k.Authenticate(ctx, text, ScopeChat)
	if got := fmt.Sprint(counted); got != "map[forbidden:1 rate_limited:1 unauthorized:1]" {
		t.Errorf("counted %s", got)
	}
}

func TestKeysOwnRateComesBeforeTheDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := testKeys(newMemKeys(), func(c *KeysConfig) {
			c.Limiter, c.Rate = NewLimiter(newMemRates(), time.Now, quiet()), Rate{PerMinute: 60, Burst: 1}
		})
		_, text, err := k.Create(t.Context(), NewKey{Name: "n", Scopes: []Scope{ScopeGateway}, Rate: Rate{PerMinute: 60, Burst: 3}})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			wantAuth(t, k, text.Reveal(), ScopeGateway, nil)
		}
		_, err = k.Authenticate(t.Context(), text.Reveal(), ScopeGateway)
		var over *RateLimitedError
		if !errors.As(err, &over) || over.RetryAfterSeconds() != 1 || df.AsError(err).Code != "RATE_LIMITED" {
			t.Errorf("got %v", err)
		}
		wantAuth(t, k, "gw-demo-key", ScopeGateway, nil)
		if _, err := k.Authenticate(t.Context(), "gw-demo-key", ScopeGateway); !errors.As(err, &over) {
			t.Errorf("default rate: %v", err)
		}
	})
}

func FuzzKeyID(f *testing.F) {
	id, text, err := issueKey(endless())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add("dfm_" + id)
	f.Fuzz(func(t *testing.T, text string) {
		if id, ok := keyIDOf(text); ok && (len(id) != keyIDLength || len(text) != keyLength) {
			t.Fatalf("%q has id %q", text, id)
		}
	})
}
