package crowd

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite" // the driver of SQLite files
)

// many is from how many rows on the indexes of a table are made after them, which
// is several times as fast as keeping them up.
const many = 20_000

// Postgres fills a database, and leaves it with the statistics and the visibility
// map that autovacuum would have made.
func (c *Crowd) Postgres(ctx context.Context, databaseURL string) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, t := range c.Tables() {
		if err := copyTable(ctx, conn, t); err != nil {
			return fmt.Errorf("fill %s: %w", t.Name, err)
		}
	}
	_, err = conn.Exec(ctx, "VACUUM (ANALYZE)")
	return err
}

// copyTable puts the rows in within one transaction.
func copyTable(ctx context.Context, conn *pgx.Conn, t Table) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		var indexes, names []string
		if t.Count >= many {
			rows, err := tx.Query(ctx, `SELECT indexdef, indexname FROM pg_indexes WHERE schemaname = current_schema() AND tablename = $1 AND indexname NOT IN
				(SELECT conname FROM pg_constraint)`, t.Name)
			if err != nil {
				return err
			}
			var index, name string
			if _, err := pgx.ForEachRow(rows, []any{&index, &name}, func() error {
				indexes, names = append(indexes, index), append(names, name)
				return nil
			}); err != nil {
				return err
			}
		}
		for _, name := range names {
			if _, err := tx.Exec(ctx, "DROP INDEX "+pgx.Identifier{name}.Sanitize()); err != nil {
				return err
			}
		}
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{t.Name}, t.Columns, pgx.CopyFromSlice(t.Count, func(i int) ([]any, error) { return t.Row(i), nil })); err != nil {
			return err
		}
		for _, index := range indexes {
			if _, err := tx.Exec(ctx, index); err != nil {
				return err
			}
		}
		return nil
	})
}

// SQLite fills a file.
func (c *Crowd) SQLite(ctx context.Context, file string) (err error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_time_format=sqlite&_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=cache_size(-400000)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing is left of it after a commit
	for _, t := range c.Tables() {
		if err := insertTable(ctx, tx, t); err != nil {
			return fmt.Errorf("fill %s: %w", t.Name, err)
		}
	}
	return tx.Commit()
}

// insertTable inserts the rows, one statement for each.
func insertTable(ctx context.Context, tx *sql.Tx, t Table) error {
	marks := strings.Join(slices.Repeat([]string{"?"}, len(t.Columns)), ", ")
	insert, err := tx.PrepareContext(ctx, "INSERT INTO "+t.Name+" ("+strings.Join(t.Columns, ", ")+") VALUES ("+marks+")")
	if err != nil {
		return err
	}
	defer insert.Close()
	for row := range t.Rows() {
		if _, err := insert.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	return nil
}
