package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// unspillEvery is how often spilled deliveries are tried again.
const unspillEvery = 3 * time.Second

// Spill keeps deliveries in files while the database is away, for a sender that
// does not send twice. A file is on disk before Keep returns.
type Spill struct {
	folder string
	log    *slog.Logger
	mu     sync.Mutex // one unspill at a time
}

// NewSpill returns a spill that keeps its files in the folder, which is made
// when it is first needed.
func NewSpill(folder string, log *slog.Logger) *Spill { return &Spill{folder: folder, log: log} }

// Keep writes the delivery to a file of its own and makes sure that it is on
// disk.
func (s *Spill) Keep(d store.Delivery) error {
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return fmt.Errorf("make spill folder: %w", err)
	}
	data, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("encode spilled delivery: %w", err)
	}
	name := filepath.Join(s.folder, d.Event.ID+".json")
	if err := writeSynced(name+".part", data); err != nil {
		return fmt.Errorf("write spill file: %w", err)
	}
	if err := os.Rename(name+".part", name); err != nil {
		return fmt.Errorf("write spill file: %w", err)
	}
	return syncFolder(s.folder)
}

func writeSynced(name string, data []byte) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := file.Write(data); err != nil {
		return errors.Join(err, file.Close())
	}
	if err := file.Sync(); err != nil {
		return errors.Join(err, file.Close())
	}
	return file.Close()
}

func syncFolder(name string) error {
	folder, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Waiting counts the deliveries in files.
func (s *Spill) Waiting() int {
	names, _ := s.files()
	return len(names)
}

func (s *Spill) files() ([]string, error) {
	entries, err := os.ReadDir(s.folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read spill folder: %w", err)
	}
	var names []string
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".json") {
			names = append(names, filepath.Join(s.folder, entry.Name()))
		}
	}
	slices.Sort(names) // ids are time-ordered, so this is the order of arrival
	return names, nil
}

// SpillTarget is where spilled deliveries go in the end.
type SpillTarget interface {
	Accepter
	Event(ctx context.Context, id string) (df.Event, error)
}

// TakeIn stores the spilled deliveries, oldest first, and removes their files.
// It stops at the first that cannot be stored and returns how many it took in.
func (s *Spill) TakeIn(ctx context.Context, target SpillTarget, now time.Time) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names, err := s.files()
	if err != nil {
		return 0, err
	}
	for i, name := range names {
		if err := takeIn(ctx, target, name, now); err != nil {
			return i, fmt.Errorf("take in spilled delivery: %w", err)
		}
	}
	return len(names), nil
}

func takeIn(ctx context.Context, target SpillTarget, name string, now time.Time) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var d store.Delivery
	if err := json.Unmarshal(data, &d); err != nil {
		// A file that is not ours is put aside, where a person finds it, so
		// that it does not stop the others.
		return os.Rename(name, name+".unreadable")
	}
	// A crash between commit and removal leaves the file behind.
	if _, err := target.Event(ctx, d.Event.ID); errors.Is(err, store.ErrNotFound) {
		if _, err := target.Accept(ctx, []store.Delivery{d}, now); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	return os.Remove(name)
}

// Run takes spilled deliveries in whenever the store is there, until ctx ends.
func (s *Spill) Run(ctx context.Context, target SpillTarget, clock df.Clock) {
	ticker := time.NewTicker(unspillEvery)
	defer ticker.Stop()
	for {
		took, err := s.TakeIn(ctx, target, clock())
		if took > 0 {
			s.log.Info("spilled deliveries were taken in", "count", took)
		}
		if err != nil && ctx.Err() == nil {
			s.log.Debug("spilled deliveries wait for the store", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
