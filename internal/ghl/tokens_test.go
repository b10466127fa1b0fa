package ghl

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

func TestTokenIsRenewedAheadOfItsEnd(t *testing.T) {
	for _, v3 := range []bool{false, true} {
		w := newOAuthWorld(t)
		w.endpoint.v3 = v3
		w.install(t)
		w.now = w.now.Add(86399*time.Second - refreshAhead - time.Second)
		if got := w.token(t, w.app); got != "access-1" {
			t.Errorf("early: %s", got)
		}
		w.now = w.now.Add(time.Second)
		if got := w.token(t, w.app); got != "access-2" {
			t.Errorf("five minutes ahead: %s", got)
		}
		installedAt := w.vault.rows[fakeLocation].token.InstalledAt
		if got := w.token(t, w.instance(t)); got != "access-2" || !installedAt.Before(w.now) {
			t.Errorf("another instance: %s", got)
		}
	}
}

// Two workers used to refresh with the same refresh token, and the rotation took
// the installation down (D-73).
func TestManyCallersOnManyInstancesRefreshOnce(t *testing.T) {
	w := newOAuthWorld(t)
	w.install(t)
	w.now = w.now.Add(25 * time.Hour)
	w.endpoint.gate = make(chan struct{})
	apps := []*App{w.instance(t), w.instance(t), w.instance(t)}
	var group sync.WaitGroup
	tokens := make(chan string, 60)
	for i := range cap(tokens) {
		group.Go(func() {
			token, err := apps[i%len(apps)].Credentials(fakeLocation).Token(context.Background())
			if err != nil {
				tokens <- err.Error()
				return
			}
			tokens <- token.Reveal()
		})
	}
	close(w.endpoint.gate)
	group.Wait()
	close(tokens)
	for token := range tokens {
		if token != "access-2" {
			t.Fatalf("got %s", token)
		}
	}
	if w.endpoint.pairs != 2 {
		t.Errorf("%d pairs were handed out", w.endpoint.pairs)
	}
}

func TestCallerThatGoesAwayDoesNotCutTheRefreshOff(t *testing.T) {
	w := newOAuthWorld(t)
	w.install(t)
	w.now = w.now.Add(25 * time.Hour)
	w.endpoint.gate = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := w.app.Credentials(fakeLocation).Token(ctx)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	close(w.endpoint.gate)
	if got := w.token(t, w.app); got != "access-2" {
		t.Errorf("got %s", got)
	}
}

func TestLostAnswerIsAskedForAgainAtOnce(t *testing.T) {
	w := newOAuthWorld(t)
	w.install(t)
	w.now = w.now.Add(25 * time.Hour)
	w.endpoint.lose = 2
	if got := w.token(t, w.app); got != "access-2" || w.endpoint.pairs != 2 {
		t.Errorf("got %s, %d pairs", got, w.endpoint.pairs)
	}
	w.now = w.now.Add(25 * time.Hour)
	w.endpoint.lose = 3
	if _, err := w.app.Credentials(fakeLocation).Token(t.Context()); !df.IsCode(err, df.CodeTimeout) {
		t.Errorf("three lost answers: %v", err)
	}
	if !strings.Contains(w.log.String(), "GHL token not refreshed") || strings.Contains(w.log.String(), "refresh-") {
		t.Error("a failed refresh must be told, without the token")
	}
	w.now = w.now.Add(20 * time.Second)
	if got := w.token(t, w.app); got != "access-3" {
		t.Errorf("within the grace: %s", got)
	}
}

func TestPairThatCouldNotBeStoredIsAskedForAgain(t *testing.T) {
	w := newOAuthWorld(t)
	w.install(t)
	w.now = w.now.Add(25 * time.Hour)
	w.vault.failStore = 1
	if got := w.token(t, w.app); got != "access-2" {
		t.Errorf("got %s", got)
	}
	w.now = w.now.Add(25 * time.Hour)
	w.vault.failStore = 2
	if _, err := w.app.Credentials(fakeLocation).Token(t.Context()); err == nil {
		t.Error("a pair was used before it was stored")
	}
}

func TestRefreshThatFailsAheadLeavesTheOldToken(t *testing.T) {
	w := newOAuthWorld(t)
	w.install(t)
	w.endpoint.refuse = true
	w.now = w.now.Add(24*time.Hour - 2*time.Minute)
	if got := w.token(t, w.app); got != "access-1" {
		t.Errorf("got %s", got)
	}
	w.now = w.now.Add(time.Hour)
	_, err := w.app.Credentials(fakeLocation).Token(t.Context())
	if e := callError(t, err); e.Code != df.CodeUnauthorized || e.Outcome != df.RetryLater || strings.Contains(err.Error(), "refresh-1") {
		t.Errorf("%v", err)
	}
}

func TestRefusedAccessTokenIsReplaced(t *testing.T) {
	w := newOAuthWorld(t)
	w.install(t)
	second := w.instance(t)
	if got := w.token(t, second); got != "access-1" {
		t.Fatal(got)
	}
	for _, app := range []*App{w.app, second} { // the second finds what the first stored
		token, ok, err := app.Credentials(fakeLocation).Renew(t.Context(), "access-1")
		if err != nil || !ok || token != "access-2" {
			t.Errorf("%q, %v, %v", token.Reveal(), ok, err)
		}
	}
	if w.endpoint.pairs != 2 || w.token(t, second) != "access-2" {
		t.Errorf("%d pairs", w.endpoint.pairs)
	}
}
