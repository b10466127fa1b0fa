// Package postgres adapts PostgreSQL to store.Engine with pgx's own pool and
// River's pgx driver, so that prepared statements and LISTEN/NOTIFY wake-up are
// kept. It is the engine for many instances.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"riverqueue.com/riverui"
	"riverqueue.com/riverui/uiendpoints"

	"github.com/df-middleware/dfm/internal/store"
)

// MaxConns is the size of the pool. More than about 16 backends on a small
// server make PostgreSQL slower, not faster (facts/stack.md §6).
const MaxConns = 16

// migrationLock is the key of the advisory lock that migrations hold.
const migrationLock = 0x64666d01

// Engine is a PostgreSQL database.
type Engine struct {
	querier
	pool *pgxpool.Pool
	jobs *river.Client[pgx.Tx] // inserts only
	log  *slog.Logger
}

var _ store.Engine = (*Engine)(nil)

// Open connects to the database at the URL. The error never holds the URL,
// which may contain a password.
func Open(ctx context.Context, url string, log *slog.Logger) (*Engine, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("DATABASE_URL is not a valid postgres:// URL")
	}
	config.MaxConns = max(config.MaxConns, MaxConns)
	config.MaxConnIdleTime = 5 * time.Minute
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open PostgreSQL pool: %w", err)
	}
	// A notification that follows another within the cooldown is swallowed; a
	// worker would then find the job by its poll, a second later.
	jobs, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Logger: log, FetchCooldown: time.Millisecond})
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("make job inserter: %w", err)
	}
	return &Engine{querier: querier{pool}, pool: pool, jobs: jobs, log: log}, nil
}

// Name returns "postgres".
func (e *Engine) Name() string { return "postgres" }

// Ping asks the server whether it takes writes.
func (e *Engine) Ping(ctx context.Context) error {
	var readOnly bool
	err := e.pool.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&readOnly)
	if err != nil {
		return fmt.Errorf("ping PostgreSQL: %w", err)
	}
	if readOnly {
		return errors.New("PostgreSQL is a read-only standby")
	}
	return nil
}

// Own implements store.Engine: any number of processes may share a server.
func (e *Engine) Own() error { return nil }

// Close closes the pool.
func (e *Engine) Close() error {
	e.pool.Close()
	return nil
}

// InTx implements store.Engine. PostgreSQL answers a deadlock by failing one
// of the transactions; that one is run again, at most three times.
func (e *Engine) InTx(ctx context.Context, f func(store.Tx) error) error {
	var err error
	for range 4 {
		err = pgx.BeginFunc(ctx, e.pool, func(tx pgx.Tx) error {
			return f(transaction{querier{tx}, tx, e.jobs})
		})
		if !deadlocked(err) {
			break
		}
	}
	return err
}

func deadlocked(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && (refused.Code == "40P01" || refused.Code == "40001")
}

// Script implements store.Engine.
func (e *Engine) Script(ctx context.Context, script string, record func(store.Tx) error) error {
	return pgx.BeginFunc(ctx, e.pool, func(tx pgx.Tx) error {
		if _, err := tx.Conn().PgConn().Exec(ctx, script).ReadAll(); err != nil {
			return err
		}
		return record(transaction{querier{tx}, tx, e.jobs})
	})
}

// Exclusive implements store.Engine with an advisory lock.
func (e *Engine) Exclusive(ctx context.Context, f func() error) error {
	conn, err := e.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", migrationLock); err != nil {
		return fmt.Errorf("take migration lock: %w", err)
	}
	defer func() {
		_, _ = conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", migrationLock)
	}()
	return f()
}

// MigrateJobs implements store.Engine.
func (e *Engine) MigrateJobs(ctx context.Context) error {
	migrator, err := rivermigrate.New(riverpgxv5.New(e.pool), &rivermigrate.Config{Logger: e.log})
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
	client, err := river.NewClient(riverpgxv5.New(e.pool), config)
	if err != nil {
		return nil, fmt.Errorf("make job client: %w", err)
	}
	if err := client.Start(ctx); err != nil {
		return nil, fmt.Errorf("start job client: %w", err)
	}
	return client, nil
}

// runner is what a pool and a transaction have in common.
type runner interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

type querier struct{ run runner }

func (q querier) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	tag, err := q.run.Exec(ctx, query, plain(args)...)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "23505" {
		return 0, fmt.Errorf("%w: %s", store.ErrUnique, refused.ConstraintName)
	}
	return tag.RowsAffected(), err
}

func (q querier) Row(ctx context.Context, query string, args ...any) store.Row {
	return row{q.run.QueryRow(ctx, query, plain(args)...)}
}

func (q querier) Each(ctx context.Context, query string, args []any, scan func(store.Row) error) error {
	rows, err := q.run.Query(ctx, query, plain(args)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

type row struct{ pgx.Row }

func (r row) Scan(dest ...any) error {
	err := r.Row.Scan(dest...)
	if errors.Is(err, pgx.ErrNoRows) {
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
	tx   pgx.Tx
	jobs *river.Client[pgx.Tx]
}

func (t transaction) InsertJobs(ctx context.Context, jobs []river.InsertManyParams) error {
	_, err := t.jobs.InsertManyFastTx(ctx, t.tx, jobs)
	return err
}

// Pipeline implements store.Tx.
func (t transaction) Pipeline(ctx context.Context, steps ...store.Step) error {
	var batch pgx.Batch
	for _, step := range steps {
		queued := batch.Queue(step.Query, plain(step.Args)...)
		if step.Scan == nil {
			continue
		}
		queued.Query(func(rows pgx.Rows) error {
			defer rows.Close()
			for rows.Next() {
				if err := step.Scan(rows); err != nil {
					return err
				}
			}
			return rows.Err()
		})
	}
	return t.tx.SendBatch(ctx, &batch).Close()
}
