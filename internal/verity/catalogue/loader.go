package catalogue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Source is where a catalogue is read from and how.
type Source struct {
	Location string        // file, or http(s) URL
	Client   *http.Client  // for URLs; without it, only files can be read
	Limit    int64         // bytes of a document; 0 means 64 MiB
	Poll     time.Duration // how often to look for a change; 0 means 5 s for files, 1 min for URLs
	Timeout  time.Duration // of one reading of a URL; 0 means 30 s
	Clock    df.Clock
	Log      *slog.Logger
	// Changed, when set, is told of each new catalogue, after it took effect.
	Changed func(*Catalogue)
}

// Loader keeps the last good catalogue of a source. A reading that fails changes
// nothing but Status.
type Loader struct {
	source  Source
	current atomic.Pointer[Catalogue]

	mu     sync.Mutex // one reading at a time; guards what follows
	status Status
	etag   string
	stamp  string // of the file: size and time of change
	last   []byte // what the current catalogue was read from
}

// Status says how the last readings went.
type Status struct {
	Location   string
	LoadedAt   time.Time // when the current catalogue was read; zero without one
	CheckedAt  time.Time
	Operations int
	Problems   int
	Err        error // of the last reading; nil when it was fine
}

// NewLoader returns a loader that has not read anything yet.
func NewLoader(source Source) *Loader {
	if source.Limit == 0 {
		source.Limit = 64 << 20
	}
	if source.Timeout == 0 {
		source.Timeout = 30 * time.Second
	}
	if source.Clock == nil {
		source.Clock = time.Now
	}
	if source.Log == nil {
		source.Log = slog.New(slog.DiscardHandler)
	}
	l := &Loader{source: source}
	if source.Poll == 0 {
		l.source.Poll = 5 * time.Second
		if l.isURL() {
			l.source.Poll = time.Minute
		}
	}
	l.status.Location = source.Location
	return l
}

// Current returns the last good catalogue, or nil when there has been none.
func (l *Loader) Current() *Catalogue { return l.current.Load() }

// Status returns how the last readings went.
func (l *Loader) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

// Reload reads the source now, whether it looks changed or not; a signal
// handler calls it. On an error the last good catalogue stays.
func (l *Loader) Reload(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.etag, l.stamp = "", ""
	return l.read(ctx)
}

// Run looks for changes until the context ends. It does the first reading at
// once when none has been done.
func (l *Loader) Run(ctx context.Context) {
	ticker := time.NewTicker(l.source.Poll)
	defer ticker.Stop()
	if l.Current() == nil {
		l.poll(ctx)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			l.poll(ctx)
		}
	}
}

func (l *Loader) poll(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.status.Err
	err := l.read(ctx)
	if err != nil && ctx.Err() == nil && (before == nil || before.Error() != err.Error()) {
		l.source.Log.Warn("catalogue not read, the last good one stays", "err", err)
	}
}

// errUnchanged says that the source is what it was.
var errUnchanged = errors.New("unchanged")

func (l *Loader) read(ctx context.Context) error {
	fetch := l.readFile
	if l.isURL() {
		fetch = l.readURL
	}
	data, err := fetch(ctx)
	l.status.CheckedAt = l.source.Clock()
	if errors.Is(err, errUnchanged) {
		return l.status.Err
	}
	if err == nil && (l.Current() == nil || !bytes.Equal(data, l.last)) {
		err = l.take(data)
	}
	l.status.Err = err
	return err
}

func (l *Loader) take(data []byte) error {
	c, err := Parse(data)
	if err != nil {
		return fmt.Errorf("read catalogue: %w", err)
	}
	l.last = data
	l.current.Store(c)
	l.status.LoadedAt = l.source.Clock()
	l.status.Operations, l.status.Problems = len(c.Operations), len(c.Problems)
	l.source.Log.Info("catalogue read", "format", c.Format, "operations", len(c.Operations), "problems", len(c.Problems))
	if l.source.Changed != nil {
		l.source.Changed(c)
	}
	return nil
}

func (l *Loader) isURL() bool {
	return strings.HasPrefix(l.source.Location, "http://") || strings.HasPrefix(l.source.Location, "https://")
}

func (l *Loader) readFile(context.Context) ([]byte, error) {
	file, err := os.Open(l.source.Location)
	if err != nil {
		l.stamp = ""
		return nil, fmt.Errorf("read catalogue: %w", err)
	}
	defer func() { _ = file.Close() }() // only read from
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("read catalogue: %w", err)
	}
	stamp := fmt.Sprint(info.Size(), info.ModTime().UnixNano())
	if stamp == l.stamp {
		return nil, errUnchanged
	}
	data, err := l.limited(file)
	if err == nil {
		l.stamp = stamp
	}
	return data, err
}

func (l *Loader) readURL(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, l.source.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.source.Location, nil)
	if err != nil {
		return nil, errors.New("read catalogue: its URL is not valid")
	}
	request.Header.Set("Accept", "application/json, application/yaml;q=0.9, */*;q=0.5")
	if l.etag != "" {
		request.Header.Set("If-None-Match", l.etag)
	}
	if l.source.Client == nil {
		return nil, errors.New("this loader reads files only")
	}
	response, err := l.source.Client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("read catalogue: %w", withoutURL(err))
	}
	defer func() { _ = response.Body.Close() }() // nothing left to learn from it
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		return nil, errUnchanged
	default:
		return nil, fmt.Errorf("read catalogue: HTTP %d", response.StatusCode)
	}
	data, err := l.limited(response.Body)
	if err == nil {
		l.etag = response.Header.Get("ETag")
	}
	return data, err
}

// withoutURL takes the URL out of a client's error: it may hold a secret.
func withoutURL(err error) error {
	var wrapped interface{ Unwrap() error }
	if errors.As(err, &wrapped) {
		if inner := wrapped.Unwrap(); inner != nil {
			return inner
		}
	}
	return err
}

func (l *Loader) limited(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, l.source.Limit+1))
	if err != nil {
		return nil, fmt.Errorf("read catalogue: %w", err)
	}
	if int64(len(data)) > l.source.Limit {
		return nil, fmt.Errorf("read catalogue: larger than %d bytes", l.source.Limit)
	}
	return data, nil
}
