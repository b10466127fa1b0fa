package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// stamp is the time in the names of files, in UTC.
const stamp = "20060102T150405Z"

const (
	prefix = "dfm-"
	suffix = ".db"
)

// Name is what a backup of that time is called.
func Name(at time.Time) string { return prefix + at.UTC().Format(stamp) + suffix }

// Keeper makes backups into a folder and throws old ones away. What was done is
// known from the names in the folder, so it outlives any process.
type Keeper struct {
	Database string // path of the database file
	Folder   string
	Every    time.Duration
	Keep     int // how many backups stay, at least 1
	Clock    df.Clock
}

// Kept is one backup in the folder.
type Kept struct {
	File  string
	At    time.Time
	Bytes int64
}

// List returns the backups in the folder, oldest first. Files that the keeper did
// not name are none of its business.
func (k *Keeper) List() ([]Kept, error) {
	entries, err := os.ReadDir(k.Folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list backups: %w", err)
	}
	var found []Kept
	for _, entry := range entries {
		middle, ok := strings.CutPrefix(entry.Name(), prefix)
		middle, end := strings.CutSuffix(middle, suffix)
		at, err := time.Parse(stamp, middle)
		if !ok || !end || err != nil {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			continue // it has just been removed
		}
		found = append(found, Kept{File: filepath.Join(k.Folder, entry.Name()), At: at, Bytes: info.Size()})
	}
	slices.SortFunc(found, func(a, b Kept) int { return a.At.Compare(b.At) })
	return found, nil
}

// Last returns the time of the newest backup, or zero.
func (k *Keeper) Last() (time.Time, error) {
	found, err := k.List()
	if err != nil || len(found) == 0 {
		return time.Time{}, err
	}
	return found[len(found)-1].At, nil
}

// Run makes a backup when one is due, removes those that are too many, and
// returns what it made; nil when none was due. An old backup is removed only
// after a new one was verified.
func (k *Keeper) Run(ctx context.Context) (*Report, error) {
	last, err := k.Last()
	if err != nil {
		return nil, err
	}
	now := k.Clock()
	if !last.IsZero() && now.Sub(last) < k.Every {
		return nil, nil
	}
	if err := k.clean(now); err != nil {
		return nil, err
	}
	report, err := Create(ctx, k.Database, filepath.Join(k.Folder, Name(now)), k.Clock)
	if err != nil {
		return nil, err
	}
	return &report, k.prune()
}

func (k *Keeper) prune() error {
	found, err := k.List()
	if err != nil {
		return err
	}
	for _, old := range found[:max(0, len(found)-max(1, k.Keep))] {
		if err := os.Remove(old.File); err != nil {
			return fmt.Errorf("remove an old backup: %w", err)
		}
	}
	return nil
}

// clean removes what a killed process left half-made.
func (k *Keeper) clean(now time.Time) error {
	parts, err := filepath.Glob(filepath.Join(k.Folder, "."+prefix+"*"+suffix+".part-*"))
	if err != nil {
		return err
	}
	for _, part := range parts {
		if info, err := os.Stat(part); err == nil && now.Sub(info.ModTime()) < time.Hour {
			continue // somebody may be writing it
		}
		if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove a half-made backup: %w", err)
		}
	}
	return nil
}
