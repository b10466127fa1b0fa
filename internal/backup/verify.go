package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/sqlite"
)

// Report is what a whole reading of a database file came to.
type Report struct {
	File     string           `json:"file"`
	OK       bool             `json:"ok"`
	Problems []string         `json:"problems"` // why it is not, in sentences
	Bytes    int64            `json:"bytes"`
	Schema   int              `json:"schema"`    // the newest migration in it
	Links    int64            `json:"links"`     // of the evidence about opt-outs
	Head     string           `json:"chainHead"` // hash of the last link
	Tables   map[string]int64 `json:"tables"`    // rows
	TookMS   int64            `json:"tookMs"`
}

// Rows adds up the rows of all tables.
func (r Report) Rows() int64 {
	var sum int64
	for n := range maps.Values(r.Tables) {
		sum += n
	}
	return sum
}

func (r *Report) wrong(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// Verify reads a database file whole, without changing it: its pages and
// references, whether this release knows its schema, and the chain of evidence.
// The error is for what could not be found out; what is wrong with the file is in
// the report.
func Verify(ctx context.Context, file string, clock df.Clock) (Report, error) {
	begun := clock()
	r := Report{File: file, Problems: []string{}, Tables: map[string]int64{}}
	err := r.read(ctx, file, clock)
	if errors.Is(err, sqlite.ErrDamaged) {
		r.wrong("the file cannot be read: %v", err)
		err = nil
	}
	r.OK = err == nil && len(r.Problems) == 0
	r.TookMS = clock().Sub(begun).Milliseconds()
	return r, err
}

func (r *Report) read(ctx context.Context, file string, clock df.Clock) (err error) {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	r.Bytes = info.Size()
	engine, err := sqlite.OpenCopy(ctx, file, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() {
		if closing := engine.Close(); err == nil {
			err = closing
		}
	}()
	damage, err := engine.Damage(ctx)
	for _, one := range damage {
		r.wrong("the file is damaged: %s", one)
	}
	if err != nil || len(damage) > 0 {
		return err
	}
	if r.Tables, err = sqlite.CountTables(ctx, engine); err != nil {
		return err
	}
	if _, ours := r.Tables["dfm_migrations"]; !ours {
		r.wrong("the file is a database, but not one of dfm's")
		return nil
	}
	return r.readOurs(ctx, store.New(engine, slog.New(slog.DiscardHandler)), clock())
}

func (r *Report) readOurs(ctx context.Context, db *store.Store, now time.Time) (err error) {
	r.Schema, err = db.SchemaVersion(ctx)
	if errors.Is(err, store.ErrSchemaTooNew) {
		r.wrong("its schema is %04d, which this release does not know: upgrade this binary", r.Schema)
		return nil
	}
	if _, has := r.Tables["consent_chain"]; err != nil || !has { // as before migration 0004
		return err
	}
	proof, err := consent.VerifyChain(ctx, db, now)
	var fault *consent.Fault
	if errors.As(err, &fault) {
		r.wrong("the evidence about opt-outs was altered: %v", fault)
		return nil
	}
	r.Links, r.Head = proof.Links, proof.Head
	return err
}

// snapshot is what a database held at the moment of a copy.
type snapshot struct {
	tables map[string]int64
	links  int64
	head   string
}

func (s *snapshot) look(ctx context.Context, q store.Querier) (err error) {
	if s.tables, err = sqlite.CountTables(ctx, q); err != nil {
		return err
	}
	if _, has := s.tables["consent_chain"]; has {
		s.links, s.head, err = store.ChainHead(ctx, q)
	}
	return err
}

// differs names what a copy holds that is not what was there, or the other way
// round.
func (s snapshot) differs(r Report) []string {
	var found []string
	tables := map[string]bool{}
	for name := range s.tables {
		tables[name] = true
	}
	for name := range r.Tables {
		tables[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		if there, here := s.tables[name], r.Tables[name]; there != here {
			found = append(found, fmt.Sprintf("%s has %d rows in the database and %d in the copy", name, there, here))
		}
	}
	if s.links != r.Links || s.head != r.Head {
		found = append(found, fmt.Sprintf("the evidence ends at link %d in the database and at %d in the copy, or in another hash", s.links, r.Links))
	}
	return found
}

// missing says in a sentence that there is no such file.
func missing(file string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no file %s", file)
	}
	return err
}
