// Package sqlite adapts SQLite to store.Engine: the embedded default, with
// nothing to install. One connection writes, many read; the journal is
// write-ahead and every commit is on disk before it is answered
// (synchronous=FULL). One process per file.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
	"riverqueue.com/riverui"
	"riverqueue.com/riverui/uiendpoints"

	"github.com/df-middleware/dfm/internal/store"
)

// Engine is a SQLite database file.
type Engine struct {
	querier
	write *sql.DB // one connection, shared with River
	read  *sql.DB
	jobs  *river.Client[*sql.Tx] // inserts only
	log   *slog.Logger
	path  string
	lock  *os.File // held while this process owns the file, nil otherwise

	ping    sync.Mutex // guards what follows; one Ping at a time
	pinged  time.Time  // when the last one was; zero for never
	pingErr error
}

var _ store.Engine = (*Engine)(nil)

// Open opens the file, making it and its folder when they are missing.
func Open(ctx context.Context, path string, log *slog.Logger) (*Engine, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("make folder for SQLite file: %w", err)
	}
	write, err := connect(path, "rwc", 1)
	if err != nil {
		return nil, err
	}
	if err := write.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open SQLite file %s: %w", path, err), write.Close())
	}
	read, err := connect(path, "ro", max(4, 2*runtime.NumCPU()))
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	// A notification that follows another within the cooldown is swallowed; a
	// worker would then find the job by its poll, a second later.
	jobs, err := river.NewClient(riversqlite.New(write), &river.Config{Logger: log, FetchCooldown: time.Millisecond})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make job inserter: %w", err), read.Close(), write.Close())
	}
	e := &Engine{write: write, read: read, jobs: jobs, log: log, path: path}
	e.querier = querier{exec: write, query: read, rewritten: new(sync.Map)}
	return e, nil
}

