package cli

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/df-middleware/dfm/internal/app"
	"github.com/df-middleware/dfm/internal/egress"
	"github.com/df-middleware/dfm/internal/observe"
)

func serveCommand() command {
	return command{
		name: "serve", summary: "run gateway, web app, worker and scheduler",
		example: "dfm serve --roles gateway,web",
		setup: func(flags *flag.FlagSet) runner {
			roles := flags.String("roles", "", "which of gateway, web, worker, scheduler to run (default all; also DFM_ROLES)")
			return func(ctx context.Context, env Environment, args []string) error {
				if len(args) > 0 {
					return usageError("serve takes no arguments")
				}
				if *roles != "" {
					env.Lookup = overlay(env.Lookup, "DFM_ROLES", *roles)
				}
				return serve(ctx, env)
			}
		},
	}
}

// overlay returns a lookup in which one variable has another value.
func overlay(lookup app.Lookup, name, value string) app.Lookup {
	return func(asked string) (string, bool) {
		if asked == name {
			return value, true
		}
		return lookup(asked)
	}
}

// logger writes to standard error, without secrets and personal data.
func logger(env Environment, config app.Config) *slog.Logger {
	redactor := config.Redactor()
	return observe.NewLogger(env.Stderr, config.LogLevel, config.LogFormat, func(next slog.Handler) slog.Handler {
		return egress.RedactHandler(next, redactor)
	})
}

func serve(ctx context.Context, env Environment) error {
	config, err := load(env)
	if err != nil {
		return err
	}
	if _, set := env.Lookup("GOGC"); !set {
		// The live heap is a few megabytes; collecting it less often costs
		// little memory and a tenth less processor.
		debug.SetGCPercent(300)
	}
	log := logger(env, config)
	a, err := app.New(ctx, config, app.Options{Log: log, Clock: time.Now, Version: env.Version})
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	log.Info("starting", "version", env.Version, "settings", config.String())
	if err := a.Start(ctx); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	log.Info("ready")
	tellSupervisor(env, log, "READY=1")
	waitReloading(ctx, a, log)
	log.Info("stopping")
	tellSupervisor(env, log, "STOPPING=1")
	a.Drain(context.WithoutCancel(ctx))
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), app.StopTime)
	defer cancel()
	return a.Stop(stopping)
}

// waitReloading waits for the end of ctx and reloads at each SIGHUP.
func waitReloading(ctx context.Context, a *app.App, log *slog.Logger) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			if err := a.Reload(ctx); err != nil {
				log.Error("reload failed; what was loaded before stays", "error", err)
			} else {
				log.Info("reloaded")
			}
		}
	}
}
