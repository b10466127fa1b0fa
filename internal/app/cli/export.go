package cli

import (
	"context"
	"flag"
	"os"
	"time"

	"github.com/df-middleware/dfm/internal/app"
)

func exportCommand() command {
	return command{
		name: "export", args: "optouts", summary: "write the evidence about opt-outs, verifiably",
		example: "dfm export --phone +15005550111 --format csv optouts",
		setup: func(flags *flag.FlagSet) runner {
			var q app.ExportQuery
			flags.StringVar(&q.Phone, "phone", "", "only this number")
			flags.StringVar(&q.PersonID, "person", "", "only the numbers of this person")
			flags.StringVar(&q.From, "from", "", "heard at or after, such as 2030-01-02T15:04:05Z")
			flags.StringVar(&q.Until, "until", "", "heard before")
			flags.StringVar(&q.Format, "format", "json", "json or csv")
			file := flags.String("out", "", "file to write to (default: standard output)")
			return func(ctx context.Context, env Environment, args []string) error {
				if len(args) != 1 || args[0] != "optouts" || q.Format != "json" && q.Format != "csv" {
					return usageError("say optouts, and --format json or csv")
				}
				return exportOptOuts(ctx, env, q, *file)
			}
		},
	}
}

func exportOptOuts(ctx context.Context, env Environment, q app.ExportQuery, file string) error {
	config, err := load(env)
	if err != nil {
		return err
	}
	out := env.Stdout
	if file != "" {
		opened, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		if err := app.ExportOptOuts(ctx, config, app.Options{Log: logger(env, config), Clock: time.Now}, q, opened); err != nil {
			_ = opened.Close()
			return err
		}
		return opened.Close()
	}
	return app.ExportOptOuts(ctx, config, app.Options{Log: logger(env, config), Clock: time.Now}, q, out)
}