func connect(path, mode string, conns int) (*sql.DB, error) {
	params := url.Values{
		"mode":         {mode},
		"_txlock":      {"immediate"},
		"_time_format": {"sqlite"},
		"_pragma": {
			"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)",
			"foreign_keys(ON)", "temp_store(MEMORY)", "cache_size(-16000)",
		},
	}
	if mode == "ro" {
		params["_pragma"] = []string{"busy_timeout(10000)", "query_only(ON)", "cache_size(-8000)"}
	}
	db, err := sql.Open("sqlite", address(path, params))
	if err != nil {
		return nil, fmt.Errorf("open SQLite file %s: %w", path, err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	db.SetConnMaxIdleTime(0)
	return db, nil
}

// Name returns "sqlite".
func (e *Engine) Name() string { return "sqlite" }

// pingFor is how long the answer of a Ping stands. Whoever may ask without proof,
// as for readiness, cannot keep the disk busy by it.
const pingFor = time.Second

// Ping tells whether the file can be read and written, by writing: a disk that is
// full, or was made read-only, still reads well.
func (e *Engine) Ping(ctx context.Context) error {
	e.ping.Lock()
	defer e.ping.Unlock()
	if !e.pinged.IsZero() && time.Since(e.pinged) < pingFor {
		return e.pingErr
	}
	err := e.tryPing(ctx)
	if ctx.Err() == nil { // who gave up has learned nothing
		e.pinged, e.pingErr = time.Now(), err
	}
	return err
}

func (e *Engine) tryPing(ctx context.Context) error {
	var one int
	if err := e.read.QueryRowContext(ctx, "SELECT 1 FROM sqlite_master LIMIT 1").Scan(&one); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("ping SQLite: %w", err)
	}
	if e.write == e.read { // opened for reading only
		return nil
	}
	// A number of the file that nobody uses; setting it to what it is commits
	// one page.
	if _, err := e.write.ExecContext(ctx, "PRAGMA user_version = 0"); err != nil {
		return fmt.Errorf("ping SQLite: the file cannot be written: %w", err)
	}
	return nil
}

// Close closes all connections; the write-ahead log is folded in by SQLite.
func (e *Engine) Close() error {
	err := e.read.Close()
	if e.write != e.read {
		err = errors.Join(err, e.write.Close())
	}
	if e.lock != nil {
		err = errors.Join(err, e.lock.Close())
	}
	return err
}

// InTx implements store.Engine. Transactions take the write lock at once, so
// they cannot deadlock.
func (e *Engine) InTx(ctx context.Context, f func(store.Tx) error) error {
	tx, err := e.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after Commit this does nothing
	if err := f(e.transaction(tx)); err != nil {
		return err
	}
	return tx.Commit()
}

// Script implements store.Engine.
func (e *Engine) Script(ctx context.Context, script string, record func(store.Tx) error) error {
	return e.InTx(ctx, func(tx store.Tx) error {
		if _, err := tx.(transaction).tx.ExecContext(ctx, script); err != nil {
			return err
		}
		return record(tx)
	})
}

// Exclusive implements store.Engine: one process owns the file, so there is
// nobody to exclude.
func (e *Engine) Exclusive(_ context.Context, f func() error) error { return f() }

// MigrateJobs implements store.Engine.
func (e *Engine) MigrateJobs(ctx context.Context) error {
	migrator, err := rivermigrate.New(riversqlite.New(e.write), &rivermigrate.Config{Logger: e.log})
	if err != nil {
		return fmt.Errorf("make River migrator: %w", err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate River: %w", err)
	}
	return nil
}

// JobPages implements store.Engine.
func (e *Engine) JobPages() uiendpoints.Bundle { return riverui.NewEndpoints(e.jobs, nil) }

// StartJobs implements store.Engine.
func (e *Engine) StartJobs(ctx context.Context, config *river.Config) (store.JobClient, error) {
	client, err := river.NewClient(riversqlite.New(e.write), config)
	if err != nil {
		return nil, fmt.Errorf("make job client: %w", err)
	}
	if err := client.Start(ctx); err != nil {
		return nil, fmt.Errorf("start job client: %w", err)
	}
	return client, nil
}

func (e *Engine) transaction(tx *sql.Tx) transaction {
	return transaction{querier{exec: tx, query: tx, rewritten: e.rewritten}, tx, e.jobs}
}

// runner is what a pool and a transaction have in common.
type runner interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

type querier struct {
	exec, query runner
	rewritten   *sync.Map // query in the common dialect → query for SQLite
}

var parameter = regexp.MustCompile(`\$(\d+)`)

// rewrite turns $1 into ?1: SQLite takes $1 for a name and would bind it by
// order of appearance. It compares bytes unless told otherwise, which is what
// PostgreSQL calls "C".
func (q querier) rewrite(query string) string {
	if known, ok := q.rewritten.Load(query); ok {
		return known.(string)
	}
	text := strings.ReplaceAll(parameter.ReplaceAllString(query, "?$1"), ` COLLATE "C"`, "")
	q.rewritten.Store(query, text)
	return text
}

func (q querier) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := q.exec.ExecContext(ctx, q.rewrite(query), plain(args)...)
	var refused *driver.Error
	if errors.As(err, &refused) && (refused.Code() == lib.SQLITE_CONSTRAINT_UNIQUE || refused.Code() == lib.SQLITE_CONSTRAINT_PRIMARYKEY) {
		return 0, fmt.Errorf("%w: %s", store.ErrUnique, refused.Error())
	}
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (q querier) Row(ctx context.Context, query string, args ...any) store.Row {
	return row{q.query.QueryRowContext(ctx, q.rewrite(query), plain(args)...)}
}

func (q querier) Each(ctx context.Context, query string, args []any, scan func(store.Row) error) error {
	rows, err := q.query.QueryContext(ctx, q.rewrite(query), plain(args)...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

type row struct{ *sql.Row }

func (r row) Scan(dest ...any) error {
	err := r.Row.Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrNoRows
	}
	return err
}

// plain replaces times by what the column keeps of them.
func plain(args []any) []any {
	for i, arg := range args {
		if t, ok := arg.(time.Time); ok {
			args[i] = store.NullTime(t)
		}
	}
	return args
}

type transaction struct {
	querier
	tx   *sql.Tx
	jobs *river.Client[*sql.Tx]
}

func (t transaction) InsertJobs(ctx context.Context, jobs []river.InsertManyParams) error {
	_, err := t.jobs.InsertManyFastTx(ctx, t.tx, jobs)
	return err
}

// Pipeline implements store.Tx. There is no round trip to save.
func (t transaction) Pipeline(ctx context.Context, steps ...store.Step) error {
	for _, step := range steps {
		var err error
		if step.Scan == nil {
			_, err = t.Exec(ctx, step.Query, step.Args...)
		} else {
			err = t.Each(ctx, step.Query, step.Args, step.Scan)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
