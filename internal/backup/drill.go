package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/sqlite"
)

// Drilled is what a drill came to. Its problems name every difference between the
// database and what came out of its backup.
type Drilled struct {
	Report
	Database  string `json:"database"`
	CreateMS  int64  `json:"createMs"`
	RestoreMS int64  `json:"restoreMs"`
}

// Drill makes a backup of the database at path, restores it into a folder that is
// thrown away, and compares what came out with what the database held at the
// moment of the backup. It is done in the scratch folder, or in the system's own
// when that is "". The database may be in use.
func Drill(ctx context.Context, path, scratch string, clock df.Clock) (done Drilled, err error) {
	folder, err := os.MkdirTemp(scratch, "dfm-drill-")
	if err != nil {
		return Drilled{}, fmt.Errorf("make scratch folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	done.Database = path
	begun := clock()
	file, restored := filepath.Join(folder, "backup.db"), filepath.Join(folder, "restored", "dfm.db")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return Drilled{}, fmt.Errorf("make scratch file: %w", err)
	}
	var there snapshot
	if err := sqlite.Copy(ctx, path, file, func(q store.Querier) error { return there.look(ctx, q) }); err != nil {
		return Drilled{}, fmt.Errorf("copy the database: %w", missing(path, err))
	}
	done.CreateMS = clock().Sub(begun).Milliseconds()
	back, err := Restore(ctx, file, restored, false, clock)
	if err != nil {
		done.Report = back.Report
		return done, err
	}
	done.RestoreMS = clock().Sub(begun).Milliseconds() - done.CreateMS
	if done.Report, err = Verify(ctx, restored, clock); err != nil {
		return done, fmt.Errorf("verify what was restored: %w", err)
	}
	done.Problems = append(done.Problems, there.differs(done.Report)...)
	done.OK = len(done.Problems) == 0
	done.TookMS = clock().Sub(begun).Milliseconds()
	return done, nil
}
