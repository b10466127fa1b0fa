package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/df-middleware/dfm/internal/app"
	"github.com/df-middleware/dfm/internal/backup"
)

func backupCommand() command {
	return command{
		name: "backup", args: "create|verify <file>|restore <file>|drill", summary: "copy the SQLite file while it is used, verify a copy, put one back",
		example: "dfm backup create --out /backups/dfm.db && dfm backup verify /backups/dfm.db",
		setup: func(flags *flag.FlagSet) runner {
			var o backupOptions
			flags.StringVar(&o.out, "out", "", "create: the new file (default: dfm-<time>.db in DFM_BACKUP_DIR or here)")
			flags.StringVar(&o.scratch, "scratch", "", "drill: where there is room for two copies (default: the system's folder for such)")
			flags.BoolVar(&o.force, "force", false, "restore: put the database that is there aside")
			flags.BoolVar(&o.asJSON, "json", false, "print JSON")
			return func(ctx context.Context, env Environment, args []string) error {
				err := runBackup(ctx, env, o, args)
				if errors.Is(err, app.ErrNoFile) {
					return usageError(err.Error())
				}
				return err
			}
		},
	}
}

type backupOptions struct {
	out, scratch  string
	force, asJSON bool
}

func runBackup(ctx context.Context, env Environment, o backupOptions, args []string) error {
	options := app.Options{Log: slog.New(slog.DiscardHandler), Clock: time.Now}
	switch {
	case len(args) == 2 && args[0] == "verify":
		return verifyBackup(ctx, env, o, options, args[1])
	case len(args) == 1 && (args[0] == "create" || args[0] == "drill"), len(args) == 2 && args[0] == "restore":
	default:
		return usageError("say create, verify and a file, restore and a file, or drill")
	}
	config, err := load(env)
	if err != nil {
		return err
	}
	switch args[0] {
	case "create":
		return createBackup(ctx, env, o, config, options)
	case "drill":
		return drillBackup(ctx, env, o, config, options)
	}
	return restoreBackup(ctx, env, o, config, options, args[1])
}

func createBackup(ctx context.Context, env Environment, o backupOptions, config app.Config, options app.Options) error {
	made, err := app.CreateBackup(ctx, config, options, o.out)
	if err != nil {
		return err
	}
	if o.asJSON {
		return printJSON(env.Stdout, made)
	}
	fmt.Fprintf(env.Stdout, "backed up to %s and verified\n", made.File)
	return printReport(env.Stdout, made)
}

// verifyBackup checks a file. It needs neither settings nor database.
func verifyBackup(ctx context.Context, env Environment, o backupOptions, options app.Options, file string) error {
	found, err := app.VerifyBackup(ctx, options, file)
	if err != nil {
		return err
	}
	switch {
	case o.asJSON:
		err = printJSON(env.Stdout, found)
	case found.OK:
		fmt.Fprintf(env.Stdout, "%s is sound\n", file)
		err = printReport(env.Stdout, found)
	default:
		printProblems(env.Stdout, file+" must not be restored", found)
	}
	if err == nil && !found.OK {
		return errSilent
	}
	return err
}

func restoreBackup(ctx context.Context, env Environment, o backupOptions, config app.Config, options app.Options, file string) error {
	done, err := app.RestoreBackup(ctx, config, options, file, o.force)
	if err != nil {
		return err
	}
	if o.asJSON {
		return printJSON(env.Stdout, done)
	}
	fmt.Fprintf(env.Stdout, "%s was restored from %s and verified\n", done.Database, file)
	if done.Kept != "" {
		fmt.Fprintf(env.Stdout, "the old database is kept as %s\n", done.Kept)
	}
	if err := printReport(env.Stdout, done.Report); err != nil {
		return err
	}
	fmt.Fprint(env.Stdout, "Opt-outs and webhooks that came after the backup are not in it: see docs/operating.md, \"After a restore\", before texts go out again.\n")
	return nil
}

func drillBackup(ctx context.Context, env Environment, o backupOptions, config app.Config, options app.Options) error {
	done, err := app.DrillBackup(ctx, config, options, o.scratch)
	if err != nil {
		return err
	}
	switch {
	case o.asJSON:
		err = printJSON(env.Stdout, done)
	case done.OK:
		fmt.Fprintf(env.Stdout, "the backup of %s restores to what the database held: copied in %s, restored in %s\n",
			done.Database, ms(done.CreateMS), ms(done.RestoreMS))
		err = printReport(env.Stdout, done.Report)
	default:
		printProblems(env.Stdout, "the backup of "+done.Database+" does not restore to what the database held", done.Report)
	}
	if err == nil && !done.OK {
		return errSilent
	}
	return err
}

func printProblems(w io.Writer, headline string, r backup.Report) {
	fmt.Fprintln(w, headline+":")
	for _, problem := range r.Problems {
		fmt.Fprintln(w, "  "+problem)
	}
}

func printReport(w io.Writer, r backup.Report) error {
	fmt.Fprintf(w, "%d bytes, schema %04d, %d rows in %d tables, %s in all\n", r.Bytes, r.Schema, r.Rows(), len(r.Tables), ms(r.TookMS))
	fmt.Fprintf(w, "evidence about opt-outs: %d links, head %s\n", r.Links, r.Head)
	for _, name := range slices.Sorted(maps.Keys(r.Tables)) {
		if _, err := fmt.Fprintf(w, "  %-28s %d\n", name, r.Tables[name]); err != nil {
			return err
		}
	}
	return nil
}

func ms(n int64) string { return (time.Duration(n) * time.Millisecond).String() }
