package stage

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// Post is one webhook to be sent.
type Post struct {
	Event  string // the event's name, for the log and for chance
	URL    string // empty: nobody listens, nothing is sent
	Header http.Header
	Body   []byte
	// Retries is how often the post is repeated after an answer that is not
	// 2xx, or none. The n-th retry waits for Backoff, doubled n-1 times, at
	// most MaxBackoff, give or take a tenth; all of it scaled.
	Retries    int
	Backoff    time.Duration
	MaxBackoff time.Duration
	After      time.Duration // how long the first try waits, scaled
}

// State is what has become of a webhook.
type State string

// The states of a delivery. Waiting ones wait for their time or their turn,
// Held ones for a later webhook to overtake them. Lost ones were never sent,
// because of mischief; Given ones were answered with 2xx; Refused ones were
// answered otherwise, or not at all, until the last try; Dropped ones were
// thrown away by DropPending or Close.
const (
	Waiting State = "waiting"
	Held    State = "held"
	Lost    State = "lost"
	Given   State = "given"
	Refused State = "refused"
	Dropped State = "dropped"
)

// Delivery is the story of one webhook, or of one copy of it.
type Delivery struct {
	Seq      int         `json:"seq"`
	Event    string      `json:"event"`
	URL      string      `json:"url"`
	State    State       `json:"state"`
	Attempts int         `json:"attempts"`
	Status   int         `json:"status"` // of the last answer, 0 when there was none
	Copy     bool        `json:"copy,omitempty"`
	Header   http.Header `json:"-"`
	Body     []byte      `json:"-"`
}

// ErrPaused is returned by Settle when webhooks wait and delivery is paused.
var ErrPaused = errors.New("webhook delivery is paused")

// fate is what mischief has in mind for one webhook.
type fate struct {
	drop, double, hold bool
	delay              time.Duration
}

// mail sends webhooks. Its goroutines live only as long as there is work.
type mail struct {
	scale   float64
	seed    uint64
	name    string
	workers int
	logSize int
	client  *http.Client
	fate    func(event string, nth int) fate

	ctx     context.Context
	cancel  context.CancelFunc
	closing <-chan struct{}
	wg      sync.WaitGroup

	mu      sync.Mutex
	seq     int
	counts  map[string]int
	log     []*letter
	ready   []*letter
	held    []*letter
	open    map[*letter]bool // not finished yet
	running int
	paused  bool
	closed  bool
	changed chan struct{} // closed and replaced whenever something changes
}

// letter is a post on its way.
type letter struct {
	post  Post
	d     Delivery
	timer *time.Timer
	done  bool
}

// holdLimit is how long a held webhook waits for another to overtake it.
const holdLimit = 2 * time.Second

func newMail(c Config, decide func(string, int) fate) *mail {
	transport := c.Transport
	if transport == nil {
		transport = &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 8, IdleConnTimeout: 30 * time.Second}
	}
	// The sandbox's own lifetime, not a request's: webhooks outlive the call that caused them.
	ctx, cancel := context.WithCancel(context.Background())
	return &mail{
		scale: c.TimeScale, seed: c.Seed, name: c.Name, workers: c.Workers, logSize: c.LogSize, fate: decide,
		client: &http.Client{Transport: transport, Timeout: 30 * time.Second, CheckRedirect: noRedirect},
		ctx:    ctx, cancel: cancel, closing: ctx.Done(),
		counts: map[string]int{}, open: map[*letter]bool{}, changed: make(chan struct{}),
	}
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Send hands a webhook to the mail and returns at once.
func (s *Stage) Send(p Post) { s.mail.send(p) }

func (s *Stage) webhookFate(event string, nth int) fate {
	s.mu.Lock()
	own, world := s.own, s.world
	s.mu.Unlock()
	f := fate{}
	for i, m := range []Mischief{own, world} {
		die := newDie(s.config.Seed, "webhook "+s.config.Name, event, nth*2+i)
		f.drop = die.falls(m.DropWebhooks) || f.drop
		f.double = die.falls(m.DoubleWebhooks) || f.double
		f.hold = die.falls(m.ReorderWebhooks) || f.hold
		late, delay := die.falls(m.DelayWebhooks), die.upTo(orElse(m.DelayBy, time.Second))
		if late {
			f.delay = max(f.delay, delay)
		}
	}
	return f
}

