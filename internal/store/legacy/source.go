package legacy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrOwn is returned for a database that is ours and not the original's.
var ErrOwn = errors.New("the tables there are those of df-middleware itself, not of the original system")

// ErrNothing is returned for a database that has none of the original's tables.
var ErrNothing = errors.New("none of the original system's tables are there; is a search_path missing?")

// Source is an open database of the original. It has one connection and serves
// one caller at a time.
type Source struct {
	conn    *pgx.Conn
	tx      pgx.Tx
	columns map[string]map[string]bool
}

// Open connects to the database at the URL and begins the transaction in which
// everything is read. The error never holds the URL, which has a password in it.
// It returns ErrOwn or ErrNothing for a database that is not the original's.
func Open(ctx context.Context, url string) (*Source, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil || !strings.HasPrefix(url, "postgres") {
		return nil, errors.New("the original's database is not named by a valid postgres:// URL")
	}
	// Nothing is prepared under a name, so that a pooler may stand in between.
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to the original's database: %w", err)
	}
	s := &Source{conn: conn, columns: map[string]map[string]bool{}}
	if err := s.begin(ctx); err != nil {
		_ = conn.Close(ctx)
		return nil, err
	}
	return s, nil
}

// begin starts the transaction, which may take as long as we take to write, and
// reads which tables and columns there are.
func (s *Source) begin(ctx context.Context) error {
	var err error
	s.tx, err = s.conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return fmt.Errorf("read the original's database: %w", err)
	}
	for _, setting := range []string{"statement_timeout = 0", "idle_in_transaction_session_timeout = 0", "timezone = 'UTC'"} {
		if _, err := s.tx.Exec(ctx, "SET LOCAL "+setting); err != nil {
			return fmt.Errorf("read the original's database: %w", err)
		}
	}
	rows, err := s.tx.Query(ctx, `SELECT table_name::text, column_name::text FROM information_schema.columns
		WHERE table_schema = ANY (current_schemas(false))`)
	if err != nil {
		return fmt.Errorf("read the original's schema: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return fmt.Errorf("read the original's schema: %w", err)
		}
		if s.columns[table] == nil {
			s.columns[table] = map[string]bool{}
		}
		s.columns[table][column] = true
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the original's schema: %w", err)
	}
	return s.judge()
}

func (s *Source) judge() error {
	if s.Has("consent_chain") || s.Has("lanes") {
		return ErrOwn
	}
	for _, table := range Tables() {
		if s.Has(table) {
			return nil
		}
	}
	return ErrNothing
}

// Close ends the transaction and the connection.
func (s *Source) Close(ctx context.Context) error {
	_ = s.tx.Rollback(ctx)
	return s.conn.Close(ctx)
}

// Has reports whether the table is there.
func (s *Source) Has(table string) bool { return s.columns[table] != nil }

// Missing lists the columns that we would read of the table and that are not
// there.
func (s *Source) Missing(table string) []string {
	var missing []string
	for _, column := range wanted[table] {
		if s.Has(table) && !s.columns[table][column] {
			missing = append(missing, column)
		}
	}
	return missing
}

// Count returns how many rows the table has, 0 for one that is not there.
func (s *Source) Count(ctx context.Context, table string) (int64, error) {
	if !s.Has(table) {
		return 0, nil
	}
	var n int64
	if err := s.tx.QueryRow(ctx, "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		return 0, fmt.Errorf("count %s of the original: %w", table, err)
	}
	return n, nil
}

// text is a column as text, "" for NULL and for a column that is not there.
func (s *Source) text(table, column string) string {
	if !s.columns[table][column] {
		return "''::text"
	}
	return "coalesce(t." + column + "::text, '')"
}

// at is a column as a time, NULL for one that is not there. One without a zone
// is in UTC, by the transaction's time zone.
func (s *Source) at(table, column string) string {
	if !s.columns[table][column] {
		return "NULL::timestamptz"
	}
	return "t." + column + "::timestamptz"
}

// twins counts the rows that have the same value in the column.
func (s *Source) twins(table, column string) string {
	return "count(*) OVER (PARTITION BY nullif(btrim(" + s.text(table, column) + "), ''))"
}

// order sorts by the columns that are there.
func (s *Source) order(table string, columns ...string) string {
	var present []string
	for _, column := range columns {
		if s.columns[table][column] {
			present = append(present, "t."+column)
		}
	}
	if len(present) == 0 {
		return ""
	}
	return " ORDER BY " + strings.Join(present, ", ")
}

// each reads a statement's rows in batches. do must not keep the slice.
func each[T any](ctx context.Context, s *Source, table, query string, size int, scan func(pgx.Rows) (T, error), do func([]T) error) error {
	if !s.Has(table) {
		return nil
	}
	rows, err := s.tx.Query(ctx, query)
	if err != nil {
		return fmt.Errorf("read %s of the original: %w", table, err)
	}
	defer rows.Close()
	batch := make([]T, 0, size)
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return fmt.Errorf("read %s of the original: %w", table, err)
		}
		if batch = append(batch, item); len(batch) < size {
			continue
		}
		if err := do(batch); err != nil {
			return err
		}
		clear(batch) // lets go of the bodies
		batch = batch[:0]
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read %s of the original: %w", table, err)
	}
	if len(batch) == 0 {
		return nil
	}
	return do(batch)
}

// moment scans a time that may be NULL.
type moment struct{ to *time.Time }

// Scan implements sql.Scanner.
func (m moment) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*m.to = time.Time{}
	case time.Time:
		*m.to = v.UTC()
	default:
		return fmt.Errorf("a time of the type %T", value)
	}
	return nil
}
