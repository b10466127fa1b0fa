package cli

import (
	"context"
	"flag"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/df-middleware/dfm/internal/app"
)

func driftCommand() command {
	return command{
		name: "drift", summary: "show how far the systems are apart, since when and why",
		example: "dfm drift --strict",
		setup: func(flags *flag.FlagSet) runner {
			asJSON := flags.Bool("json", false, "print JSON")
			strict := flags.Bool("strict", false, "exit 1 if anything differs without a reason")
			return func(ctx context.Context, env Environment, args []string) error {
				if len(args) > 0 {
					return usageError("drift takes no arguments")
				}
				return drift(ctx, env, *asJSON, *strict)
			}
		},
	}
}

func drift(ctx context.Context, env Environment, asJSON, strict bool) error {
	config, err := load(env)
	if err != nil {
		return err
	}
	report, err := app.Drift(ctx, config, app.Options{Log: logger(env, config), Clock: time.Now})
	if err != nil {
		return err
	}
	if asJSON {
		err = printJSON(env.Stdout, report)
	} else {
		err = printDrift(env, report)
	}
	if err == nil && strict && report.Unexplained > 0 {
		return errSilent
	}
	return err
}

func printDrift(env Environment, report app.DriftReport) error {
	out := env.Stdout
	switch run := report.LastRun; {
	case run == nil:
		fmt.Fprintln(out, "No sweep has run yet.")
	case run.FinishedAt == nil:
		fmt.Fprintf(out, "A %s has been under way since %s.\n", run.JobName, run.StartedAt.Format(time.RFC3339))
	default:
		fmt.Fprintf(out, "The last %s ended %s: %s.\n", run.JobName, run.FinishedAt.Format(time.RFC3339), run.Status)
	}
	fmt.Fprintf(out, "%d people differ in something; %d differences have no known reason.\n", report.People, report.Unexplained)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(report.Fields) > 0 {
		fmt.Fprintln(w, "\nKIND\tFIELD\tREASON\tPEOPLE\tSINCE")
	}
	for _, f := range report.Fields {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", f.Kind, dash(string(f.Field)), f.Reason, f.People, f.Since.Format(time.RFC3339))
	}
	if len(report.Missed) > 0 {
		fmt.Fprintln(w, "\nWEBHOOKS OF\tTYPE\tMISSED\tLATE\tUNDECIDED")
	}
	for _, m := range report.Missed {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\n", m.Source, m.Type, m.Missed, m.Late, m.Waiting)
	}
	return w.Flush()
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
