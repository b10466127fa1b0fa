package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"

	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/sandbox/alowareworld"
)

func sandboxCommand() command {
	return command{
		name: "sandbox", summary: "run only the sandbox upstreams, with switchable mischief",
		example: "dfm sandbox --ghl 127.0.0.1:4001 --connect http://127.0.0.1:3002",
		setup: func(flags *flag.FlagSet) runner {
			addresses := map[string]*string{}
			for _, name := range []string{"ghl", "aloware", "verity", "clerk", "carrier"} {
				addresses[name] = flags.String(name, "", "address for "+name+" (default: a free port of 127.0.0.1)")
			}
			connect := flags.String("connect", "http://127.0.0.1:3002", "base URL of the web app that gets the webhooks")
			asJSON := flags.Bool("json", false, "print the settings as JSON")
			return func(ctx context.Context, env Environment, _ []string) error {
				chosen := map[string]string{}
				for name, address := range addresses {
					if *address != "" {
						chosen[name] = *address
					}
				}
				return runSandbox(ctx, env, chosen, *connect, *asJSON)
			}
		},
	}
}

// sandboxKey seals the tokens of the sandbox's own installations, which open
// nothing else.
const sandboxKey = "c2FuZGJveC1vbmx5LXNhbmRib3gtb25seS1zYW5kYm8="

// runSandbox prints the settings that lead a dfm serve here, and stays up.
func runSandbox(ctx context.Context, env Environment, addresses map[string]string, connect string, asJSON bool) (err error) {
	world := sandbox.New(sandbox.Config{
		TimeScale: 0.1, Addresses: addresses, Aloware: alowareworld.Config{BasicUser: "sandbox", BasicPass: "sandbox"},
	})
	if err := world.Start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, world.Close()) }()
	world.Connect(connect)
	settings, err := world.Env()
	if err != nil {
		return err
	}
	settings["DF_ENCRYPTION_KEY"] = sandboxKey
	if asJSON {
		err = printJSON(env.Stdout, map[string]any{"settings": settings, "urls": world.URLs()})
	} else {
		fmt.Fprintln(env.Stdout, "# Put these into .env and run dfm serve. Control: GET /_sandbox/state, POST /_sandbox/mischief on each port.")
		for _, name := range slices.Sorted(maps.Keys(settings)) {
			fmt.Fprintf(env.Stdout, "%s='%s'\n", name, settings[name])
		}
	}
	if err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
