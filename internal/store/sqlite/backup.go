package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/df-middleware/dfm/internal/store"
)

// ErrDamaged says that a file cannot be read as the SQLite database that it
// should be.
var ErrDamaged = errors.New("it is damaged, or no SQLite database")

// copyPages is how many pages of a copy are made before the context is asked.
const copyPages = 512

// source is what the driver's connections can do besides SQL.
type source interface {
	NewBackup(to string) (*driver.Backup, error)
}

// Copy copies the database at path to the file to, which must be there and empty,
// while others read and write it. All of the copy, and all that look reads, is of
// one moment. The copy is one file, without a write-ahead log, and on disk.
//
// The pages are copied as they are: VACUUM INTO cannot run within the
// transaction that look reads in, and what cannot be compared proves nothing.
func Copy(ctx context.Context, path, to string, look func(store.Querier) error) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("open SQLite file: %w", err)
	}
	db, err := connect(path, "ro", 1)
	if err != nil {
		return err
	}
	err = damaged(copyMoment(ctx, db, to, look))
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := unlog(ctx, to); err != nil {
		return err
	}
	return syncFile(to)
}

func copyMoment(ctx context.Context, db *sql.DB, to string, look func(store.Querier) error) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // gives it back to a pool that is closed next
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return err
	}
	defer func() { _, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") }()
	// The moment is that of the first read.
	if err := look(querier{exec: conn, query: conn, rewritten: new(sync.Map)}); err != nil {
		return err
	}
	return conn.Raw(func(raw any) error { return copyAll(ctx, raw, to) })
}

func copyAll(ctx context.Context, raw any, to string) error {
	from, ok := raw.(source)
	if !ok {
		return errors.New("the SQLite driver cannot copy databases")
	}
	backup, err := from.NewBackup(address(to, nil))
	if err != nil {
		return err
	}
	for more := true; more && err == nil; {
		if more, err = backup.Step(copyPages); err == nil {
			err = ctx.Err()
		}
	}
	return errors.Join(err, backup.Finish())
}

// unlog makes a copy of a database with a write-ahead log one that needs none.
func unlog(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", address(path, url.Values{"mode": {"rw"}, "_pragma": {"synchronous(FULL)"}}))
	if err != nil {
		return fmt.Errorf("open copy: %w", err)
	}
	defer func() { _ = db.Close() }()
	var mode string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode = DELETE").Scan(&mode); err != nil || mode != "delete" {
		return errors.Join(fmt.Errorf("finish copy: its journal stays %q", mode), err)
	}
	if err := db.Close(); err != nil {
		return fmt.Errorf("finish copy: %w", err)
	}
	return nil
}

func address(path string, params url.Values) string {
	file := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: params.Encode()}
	return file.String()
}

func syncFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// OpenCopy opens a database file for reading only. Whatever would write fails.
func OpenCopy(ctx context.Context, path string, log *slog.Logger) (*Engine, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	if err := looksLikeOne(path); err != nil {
		return nil, err
	}
	read, err := connect(path, "ro", 1)
	if err != nil {
		return nil, err
	}
	e := &Engine{write: read, read: read, log: log, path: path}
	e.querier = querier{exec: read, query: read, rewritten: new(sync.Map)}
	if err := e.Ping(ctx); err != nil {
		return nil, errors.Join(damaged(err), e.Close())
	}
	return e, nil
}

// looksLikeOne reads the first bytes, of a file that SQLite would else take for
// an empty database or call by an error of its own.
func looksLikeOne(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	const magic = "SQLite format 3\x00"
	begins := make([]byte, len(magic))
	if _, err := io.ReadFull(file, begins); err != nil || string(begins) != magic {
		return ErrDamaged
	}
	return nil
}

// damaged tells errors that say that the file is broken from all others.
func damaged(err error) error {
	var failed *driver.Error
	if errors.As(err, &failed) {
		switch failed.Code() & 0xff {
		case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
			return fmt.Errorf("%w: %s", ErrDamaged, failed.Error())
		}
	}
	return err
}

