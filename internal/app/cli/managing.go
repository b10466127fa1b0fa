package cli

import (
	"context"
	"errors"
	"slices"

	"github.com/df-middleware/dfm/internal/app"
	"github.com/df-middleware/dfm/internal/store"
)

// verbOf reads the arguments of a command that manages rows: one of the verbs
// that stand alone, or one of those that take the name of a row.
func verbOf(args, alone, naming []string) (verb, name string, ok bool) {
	switch {
	case len(args) == 1 && slices.Contains(alone, args[0]):
		return args[0], "", true
	case len(args) == 2 && slices.Contains(naming, args[0]) && args[1] != "":
		return args[0], args[1], true
	}
	return "", "", false
}

// withStore opens the database of the settings for as long as do takes. Its schema
// must be the one of this program.
func withStore(ctx context.Context, env Environment, do func(db *store.Store) error) (err error) {
	config, err := load(env)
	if err != nil {
		return err
	}
	db, err := app.OpenStore(ctx, config, logger(env, config))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.SchemaReady(ctx); err != nil {
		return err
	}
	return do(db)
}