func (m *mail) send(p Post) {
	if p.URL == "" {
		return
	}
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return
	}
	m.counts[p.Event]++
	nth := m.counts[p.Event]
	m.mu.Unlock()
	f := m.fate(p.Event, nth)

	m.mu.Lock()
	defer m.mu.Unlock()
	first := m.enter(p, false)
	overtaken := m.held
	m.held = nil
	switch {
	case f.drop:
		m.finish(first, Lost)
	case f.hold:
		m.hold(first)
	default:
		m.schedule(first, p.After+f.delay)
	}
	if f.double && !f.drop {
		m.schedule(m.enter(p, true), p.After)
	}
	for _, l := range overtaken {
		m.release(l)
	}
}

// enter logs a new letter. The caller holds mu, as for all helpers below.
func (m *mail) enter(p Post, second bool) *letter {
	m.seq++
	l := &letter{post: p, d: Delivery{
		Seq: m.seq, Event: p.Event, URL: p.URL, State: Waiting, Copy: second, Header: p.Header.Clone(), Body: p.Body,
	}}
	m.log = append(m.log, l)
	if over := len(m.log) - m.logSize; over > 0 {
		m.log = append(m.log[:0:0], m.log[over:]...)
	}
	m.open[l] = true
	return l
}

func (m *mail) finish(l *letter, state State) {
	if l.done {
		return
	}
	l.done, l.d.State = true, state
	if l.timer != nil {
		l.timer.Stop()
	}
	delete(m.open, l)
	m.signal()
}

func (m *mail) signal() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *mail) hold(l *letter) {
	l.d.State = Held
	m.held = append(m.held, l)
	l.timer = time.AfterFunc(scaled(holdLimit, m.scale), func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.release(l)
	})
}

func (m *mail) release(l *letter) {
	if l.done || l.d.State != Held {
		return
	}
	l.timer.Stop()
	l.d.State = Waiting
	m.enqueue(l)
}

func (m *mail) schedule(l *letter, after time.Duration) {
	if after <= 0 {
		m.enqueue(l)
		return
	}
	l.timer = time.AfterFunc(scaled(after, m.scale), func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.enqueue(l)
	})
}

func (m *mail) enqueue(l *letter) {
	if l.done || m.closed {
		return
	}
	m.ready = append(m.ready, l)
	m.start(1)
}

// start puts up to n more workers on the ready letters.
func (m *mail) start(n int) {
	for ; n > 0 && !m.paused && !m.closed && m.running < m.workers; n-- {
		m.running++
		m.wg.Add(1)
		go m.work()
	}
}

func (m *mail) work() {
	defer m.wg.Done()
	for {
		l := m.take()
		if l == nil {
			return
		}
		status := m.try(l)
		m.settleTry(l, status)
	}
}

func (m *mail) take() *letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	for !m.paused && !m.closed && len(m.ready) > 0 {
		l := m.ready[0]
		m.ready = m.ready[1:]
		if !l.done {
			return l
		}
	}
	m.running--
	return nil
}

// try posts once and returns the status, 0 without an answer.
func (m *mail) try(l *letter) int {
	r, err := http.NewRequestWithContext(m.ctx, http.MethodPost, l.post.URL, bytes.NewReader(l.post.Body))
	if err != nil {
		return 0
	}
	r.Header = l.post.Header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	answer, err := m.client.Do(r)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<20)) // only the status matters
	return answer.StatusCode
}

func (m *mail) settleTry(l *letter, status int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l.d.Attempts++
	l.d.Status = status
	switch {
	case l.done:
	case status >= 200 && status < 300:
		m.finish(l, Given)
	case l.d.Attempts > l.post.Retries:
		m.finish(l, Refused)
	default:
		die := newDie(m.seed, "retry "+m.name, l.post.Event, l.d.Seq*100+l.d.Attempts)
		m.schedule(l, die.jitter(l.post.backoff(l.d.Attempts)))
	}
}

// backoff is how long to wait after the n-th try.
func (p Post) backoff(n int) time.Duration {
	wait := orElse(p.Backoff, time.Second)
	for ; n > 1 && wait < p.MaxBackoff; n-- {
		wait *= 2
	}
	if p.MaxBackoff > 0 {
		wait = min(wait, p.MaxBackoff)
	}
	return wait
}