// Damage reads the whole file and says what is wrong with it, ten things at most;
// nothing when it is sound.
func (e *Engine) Damage(ctx context.Context) ([]string, error) {
	var found []string
	err := e.Each(ctx, "PRAGMA integrity_check(10)", nil, func(row store.Row) error {
		var said string
		err := row.Scan(&said)
		if err == nil && said != "ok" {
			found = append(found, strings.TrimSpace(strings.ReplaceAll(said, "\n", " ")))
		}
		return err
	})
	if err = damaged(err); err != nil || len(found) > 0 {
		return found, err
	}
	err = e.Each(ctx, `SELECT "table", count(*) FROM pragma_foreign_key_check GROUP BY "table" LIMIT 10`, nil, func(row store.Row) error {
		var table string
		var rows int64
		err := row.Scan(&table, &rows)
		found = append(found, fmt.Sprintf("%d rows of %s refer to what is not there", rows, table))
		return err
	})
	return found, damaged(err)
}

// CountTables counts the rows of every table.
func CountTables(ctx context.Context, q store.Querier) (map[string]int64, error) {
	var tables []string
	err := q.Each(ctx, `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite@_%' ESCAPE '@' ORDER BY name`, nil,
		func(row store.Row) error {
			var name string
			err := row.Scan(&name)
			tables = append(tables, name)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", damaged(err))
	}
	counts := make(map[string]int64, len(tables))
	for _, name := range tables {
		var n int64
		if err := q.Row(ctx, `SELECT count(*) FROM "`+strings.ReplaceAll(name, `"`, `""`)+`"`).Scan(&n); err != nil {
			return nil, fmt.Errorf("count rows of %s: %w", name, damaged(err))
		}
		counts[name] = n
	}
	return counts, nil
}

// Own locks the database file at path for this process, as an engine's Own does,
// without opening it, until release is called. It fails while a dfm serve has it.
func Own(path string) (release func() error, err error) {
	e := &Engine{path: path}
	if err := e.Own(); err != nil {
		return nil, err
	}
	return func() error {
		if e.lock == nil {
			return nil
		}
		return e.lock.Close()
	}, nil
}

// Replace puts the database file from, which must be in the same folder, in the
// place of path. What was there before is kept under the name aside; there may be
// nothing. The caller owns the file.
//
// The write-ahead log is folded into the old file first, since SQLite would take
// what is left of it for the new file's. Where the old file is too damaged for
// that, the log is put aside with it.
func Replace(ctx context.Context, path, from, aside string) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := putAside(path, aside); err != nil {
			return err
		}
		return errors.Join(os.Rename(from, path), syncFolder(filepath.Dir(path)))
	} else if err != nil {
		return err
	}
	_ = fold(ctx, path) // what cannot be folded is put aside
	if err := putAside(path, aside); err != nil {
		return err
	}
	// A second name for the old file, and then one step from the old to the new:
	// at no moment is there no database, which a dfm serve would begin anew.
	if err := os.Link(path, aside); err != nil {
		if err := os.Rename(path, aside); err != nil {
			return fmt.Errorf("keep the old database: %w", err)
		}
	}
	if err := os.Rename(from, path); err != nil {
		return fmt.Errorf("put the new database in its place: %w", err)
	}
	return syncFolder(filepath.Dir(path))
}

// putAside moves what belongs to a database file but is not in it.
func putAside(path, aside string) error {
	for _, end := range []string{"-wal", "-shm", "-journal"} {
		if err := os.Rename(path+end, aside+end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("keep the old database: %w", err)
		}
	}
	return nil
}

func fold(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", address(path, url.Values{"mode": {"rw"}}))
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return errors.Join(err, db.Close())
}

func syncFolder(name string) error {
	folder, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
