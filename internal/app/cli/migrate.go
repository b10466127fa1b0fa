package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/df-middleware/dfm/internal/app"
	"github.com/df-middleware/dfm/internal/observe"
	"github.com/df-middleware/dfm/internal/store"
)

func migrateCommand() command {
	return command{
		name: "migrate", args: "up|down|status", summary: "bring the database schema up to date, or take the last step back",
		example: "dfm migrate status",
		setup: func(flags *flag.FlagSet) runner {
			asJSON := flags.Bool("json", false, "print JSON")
			return func(ctx context.Context, env Environment, args []string) error {
				if len(args) != 1 {
					return usageError("say up, down or status")
				}
				return migrate(ctx, env, args[0], *asJSON)
			}
		},
	}
}

func migrate(ctx context.Context, env Environment, way string, asJSON bool) (err error) {
	config, err := load(env)
	if err != nil {
		return err
	}
	db, err := app.OpenStore(ctx, config, observe.Quiet(logger(env, config)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	switch way {
	case "up":
		applied, err := db.MigrateUp(ctx, time.Now)
		if err != nil {
			return err
		}
		return printMigrations(env, applied, asJSON, "applied", "the schema is up to date")
	case "down":
		undone, err := db.MigrateDown(ctx)
		if err != nil {
			return err
		}
		return printMigrations(env, []store.Migration{undone}, asJSON, "taken back", "")
	case "status":
		history, err := db.Migrations(ctx)
		if err != nil {
			return err
		}
		return printMigrations(env, history, asJSON, "", "there are no migrations")
	}
	return usageError("say up, down or status")
}

type migrationView struct {
	Version   int        `json:"version"`
	Name      string     `json:"name"`
	AppliedAt *time.Time `json:"appliedAt"`
}

func printMigrations(env Environment, list []store.Migration, asJSON bool, state, none string) error {
	views := make([]migrationView, len(list))
	for i, m := range list {
		views[i] = migrationView{Version: m.Version, Name: m.Name}
		if !m.AppliedAt.IsZero() {
			views[i].AppliedAt = &list[i].AppliedAt
		}
	}
	if asJSON {
		return printJSON(env.Stdout, views)
	}
	if len(views) == 0 {
		_, err := fmt.Fprintln(env.Stdout, none)
		return err
	}
	for _, m := range views {
		said := state
		if said == "" {
			said = "pending; run dfm migrate up"
			if m.AppliedAt != nil {
				said = "applied " + m.AppliedAt.Format(time.RFC3339)
			}
		}
		fmt.Fprintf(env.Stdout, "%04d_%s  %s\n", m.Version, m.Name, said)
	}
	return nil
}
