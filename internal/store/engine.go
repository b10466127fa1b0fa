package store

import (
	"context"
	"errors"
	"log/slog"

	"github.com/riverqueue/river"
	"riverqueue.com/riverui/uiendpoints"
)

// Row is one row of a result.
type Row interface {
	Scan(dest ...any) error
}

// ErrNoRows is what Row.Scan returns, on both engines, when there is no row.
var ErrNoRows = errors.New("store: no rows")

// ErrUnique is wrapped by the error of a statement that a unique index refused.
// On PostgreSQL the transaction is void then.
var ErrUnique = errors.New("store: not unique")

// Querier runs statements of the common dialect.
type Querier interface {
	// Exec runs a statement and returns the number of rows it changed.
	Exec(ctx context.Context, query string, args ...any) (int64, error)
	// Row runs a query for at most one row.
	Row(ctx context.Context, query string, args ...any) Row
	// Each runs a query and calls scan for every row. The rows are closed
	// before Each returns; scan must not run other statements.
	Each(ctx context.Context, query string, args []any, scan func(Row) error) error
}

// Step is one statement of a pipeline.
type Step struct {
	Query string
	Args  []any
	// Scan is called for every row of the result; nil for a statement that
	// returns none.
	Scan func(Row) error
}

// Tx is a transaction. It also inserts River jobs, which become visible with
// the rest of the transaction or not at all.
type Tx interface {
	Querier
	// Pipeline runs statements that do not depend on each other's results, in
	// order, in one round trip where the database has any.
	Pipeline(ctx context.Context, steps ...Step) error
	InsertJobs(ctx context.Context, jobs []river.InsertManyParams) error
}

// Engine is a database. The sqlite and postgres packages implement it.
type Engine interface {
	// Querier outside any transaction is for reads and single writes without
	// RETURNING: on SQLite, Row and Each use connections that cannot write.
	Querier
	// InTx runs f in a transaction and commits when f returns nil. A
	// transaction that the database refuses for a deadlock is run again.
	InTx(ctx context.Context, f func(Tx) error) error
	// Name is "sqlite" or "postgres".
	Name() string
	// Ping tells whether the database answers and can be written to.
	Ping(ctx context.Context) error
	// Own says that this process is about to work with the database. It fails
	// when the engine serves one process only and another one is there.
	Own() error
	// Script runs a migration file, which may hold many statements, and then
	// record, in one transaction.
	Script(ctx context.Context, script string, record func(Tx) error) error
	// Exclusive runs f while no other process migrates the same database.
	Exclusive(ctx context.Context, f func() error) error
	// MigrateJobs brings River's own tables up to date.
	MigrateJobs(ctx context.Context) error
	// StartJobs starts a River client that works jobs as configured.
	StartJobs(ctx context.Context, config *river.Config) (JobClient, error)
	// JobPages is what River's own pages read and change of the jobs.
	JobPages() uiendpoints.Bundle
	// Close ends all connections.
	Close() error
}

// JobClient is the part of a running River client that does not depend on the
// engine.
type JobClient interface {
	// Stop stops fetching and waits for running jobs until ctx ends.
	Stop(ctx context.Context) error
	// StopAndCancel also cancels the contexts of running jobs.
	StopAndCancel(ctx context.Context) error
}

// Store runs the program's queries on an engine.
type Store struct {
	Engine
	log *slog.Logger
}

// New returns a store on the engine. Close the store to close the engine.
func New(engine Engine, log *slog.Logger) *Store {
	return &Store{Engine: engine, log: log}
}
