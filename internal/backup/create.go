package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/sqlite"
)

// Create writes a backup of the database at path to the file out, which must not
// be there yet, while others work with the database. The file can be read by its
// owner only. It gets its name once it was verified and is on disk.
func Create(ctx context.Context, path, out string, clock df.Clock) (Report, error) {
	if _, err := os.Lstat(out); err == nil {
		return Report{}, fmt.Errorf("%s is there already, and no backup is overwritten", out)
	}
	part, err := emptyBeside(out)
	if err != nil {
		return Report{}, err
	}
	defer func() { _ = os.Remove(part) }() // after the rename there is none
	report, err := copyVerified(ctx, path, part, clock)
	if err != nil {
		return report, err
	}
	report.File = out
	if err := os.Rename(part, out); err != nil {
		return report, fmt.Errorf("name the backup: %w", err)
	}
	return report, syncFolder(filepath.Dir(out))
}

// copyVerified copies a database to an empty file and reads the copy back.
func copyVerified(ctx context.Context, path, to string, clock df.Clock) (Report, error) {
	begun := clock()
	var there snapshot
	err := sqlite.Copy(ctx, path, to, func(q store.Querier) error { return there.look(ctx, q) })
	if err != nil {
		return Report{}, fmt.Errorf("copy the database: %w", missing(path, err))
	}
	report, err := Verify(ctx, to, clock)
	if err != nil {
		return report, fmt.Errorf("verify the copy: %w", err)
	}
	report.Problems = append(report.Problems, there.differs(report)...)
	report.OK = len(report.Problems) == 0
	report.TookMS = clock().Sub(begun).Milliseconds()
	if !report.OK {
		return report, fmt.Errorf("the copy is no good backup: %s", strings.Join(report.Problems, "; "))
	}
	return report, nil
}

// emptyBeside makes an empty file for its owner only, in the folder of the file
// that it will become.
func emptyBeside(out string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(out), 0o700); err != nil {
		return "", fmt.Errorf("make folder for the backup: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(out), "."+filepath.Base(out)+".part-*") // which has mode 0600
	if err != nil {
		return "", fmt.Errorf("make the backup's file: %w", err)
	}
	return file.Name(), file.Close()
}

func syncFolder(name string) error {
	folder, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
