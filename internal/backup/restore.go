package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store/sqlite"
)

// Restored is what a restore came to.
type Restored struct {
	Report
	Database string `json:"database"`
	Kept     string `json:"kept,omitempty"` // where the old database is now; "" when there was none
}

// ErrInTheWay is returned when there is a database already and nobody said that
// it may be replaced.
var ErrInTheWay = errors.New("there is a database already; with --force it is put aside")

// Restore puts a backup in the place of the database at path. It refuses while a
// dfm serve has the database, and a file that does not verify. What was there
// before is kept beside it; with force it may be something.
func Restore(ctx context.Context, file, path string, force bool, clock df.Clock) (done Restored, err error) {
	before, err := Verify(ctx, file, clock)
	if err != nil {
		return Restored{}, missing(file, err)
	}
	if !before.OK {
		return Restored{Report: before}, fmt.Errorf("nothing was restored: %s", strings.Join(before.Problems, "; "))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return Restored{}, fmt.Errorf("make folder for the database: %w", err)
	}
	release, err := sqlite.Own(path)
	if err != nil {
		return Restored{}, fmt.Errorf("nothing was restored: %w", err)
	}
	defer func() { err = errors.Join(err, release()) }()
	done = Restored{Database: path}
	if info, err := os.Stat(path); err == nil {
		done.Kept = path + ".before-restore-" + clock().UTC().Format(stamp)
		if same, err := os.Stat(file); err == nil && os.SameFile(info, same) {
			return Restored{}, errors.New("nothing was restored: the file is the database itself")
		}
		if !force {
			return Restored{}, fmt.Errorf("nothing was restored: %s: %w", path, ErrInTheWay)
		}
	}
	part, err := copyFile(file, path)
	if err != nil {
		return Restored{}, err
	}
	defer func() { _ = os.Remove(part) }() // after the switch there is none
	after, err := Verify(ctx, part, clock)
	switch {
	case err != nil:
		return Restored{}, fmt.Errorf("verify the copy: %w", err)
	case !after.OK || after.Head != before.Head || after.Rows() != before.Rows():
		return Restored{}, fmt.Errorf("nothing was restored: the copy on this disk is not what the backup is; %s", strings.Join(after.Problems, "; "))
	}
	aside := done.Kept
	if aside == "" { // a log without a database may lie there
		aside = path + ".before-restore-" + clock().UTC().Format(stamp)
	}
	if err := sqlite.Replace(ctx, path, part, aside); err != nil {
		return Restored{}, err
	}
	after.File = file
	done.Report = after
	return done, nil
}

// copyFile copies the file to one beside the other and makes sure that it is on
// disk.
func copyFile(file, beside string) (name string, err error) {
	from, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer func() { _ = from.Close() }()
	to, err := os.CreateTemp(filepath.Dir(beside), "."+filepath.Base(beside)+".restore-*")
	if err != nil {
		return "", fmt.Errorf("make a file beside the database: %w", err)
	}
	_, err = io.Copy(to, from)
	if err = errors.Join(err, to.Sync(), to.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("copy the backup: %w", err), os.Remove(to.Name()))
	}
	return to.Name(), nil
}
