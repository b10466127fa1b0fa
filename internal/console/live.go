package console

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// How the live stream behaves. One browser needs one stream, whose tabs share it.
const (
	pulseEvery  = time.Second      // how often the database is asked what has changed
	streamBeat  = 15 * time.Second // how often a quiet stream says that it is there, and its session is judged anew
	streamTime  = 10 * time.Minute // how long a stream lasts before the browser asks for a new one
	streamsMost = 300              // at once, in this process
	streamsEach = 4                // of one session; the oldest ends
)

// pulse asks the database what has changed, once for everybody who listens, and
// not at all while nobody does.
type pulse struct {
	look  func(context.Context) (map[string]string, error)
	every time.Duration
	log   *slog.Logger

	mu      sync.Mutex
	streams []*stream
	cancel  context.CancelFunc // of the loop; nil while nobody listens
	stopped bool
}

// stream is one browser that listens.
type stream struct {
	session string
	changed chan string // topics, separated by spaces; holds one, later ones join it
	gone    chan struct{}
}

func newPulse(look func(context.Context) (map[string]string, error), every time.Duration, log *slog.Logger) *pulse {
	return &pulse{look: look, every: every, log: log}
}

// listen adds a stream for the session, or returns nil when there are too many.
func (p *pulse) listen(session string) *stream {
	p.mu.Lock()
	defer p.mu.Unlock()
	mine := 0
	var oldest *stream
	for _, one := range p.streams {
		if one.session == session {
			if oldest == nil {
				oldest = one
			}
			mine++
		}
	}
	if mine >= streamsEach {
		p.remove(oldest)
	}
	if p.stopped || len(p.streams) >= streamsMost {
		return nil
	}
	one := &stream{session: session, changed: make(chan string, 1), gone: make(chan struct{})}
	p.streams = append(p.streams, one)
	if p.cancel == nil {
		ctx, cancel := context.WithCancel(context.Background())
		p.cancel = cancel
		go p.run(ctx)
	}
	return one
}

// remove ends a stream. The caller holds the lock.
func (p *pulse) remove(one *stream) {
	i := slices.Index(p.streams, one)
	if i < 0 {
		return
	}
	p.streams = slices.Delete(p.streams, i, i+1)
	close(one.gone)
	if len(p.streams) == 0 && p.cancel != nil {
		p.cancel()
		p.cancel = nil
	}
}

func (p *pulse) leave(one *stream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(one)
}

// drop ends the streams of a session that has ended.
func (p *pulse) drop(session string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range slices.Clone(p.streams) {
		if one.session == session {
			p.remove(one)
		}
	}
}

// stop ends all streams and lets no new one begin.
func (p *pulse) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	for _, one := range slices.Clone(p.streams) {
		p.remove(one)
	}
}

func (p *pulse) run(ctx context.Context) {
	ticker := time.NewTicker(p.every)
	defer ticker.Stop()
	var before map[string]string
	for {
		p.mu.Lock()
		look := p.look
		p.mu.Unlock()
		now, err := look(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			p.log.Warn("live pages do not learn what has changed", "error", err)
		default:
			if topics := differing(before, now); before != nil && topics != nil {
				p.tell(topics)
			}
			before = now
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// differing names the topics whose marks differ, in order.
func differing(before, now map[string]string) []string {
	var topics []string
	for _, topic := range slices.Sorted(maps.Keys(now)) {
		if before[topic] != now[topic] {
			topics = append(topics, topic)
		}
	}
	return topics
}

// tell gives the topics to every stream. One that has not taken the last ones
// yet gets both together: nothing waits for a slow browser.
func (p *pulse) tell(topics []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.streams {
		said := slices.Clone(topics)
		select {
		case waiting := <-one.changed:
			said = append(said, strings.Fields(waiting)...)
		default:
		}
		slices.Sort(said)
		one.changed <- strings.Join(slices.Compact(said), " ")
	}
}

// live is the stream of server-sent events that tells a browser which topics have
// changed. It says nothing of what the change is: the page asks for itself, and
// so no right is checked twice in two ways.
func (s *Server) live(w http.ResponseWriter, r *http.Request) {
	id := visitorOf(r).id
	one := s.pulse.listen(id)
	if one == nil {
		w.Header().Set("Retry-After", "60")
		s.fail(w, r, &df.Error{Code: "OVERLOADED", Message: "too many pages are live; this one asks now and then instead", Status: http.StatusServiceUnavailable})
		return
	}
	defer s.pulse.leave(one)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // proxies are to pass it on at once
	out := http.NewResponseController(w)
	say := func(text string) bool {
		if err := out.SetWriteDeadline(time.Now().Add(streamBeat)); err != nil {
			return false
		}
		if _, err := fmt.Fprint(w, text); err != nil {
			return false
		}
		return out.Flush() == nil
	}
	beat, end := time.NewTicker(streamBeat), time.NewTimer(streamTime)
	defer beat.Stop()
	defer end.Stop()
	for going := say("retry: 3000\n\n"); going; {
		select {
		case topics := <-one.changed:
			going = say("event: changed\ndata: " + topics + "\n\n")
		case <-beat.C:
			_, signedIn, err := s.sessions.find(r.Context(), id)
			going = signedIn && err == nil && say(": still here\n\n")
		case <-one.gone:
			return
		case <-end.C:
			return
		case <-r.Context().Done():
			return
		}
	}
}
