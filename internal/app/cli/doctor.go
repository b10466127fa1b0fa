package cli

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"time"

	"github.com/df-middleware/dfm/internal/app"
)

func doctorCommand() command {
	return command{
		name: "doctor", summary: "check every setting and every upstream for real; exit 1 if any fails",
		example: "dfm doctor --json",
		setup: func(flags *flag.FlagSet) runner {
			asJSON := flags.Bool("json", false, "print JSON")
			return func(ctx context.Context, env Environment, _ []string) error { return doctor(ctx, env, *asJSON) }
		},
	}
}

func doctor(ctx context.Context, env Environment, asJSON bool) error {
	config, err := load(env)
	if err != nil {
		return err
	}
	a, err := app.New(ctx, config, app.Options{Log: slog.New(slog.DiscardHandler), Clock: time.Now, Version: env.Version})
	if err != nil {
		return err
	}
	found, healthy := a.Doctor(ctx)
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), app.StopTime)
	defer cancel()
	if err := a.Stop(stopping); err != nil {
		return err
	}
	if asJSON {
		err = printJSON(env.Stdout, found)
	} else {
		fmt.Fprintln(env.Stdout, "ok              settings")
		for _, c := range found {
			fmt.Fprintf(env.Stdout, "%-15s %-10s %s\n", c.Status, c.Name, c.Message)
		}
	}
	if err == nil && !healthy {
		return errSilent
	}
	return err
}
