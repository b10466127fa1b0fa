package auth_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

func TestStoredKeysLiveAndEndWithTheirAuditLine(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		keys := auth.NewKeys(auth.KeysConfig{
			Store: auth.Stored{Store: s, Clock: time.Now}, Clock: time.Now, Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
		})
		ctx := auth.WithActor(t.Context(), "admin")
		key, text, err := keys.Create(ctx, auth.NewKey{Name: "billing", Scopes: []auth.Scope{auth.ScopeGateway}})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := keys.Authenticate(ctx, text.Reveal(), auth.ScopeGateway); err != nil || got.ID != key.ID || got.Name != "billing" {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := keys.Authenticate(ctx, text.Reveal(), auth.ScopeMCP); !errors.Is(err, auth.ErrForbidden) {
			t.Errorf("another scope: %v", err)
		}
		next, nextText, err := keys.Rotate(ctx, key.ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := keys.Authenticate(ctx, text.Reveal(), auth.ScopeGateway); !errors.Is(err, auth.ErrUnauthorized) {
			t.Errorf("the old key after the rotation: %v", err)
		}
		if _, err := keys.Authenticate(ctx, nextText.Reveal(), auth.ScopeGateway); err != nil {
			t.Errorf("the new key: %v", err)
		}
		if err := keys.Revoke(ctx, next.ID); err != nil {
			t.Fatal(err)
		}
		if err := keys.Revoke(ctx, "0000000000000000"); !errors.Is(err, auth.ErrNoKey) {
			t.Errorf("revoking nothing: %v", err)
		}
		list, err := keys.List(ctx)
		if err != nil || len(list) != 2 {
			t.Errorf("%+v, %v", list, err)
		}
		log, err := s.AuditLog(ctx, 0, 10)
		if err != nil || len(log) != 3 || log[0].Actor != "admin" {
			t.Errorf("%+v, %v", log, err)
		}
	})
}

func TestStoredRateIsSharedAndNeverExceeded(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		noon := time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
		now := noon
		stored := auth.Stored{Store: s, Clock: func() time.Time { return now }}
		rate := auth.Rate{PerMinute: 60, Burst: 10}
		var mu sync.Mutex
		took := 0
		var asking sync.WaitGroup
		for range 8 {
			asking.Go(func() {
				granted, wait, err := stored.TakeRate(t.Context(), "k", rate, 3)
				mu.Lock()
				defer mu.Unlock()
				took += granted
				if err != nil || granted == 0 && wait <= 0 {
					t.Errorf("granted %d, wait %v, %v", granted, wait, err)
				}
			})
		}
		asking.Wait()
		if took != 10 {
			t.Errorf("took %d of 10", took)
		}
		_, wait, err := stored.TakeRate(t.Context(), "k", rate, 1)
		if err != nil || wait != time.Second {
			t.Errorf("wait %v, %v", wait, err)
		}
		now = noon.Add(2 * time.Second)
		if granted, _, err := stored.TakeRate(t.Context(), "k", rate, 5); granted != 2 || err != nil {
			t.Errorf("after two seconds: %d, %v", granted, err)
		}
	})
}

func TestStoredTokenIsLeasedToOneInstance(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		noon := time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
		now := noon
		stored := auth.Stored{Store: s, Clock: func() time.Time { return now }}
		ctx := context.Background()
		if row, err := stored.LoadToken(ctx, "t"); err != nil || row != (auth.SharedToken{}) {
			t.Fatalf("%+v, %v", row, err)
		}
		if _, held, err := stored.LeaseToken(ctx, "t", "one", time.Minute); !held || err != nil {
			t.Fatal(held, err)
		}
		if _, held, err := stored.LeaseToken(ctx, "t", "two", time.Minute); held || err != nil {
			t.Fatal("two hold it", err)
		}
		want := auth.SharedToken{Sealed: "sealed", ExpiresAt: noon.Add(time.Hour), Trouble: auth.Trouble("x"), NotBefore: noon.Add(time.Minute)}
		if err := stored.SaveToken(ctx, "t", "two", want); err == nil {
			t.Error("saved without the lease")
		}
		if err := stored.SaveToken(ctx, "t", "one", want); err != nil {
			t.Fatal(err)
		}
		if row, held, err := stored.LeaseToken(ctx, "t", "two", time.Minute); !held || err != nil || row != want {
			t.Errorf("%+v, %v, %v", row, held, err)
		}
		now = noon.Add(2 * time.Minute)
		if err := stored.SaveToken(ctx, "t", "two", want); err == nil {
			t.Error("saved after the lease ran out")
		}
	})
}
