package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// listener is a receiver of webhooks without a socket.
type listener struct {
	mu     sync.Mutex
	bodies []string
	answer func(n int) int // status of the n-th post, 0 for no answer
}

func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bodies = append(l.bodies, string(body))
	status := 200
	if l.answer != nil {
		status = l.answer(len(l.bodies))
	}
	if status == 0 {
		return nil, errors.New("connection reset")
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

func (l *listener) got() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.bodies)
}

func sender(l *listener, seed uint64) *Stage {
	return New(Config{Name: "toy", Seed: seed, Clock: time.Now, Transport: l})
}

func post(n int) Post {
	return Post{Event: "e", URL: "http://listener.test/", Body: []byte(fmt.Sprint(n)), Retries: 12, Backoff: 10 * time.Second, MaxBackoff: 2 * time.Hour}
}

func TestWebhooksArriveInOrderWhenNobodyMeddles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &listener{}
		s := sender(l, 1)
		defer s.Close()
		for i := range 20 {
			s.Send(post(i))
		}
		if err := s.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, body := range l.got() {
			if body != fmt.Sprint(i) {
				t.Fatalf("webhook %d says %s", i, body)
			}
		}
	})
}

func TestRetriesStopAtTheFirst2xxAndDoubleTheirWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &listener{answer: func(n int) int { return []int{500, 0, 302, 404, 200}[n-1] }}
		s := sender(l, 1)
		defer s.Close()
		start := time.Now()
		s.Send(post(0))
		if err := s.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		d := s.Deliveries()[0]
		if d.Attempts != 5 || d.State != Given || d.Status != 200 {
			t.Errorf("got %+v", d)
		}
		nominal := (10 + 20 + 40 + 80) * time.Second
		if took := time.Since(start); took < nominal*9/10 || took > nominal*11/10 {
			t.Errorf("took %v, nominally %v", took, nominal)
		}
	})
}

func TestAWebhookIsGivenUpAfterItsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &listener{answer: func(int) int { return 503 }}
		s := sender(l, 1)
		defer s.Close()
		s.Send(post(0))
		if err := s.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := s.Deliveries()[0]; d.Attempts != 13 || d.State != Refused {
			t.Errorf("got %+v", d)
		}
	})
}

func TestWebhookMischief(t *testing.T) {
	for _, test := range []struct {
		name string
		m    Mischief
		want func([]string) bool
	}{
		{"dropped", Mischief{DropWebhooks: 1}, func(got []string) bool { return len(got) == 0 }},
		{"doubled", Mischief{DoubleWebhooks: 1}, func(got []string) bool { return len(got) == 20 }},
		{"delayed", Mischief{DelayWebhooks: 1, DelayBy: time.Minute}, func(got []string) bool {
			return len(got) == 10 && !slices.IsSorted(got)
		}},
		{"reordered", Mischief{ReorderWebhooks: 0.5}, func(got []string) bool {
			return len(got) == 10 && !slices.IsSorted(got)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var runs [2][]string
				for i := range runs {
					l := &listener{}
					s := sender(l, 4)
					s.SetMischief(test.m)
					for n := range 10 {
						s.Send(post(n))
					}
					if err := s.Settle(t.Context()); err != nil {
						t.Fatal(err)
					}
					_ = s.Close()
					runs[i] = l.got()
				}
				if !test.want(runs[0]) {
					t.Errorf("got %v", runs[0])
				}
				if !slices.Equal(runs[0], runs[1]) {
					t.Errorf("the same seed gave %v and %v", runs[0], runs[1])
				}
			})
		})
	}
}

func TestPauseHoldsAndDropForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &listener{}
		s := sender(l, 1)
		defer s.Close()
		s.PauseWebhooks()
		s.Send(post(1))
		s.Send(post(2))
		if err := s.Settle(t.Context()); !errors.Is(err, ErrPaused) {
			t.Errorf("settling while paused: %v", err)
		}
		if n := s.DropPending(); n != 2 {
			t.Errorf("dropped %d", n)
		}
		s.Send(post(3))
		s.ResumeWebhooks()
		if err := s.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := l.got(); !slices.Equal(got, []string{"3"}) {
			t.Errorf("got %v", got)
		}
		if d := s.Deliveries()[0]; d.State != Dropped {
			t.Errorf("the first is %s", d.State)
		}
	})
}

func TestSettleSaysWhatItWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &listener{answer: func(int) int { return 500 }}
		s := sender(l, 1)
		defer s.Close()
		s.Send(post(1))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Settle(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}
