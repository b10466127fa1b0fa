package inbox

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// Accepter stores a batch of deliveries in one transaction.
type Accepter interface {
	Accept(ctx context.Context, deliveries []store.Delivery, now time.Time) ([]store.Accepted, error)
}

// ErrOverloaded is returned when more deliveries wait than the writer takes.
var ErrOverloaded = errors.New("inbox: too many deliveries wait to be stored")

// ErrStopped is returned once the writer has stopped.
var ErrStopped = errors.New("inbox: the writer has stopped")

const (
	waitingLimit = 4096
	commitTime   = 10 * time.Second
)

// Writer commits deliveries in groups: each committer takes what queued while
// its last commit was on the way to disk. A lone delivery waits for nobody.
type Writer struct {
	store Accepter
	clock df.Clock
	in    chan *waiter
	quit  chan struct{}
	done  sync.WaitGroup
}

type waiter struct {
	delivery store.Delivery
	result   store.Accepted
	err      error
	ready    chan struct{}
}

// NewWriter starts a writer with the given number of committers: one for
// SQLite, whose commits cannot overlap, two for PostgreSQL.
func NewWriter(accepter Accepter, committers int, clock df.Clock) *Writer {
	w := &Writer{store: accepter, clock: clock, in: make(chan *waiter, waitingLimit), quit: make(chan struct{})}
	for range committers {
		w.done.Go(w.commitAll)
	}
	return w
}

// Accept stores one delivery and returns after its commit. When ctx ends first,
// the delivery may or may not be stored; its sender will send it again and the
// dedupe key takes care of it.
func (w *Writer) Accept(ctx context.Context, d store.Delivery) (store.Accepted, error) {
	one := &waiter{delivery: d, ready: make(chan struct{})}
	select {
	case <-w.quit:
		return store.Accepted{}, ErrStopped
	default:
	}
	select {
	case w.in <- one:
	default:
		return store.Accepted{}, ErrOverloaded
	}
	select {
	case <-one.ready:
		return one.result, one.err
	case <-ctx.Done():
		return store.Accepted{}, ctx.Err()
	}
}

// Stop commits what is waiting and ends the committers. Deliveries that come
// later get ErrStopped.
func (w *Writer) Stop() {
	close(w.quit)
	w.done.Wait()
}

func (w *Writer) commitAll() {
	batch := make([]*waiter, 0, store.MaxBatch)
	for {
		select {
		case first := <-w.in:
			w.commit(w.gather(append(batch[:0], first)))
			continue
		default:
		}
		select {
		case first := <-w.in:
			w.commit(w.gather(append(batch[:0], first)))
		case <-w.quit:
			if len(w.in) == 0 {
				return
			}
		}
	}
}

// gather adds what is waiting already, without waiting for more.
func (w *Writer) gather(batch []*waiter) []*waiter {
	for len(batch) < store.MaxBatch {
		select {
		case next := <-w.in:
			batch = append(batch, next)
		default:
			return batch
		}
	}
	return batch
}

func (w *Writer) commit(batch []*waiter) {
	err := w.try(batch)
	if err != nil && len(batch) > 1 && !errors.Is(err, context.DeadlineExceeded) {
		// One delivery that the database refuses must not fail its neighbours.
		for i := range batch {
			one := batch[i : i+1]
			one[0].err = w.try(one)
		}
		err = nil
	}
	for _, one := range batch {
		if err != nil {
			one.err = err
		}
		close(one.ready)
	}
}

func (w *Writer) try(batch []*waiter) error {
	ctx, cancel := context.WithTimeout(context.Background(), commitTime)
	defer cancel()
	deliveries := make([]store.Delivery, len(batch))
	for i, one := range batch {
		deliveries[i] = one.delivery
	}
	results, err := w.store.Accept(ctx, deliveries, w.clock())
	if err != nil {
		return err
	}
	for i, one := range batch {
		one.result = results[i]
	}
	return nil
}
