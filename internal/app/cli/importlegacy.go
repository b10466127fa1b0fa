package cli

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/df-middleware/dfm/internal/app"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/legacy"
)

// legacyURL may hold the URL, so that its password is not in the list of
// processes.
const legacyURL = "LEGACY_DATABASE_URL"

func importLegacyCommand() command {
	return command{
		name: "import-legacy", summary: "take over the tables of the original system",
		example: "dfm import-legacy --from postgres://user:password@host/database --dry-run",
		setup: func(flags *flag.FlagSet) runner {
			var o importOptions
			flags.StringVar(&o.from, "from", "", "the original's database, as postgres://user:password@host/database; "+legacyURL+" otherwise")
			flags.BoolVar(&o.dry, "dry-run", false, "count what would be imported, and write nothing")
			flags.StringVar(&o.replay, "replay-events", "", "pending: work the events that the original never worked; otherwise they are kept and not worked")
			flags.BoolVar(&o.json, "json", false, "print JSON")
			return func(ctx context.Context, env Environment, args []string) error {
				return importLegacy(ctx, env, o, args)
			}
		},
	}
}

type importOptions struct {
	from, replay string
	dry, json    bool
}

func importLegacy(ctx context.Context, env Environment, o importOptions, args []string) error {
	if o.from == "" {
		lookup, err := app.WithDotenv(env.Lookup, ".env")
		if err != nil {
			return usageError(err.Error())
		}
		o.from, _ = lookup(legacyURL)
	}
	switch {
	case len(args) > 0:
		return usageError("import-legacy takes flags only")
	case strings.TrimSpace(o.from) == "":
		return usageError("name the original's database by --from or " + legacyURL)
	case o.replay != "" && o.replay != string(df.Pending):
		return usageError("--replay-events is pending or not there")
	}
	config, err := load(env)
	if err != nil {
		return err
	}
	report, err := app.ImportLegacy(ctx, config, app.Options{Log: slog.New(slog.DiscardHandler), Clock: time.Now, Version: env.Version}, app.ImportWish{
		From: df.Secret(strings.TrimSpace(o.from)), Options: legacy.Options{DryRun: o.dry, Replay: o.replay != "", Actor: "command line"},
		Progress: progress(env),
	})
	if report.StartedAt.IsZero() {
		return err
	}
	if o.json {
		if printing := printJSON(env.Stdout, report); err == nil {
			err = printing
		}
		return err
	}
	if printing := showImport(env, report); err == nil {
		err = printing
	}
	return err
}

// progress says about once a second, and at the end of each table, how far it is.
func progress(env Environment) func(table string, read, total int64) {
	var said time.Time
	return func(table string, read, total int64) {
		if now := time.Now(); read >= total || now.Sub(said) >= time.Second {
			said = now
			fmt.Fprintf(env.Stderr, "%s: %d of %d\n", table, read, total)
		}
	}
}

func showImport(env Environment, r legacy.Report) error {
	out, imported := env.Stdout, "IMPORTED"
	if r.DryRun {
		imported = "WOULD IMPORT"
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "TABLE\tREAD\t%s\tALREADY THERE\tREFUSED\n", imported)
	for _, t := range r.Tables {
		if t.Missing {
			fmt.Fprintf(w, "%s\tnot there\n", t.Name)
			continue
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", t.Name, t.Read, t.Imported, t.AlreadyThere, t.Refused)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, t := range r.Tables {
		if len(t.MissingColumns) > 0 {
			fmt.Fprintf(out, "\n%s lacks %s\n", t.Name, strings.Join(t.MissingColumns, ", "))
		}
		showReasons(env, t.Name, "refused", t.Reasons)
		showReasons(env, t.Name, "noted", t.Notes)
	}
	fmt.Fprintf(out, "\nOpt-outs in texts that the original did not act on: %d\n", r.StopsInTexts)
	for _, kind := range slices.Sorted(maps.Keys(r.Questions)) {
		fmt.Fprintf(out, "Questions for a person, %s: %d\n", kind, r.Questions[kind])
	}
	if r.DryRun {
		fmt.Fprintln(out, "Nothing was written.")
		return nil
	}
	_, err := fmt.Fprintln(out, "Now let a sweep make everything agree: POST /api/sync/contacts?all=true")
	return err
}

func showReasons(env Environment, table, verb string, reasons []legacy.Reason) {
	for _, reason := range reasons {
		fmt.Fprintf(env.Stdout, "%s, %d %s: %s", table, reason.Count, verb, reason.Reason)
		if len(reason.Examples) > 0 {
			fmt.Fprintf(env.Stdout, " (such as %s)", strings.Join(reason.Examples, "; "))
		}
		fmt.Fprintln(env.Stdout)
	}
}
