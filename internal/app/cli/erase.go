package cli

import (
	"context"
	"flag"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/df-middleware/dfm/internal/app"
	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/retention"
)

func eraseCommand() command {
	return command{
		name: "erase", args: "<person id>", summary: "forget one person; without --yes it only counts",
		example: "dfm erase --yes --reason \"letter of 3 May\" 0197a3b2-4c5d-7e8f-9a0b-1c2d3e4f5a6b",
		setup: func(flags *flag.FlagSet) runner {
			yes := flags.Bool("yes", false, "erase for good")
			reason := flags.String("reason", "", "who asked for it, and when; for the audit log")
			asJSON := flags.Bool("json", false, "print JSON")
			return func(ctx context.Context, env Environment, args []string) error {
				if len(args) != 1 || *yes && *reason == "" {
					return usageError("name one person by id, and with --yes give a --reason")
				}
				config, err := load(env)
				if err != nil {
					return err
				}
				result, err := app.ErasePerson(auth.WithActor(ctx, "command line"), config,
					app.Options{Log: logger(env, config), Clock: time.Now}, args[0], *reason, !*yes)
				if err != nil {
					return err
				}
				if *asJSON {
					return printJSON(env.Stdout, map[string]any{"dryRun": !*yes, "erasure": result})
				}
				return showErasure(env, result, *yes)
			}
		},
	}
}

func showErasure(env Environment, e retention.Erasure, done bool) error {
	word := "would be erased; nothing was changed"
	if done {
		word = "was erased"
	}
	fmt.Fprintf(env.Stdout, "person %s %s: %d numbers", e.PersonID, word, e.Numbers)
	if e.Shared > 0 {
		fmt.Fprintf(env.Stdout, " (and %d that somebody else has too stay)", e.Shared)
	}
	fmt.Fprintln(env.Stdout)
	w := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	for _, rows := range e.Rows {
		if rows.Count > 0 {
			fmt.Fprintf(w, "  %s\t%d\n", rows.Table, rows.Count)
		}
	}
	return w.Flush()
}
