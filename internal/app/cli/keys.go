package cli

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/store"
)

func keysCommand() command {
	return command{
		name: "keys", args: "list|create|rotate|revoke [id]", summary: "manage API keys of callers",
		example: "dfm keys --name billing --scopes gateway --expires 2160h create",
		setup: func(flags *flag.FlagSet) runner {
			var o keyOptions
			flags.StringVar(&o.name, "name", "", "name of the key to create")
			flags.StringVar(&o.scopes, "scopes", "gateway", "comma list of gateway, mcp, chat, admin:read")
			flags.DurationVar(&o.expires, "expires", 0, "life of the key to create, such as 2160h; 0 for no end")
			flags.DurationVar(&o.overlap, "overlap", 24*time.Hour, "how long a rotated key goes on working")
			flags.BoolVar(&o.json, "json", false, "print JSON")
			return func(ctx context.Context, env Environment, args []string) error { return manageKeys(ctx, env, o, args) }
		},
	}
}

type keyOptions struct {
	name, scopes     string
	expires, overlap time.Duration
	json             bool
}

func manageKeys(ctx context.Context, env Environment, o keyOptions, args []string) error {
	action, id, ok := verbOf(args, []string{"list", "create"}, []string{"rotate", "revoke"})
	if !ok {
		return usageError("say list, create, rotate <id> or revoke <id>")
	}
	return withStore(ctx, env, func(db *store.Store) error {
		keys := auth.NewKeys(auth.KeysConfig{
			Store: auth.Stored{Store: db, Clock: time.Now}, Clock: time.Now, Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
		})
		return keyAction(auth.WithActor(ctx, "command line"), env, o, keys, action, id)
	})
}

func keyAction(ctx context.Context, env Environment, o keyOptions, keys *auth.Keys, action, id string) error {
	switch action {
	case "list":
		return listKeys(ctx, env, o, keys)
	case "revoke":
		return keys.Revoke(ctx, id)
	case "rotate":
		key, text, err := keys.Rotate(ctx, id, o.overlap)
		return showKey(env, o, key, text.Reveal(), err)
	}
	want := auth.NewKey{Name: o.name}
	for scope := range strings.SplitSeq(o.scopes, ",") {
		want.Scopes = append(want.Scopes, auth.Scope(strings.TrimSpace(scope)))
	}
	if o.expires > 0 {
		want.ExpiresAt = time.Now().Add(o.expires)
	}
	key, text, err := keys.Create(ctx, want)
	return showKey(env, o, key, text.Reveal(), err)
}

func showKey(env Environment, o keyOptions, key auth.Key, text string, err error) error {
	if err != nil {
		return err
	}
	if o.json {
		return printJSON(env.Stdout, map[string]string{"id": key.ID, "key": text})
	}
	_, err = fmt.Fprintf(env.Stdout, "id   %s\nkey  %s\nThe key is shown only now.\n", key.ID, text)
	return err
}

func listKeys(ctx context.Context, env Environment, o keyOptions, keys *auth.Keys) error {
	list, err := keys.List(ctx)
	if err != nil {
		return err
	}
	if o.json {
		return printJSON(env.Stdout, list)
	}
	w := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tSCOPES\tCREATED\tSTATE")
	for _, k := range list {
		state := "active"
		if !k.Active(time.Now()) {
			state = "ended"
		}
		fmt.Fprintf(w, "%s\t%s\t%v\t%s\t%s\n", k.ID, k.Name, k.Scopes, k.CreatedAt.Format(time.DateOnly), state)
	}
	return w.Flush()
}
