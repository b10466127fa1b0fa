package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/store/migrations"
)

// Migration is one step of the schema's history.
type Migration struct {
	Version   int
	Name      string
	AppliedAt time.Time // zero while pending
}

// ErrSchemaTooNew says that the database was migrated by a newer release than
// this one; it is returned by MigrateUp and SchemaReady.
var ErrSchemaTooNew = errors.New("the database was migrated by a newer release of dfm: upgrade this binary")

// ErrSchemaBehind says that migrations are pending; SchemaReady returns it.
var ErrSchemaBehind = errors.New("the database schema is behind: run `dfm migrate up`")

const bookkeeping = `CREATE TABLE IF NOT EXISTS dfm_migrations (
	version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TIMESTAMP NOT NULL)`

// MigrateUp applies all pending migrations, River's included, each in a
// transaction of its own, and returns those it applied. Several processes may
// call it at once.
func (s *Store) MigrateUp(ctx context.Context, clock func() time.Time) ([]Migration, error) {
	var applied []Migration
	err := s.Exclusive(ctx, func() error {
		history, err := s.Migrations(ctx)
		if err != nil {
			return err
		}
		for _, step := range history {
			if !step.AppliedAt.IsZero() {
				continue
			}
			if err := s.apply(ctx, step, clock()); err != nil {
				return fmt.Errorf("migration %04d_%s: %w", step.Version, step.Name, err)
			}
			applied = append(applied, step)
		}
		if err := s.MigrateJobs(ctx); err != nil || len(applied) == 0 {
			return err
		}
		// What only the program can make of rows of before is made once the whole
		// schema is there, which is the one that the program knows.
		_, err = s.FillWords(ctx)
		return err
	})
	return applied, err
}

func (s *Store) apply(ctx context.Context, step Migration, now time.Time) error {
	script, err := s.script(step, "up")
	if err != nil {
		return err
	}
	return s.Script(ctx, script, func(tx Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO dfm_migrations (version, name, applied_at) VALUES ($1, $2, $3)",
			step.Version, step.Name, now)
		return err
	})
}

// MigrateDown takes back the newest applied migration and returns it. River's
// tables stay.
func (s *Store) MigrateDown(ctx context.Context) (Migration, error) {
	var undone Migration
	err := s.Exclusive(ctx, func() error {
		history, err := s.Migrations(ctx)
		if err != nil {
			return err
		}
		for _, step := range slices.Backward(history) {
			if step.AppliedAt.IsZero() {
				continue
			}
			undone = step
			return s.undo(ctx, step)
		}
		return errors.New("no migration is applied")
	})
	return undone, err
}

func (s *Store) undo(ctx context.Context, step Migration) error {
	script, err := s.script(step, "down")
	if err != nil {
		return err
	}
	return s.Script(ctx, script, func(tx Tx) error {
		_, err := tx.Exec(ctx, "DELETE FROM dfm_migrations WHERE version = $1", step.Version)
		return err
	})
}

func (s *Store) script(step Migration, way string) (string, error) {
	name := fmt.Sprintf("%04d_%s.%s.%s.sql", step.Version, step.Name, s.Name(), way)
	script, err := fs.ReadFile(migrations.Files, name)
	return string(script), err
}

// Migrations lists all migrations this release knows, oldest first, with the
// time at which each was applied. It fails with ErrSchemaTooNew when the
// database holds one that it does not know.
func (s *Store) Migrations(ctx context.Context) ([]Migration, error) {
	if _, err := s.Exec(ctx, bookkeeping); err != nil {
		return nil, fmt.Errorf("read migration state: %w", err)
	}
	applied := map[int]time.Time{}
	err := s.Each(ctx, "SELECT version, applied_at FROM dfm_migrations", nil, func(row Row) error {
		var version int
		var at time.Time
		if err := row.Scan(&version, scanTime(&at)); err != nil {
			return err
		}
		applied[version] = at
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read migration state: %w", err)
	}
	known, err := s.known()
	if err != nil {
		return nil, err
	}
	for i := range known {
		known[i].AppliedAt = applied[known[i].Version]
		delete(applied, known[i].Version)
	}
	if len(applied) > 0 {
		return known, ErrSchemaTooNew
	}
	return known, nil
}

// SchemaVersion returns the newest migration that is applied, without writing
// anything, and ErrSchemaTooNew with it when this release does not know it.
func (s *Store) SchemaVersion(ctx context.Context) (int, error) {
	var newest int
	if err := s.Row(ctx, "SELECT coalesce(max(version), 0) FROM dfm_migrations").Scan(&newest); err != nil {
		return 0, fmt.Errorf("read migration state: %w", err)
	}
	known, err := s.known()
	if err != nil {
		return newest, err
	}
	if newest > known[len(known)-1].Version {
		return newest, ErrSchemaTooNew
	}
	return newest, nil
}

// known lists the embedded migrations of this engine, oldest first.
func (s *Store) known() ([]Migration, error) {
	names, err := fs.Glob(migrations.Files, "*."+s.Name()+".up.sql")
	if err != nil {
		return nil, err
	}
	steps := make([]Migration, 0, len(names))
	for _, name := range names {
		number, title, _ := strings.Cut(strings.TrimSuffix(name, "."+s.Name()+".up.sql"), "_")
		version, err := strconv.Atoi(number)
		if err != nil {
			return nil, fmt.Errorf("migration file %s has no number", name)
		}
		steps = append(steps, Migration{Version: version, Name: title})
	}
	slices.SortFunc(steps, func(a, b Migration) int { return a.Version - b.Version })
	return steps, nil
}

// SchemaReady tells whether all migrations are applied: nil, ErrSchemaBehind or
// ErrSchemaTooNew.
func (s *Store) SchemaReady(ctx context.Context) error {
	history, err := s.Migrations(ctx)
	if err != nil {
		return err
	}
	for _, step := range history {
		if step.AppliedAt.IsZero() {
			return ErrSchemaBehind
		}
	}
	return nil
}
