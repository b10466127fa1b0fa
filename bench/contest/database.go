package contest

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"

	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite" // to count what a server kept
)

// freshDatabase makes an empty database and returns its URL and how to drop it.
// Before it returns, PostgreSQL has written out what earlier runs left, so that
// nobody pays for another's checkpoint.
func (b *Bench) freshDatabase(ctx context.Context, name string) (string, func(), error) {
	admin, err := pgx.Connect(ctx, b.DatabaseURL)
	if err != nil {
		return "", nil, err
	}
	defer admin.Close(ctx)
	identifier := pgx.Identifier{name}.Sanitize()
	for _, statement := range []string{
		"DROP DATABASE IF EXISTS " + identifier + " WITH (FORCE)",
		"CREATE DATABASE " + identifier,
		"CHECKPOINT",
	} {
		if _, err := admin.Exec(ctx, statement); err != nil {
			return "", nil, fmt.Errorf("%s: %w", statement, err)
		}
	}
	at, err := url.Parse(b.DatabaseURL)
	if err != nil {
		return "", nil, err
	}
	at.Path = "/" + name
	drop := func() {
		ctx := context.WithoutCancel(ctx)
		admin, err := pgx.Connect(ctx, b.DatabaseURL)
		if err != nil {
			return
		}
		defer admin.Close(ctx)
		_, _ = admin.Exec(ctx, "DROP DATABASE IF EXISTS "+identifier+" WITH (FORCE)")
	}
	return at.String(), drop, nil
}

// execFile runs a file of SQL.
func execFile(ctx context.Context, databaseURL, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	connection, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer connection.Close(ctx)
	_, err = connection.PgConn().Exec(ctx, string(text)).ReadAll()
	return err
}

// countEvents is how many webhooks a server kept in PostgreSQL.
func countEvents(ctx context.Context, databaseURL string) (int64, error) {
	connection, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return 0, err
	}
	defer connection.Close(ctx)
	var n int64
	err = connection.QueryRow(ctx, "SELECT count(*) FROM webhook_events").Scan(&n)
	return n, err
}

// countEventsInFile is the same for SQLite.
func countEventsInFile(ctx context.Context, file string) (int64, error) {
	db, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	var n int64
	err = db.QueryRowContext(ctx, "SELECT count(*) FROM webhook_events").Scan(&n)
	return n, err
}
