package app

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/alerts"
	"github.com/df-middleware/dfm/internal/backup"
	"github.com/df-middleware/dfm/internal/queue"
)

// BackupConfig is where backups of the SQLite file are made by themselves.
type BackupConfig struct {
	Folder string // "" for nowhere
	Every  time.Duration
	Keep   int
}

func (s *settings) backups() BackupConfig {
	return BackupConfig{
		Folder: s.text("DFM_BACKUP_DIR", ""),
		Every:  s.duration("DFM_BACKUP_EVERY", 24*time.Hour, time.Minute),
		Keep:   s.number("DFM_BACKUP_KEEP", 7, 1, 10_000),
	}
}

// backedUp finds what is wrong with the settings of backups taken together with
// the database.
func (s *settings) backedUp(c Config) {
	if _, file := c.DatabaseFile(); c.Backup.Folder != "" && !file {
		s.wrong("DFM_BACKUP_DIR", "is for SQLite; have PostgreSQL backed up by pg_dump or by who runs it, and leave this empty")
	}
}

// DatabaseFile returns the path of the SQLite file, and false with PostgreSQL.
func (c Config) DatabaseFile() (string, bool) {
	path, ok := strings.CutPrefix(c.DatabaseURL, "sqlite:")
	return strings.TrimPrefix(path, "//"), ok
}

// ErrNoFile is returned for a database that is no file of ours to copy.
var ErrNoFile = errors.New("this database is PostgreSQL, which brings its own tools: " +
	`back up with  pg_dump --format=custom --file=dfm.dump "$DATABASE_URL"  and restore with dfm stopped:  ` +
	`pg_restore --clean --if-exists --dbname="$DATABASE_URL" dfm.dump`)

// CreateBackup backs the database of the settings up to a file, and names one
// when out is "".
func CreateBackup(ctx context.Context, config Config, options Options, out string) (backup.Report, error) {
	path, ok := config.DatabaseFile()
	if !ok {
		return backup.Report{}, ErrNoFile
	}
	if out == "" {
		out = filepath.Join(config.Backup.Folder, backup.Name(options.Clock()))
	}
	return backup.Create(ctx, path, out, options.Clock)
}

// VerifyBackup reads a database file whole. It needs no settings.
func VerifyBackup(ctx context.Context, options Options, file string) (backup.Report, error) {
	return backup.Verify(ctx, file, options.Clock)
}

// RestoreBackup puts a backup in the place of the database of the settings.
func RestoreBackup(ctx context.Context, config Config, options Options, file string, force bool) (backup.Restored, error) {
	path, ok := config.DatabaseFile()
	if !ok {
		return backup.Restored{}, ErrNoFile
	}
	return backup.Restore(ctx, file, path, force, options.Clock)
}

// DrillBackup proves that the database of the settings can be backed up and
// restored.
func DrillBackup(ctx context.Context, config Config, options Options, scratch string) (backup.Drilled, error) {
	path, ok := config.DatabaseFile()
	if !ok {
		return backup.Drilled{}, ErrNoFile
	}
	return backup.Drill(ctx, path, scratch, options.Clock)
}

// lookForBackup is how often it is asked whether a backup is due.
const lookForBackup = 5 * time.Minute

// buildBackups makes what backs the SQLite file up by itself.
func (a *App) buildBackups() error {
	path, ok := a.config.DatabaseFile()
	if c := a.config.Backup; ok && c.Folder != "" {
		a.keeper = &backup.Keeper{Database: path, Folder: c.Folder, Every: c.Every, Keep: c.Keep, Clock: a.clock}
		a.metrics.WatchBackups(func() (time.Time, error) { return a.keeper.Last() }, a.clock)
	}
	return nil
}

func (a *App) backupSchedule() []queue.Schedule {
	if a.keeper == nil {
		return nil
	}
	return []queue.Schedule{{Name: "backup", Every: min(lookForBackup, a.keeper.Every), Run: a.backUp}}
}

// backUp makes a backup when one is due. Why one failed is said here; the alert
// says only that there is none.
func (a *App) backUp(ctx context.Context) error {
	made, err := a.keeper.Run(ctx)
	if made != nil {
		a.log.InfoContext(ctx, "the database was backed up", "file", made.File, "bytes", made.Bytes, "rows", made.Rows(),
			"chain_head", made.Head, "took_ms", made.TookMS)
	}
	if err != nil {
		a.log.ErrorContext(ctx, "the database cannot be backed up", "error", err)
	}
	return err
}

// probeBackup finds how old the newest backup is. Where there is none yet, one
// was due when this process began.
func (a *App) probeBackup(_ context.Context, s *alerts.Sample) error {
	last, err := a.keeper.Last()
	if last.IsZero() {
		last = a.begun.Add(-a.keeper.Every)
	}
	s.BackupAge, s.BackupEvery = s.At.Sub(last), a.keeper.Every
	return err
}
