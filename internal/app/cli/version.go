package cli

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
)

// commit is the revision that was built: what the release build says, else what
// the Go tool noted.
func (e Environment) commit() string {
	if e.Commit != "" {
		return e.Commit
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value
		}
	}
	return "unknown"
}

func versionCommand() command {
	return command{
		name: "version", summary: "print version, commit and Go version", example: "dfm version --json",
		setup: func(flags *flag.FlagSet) runner {
			asJSON := flags.Bool("json", false, "print JSON")
			return func(_ context.Context, env Environment, _ []string) error {
				if *asJSON {
					return printJSON(env.Stdout, map[string]string{"version": env.Version, "commit": env.commit(), "go": runtime.Version()})
				}
				_, err := fmt.Fprintf(env.Stdout, "dfm %s (commit %s, %s)\n", env.Version, env.commit(), runtime.Version())
				return err
			}
		},
	}
}
