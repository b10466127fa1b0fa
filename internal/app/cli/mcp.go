package cli

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/df-middleware/dfm/internal/app"
)

func mcpCommand() command {
	return command{
		name: "mcp", summary: "offer Verity's operations as MCP tools on standard input and output",
		example: "dfm mcp --tools search",
		setup: func(flags *flag.FlagSet) runner {
			tools := flags.String("tools", "", "all, search or auto (also DFM_MCP_TOOLS)")
			readOnly := flags.Bool("read-only", false, "offer only what changes nothing (also DFM_MCP_READ_ONLY)")
			return func(ctx context.Context, env Environment, args []string) error {
				if len(args) > 0 {
					return usageError("mcp takes no arguments")
				}
				if *tools != "" {
					env.Lookup = overlay(env.Lookup, "DFM_MCP_TOOLS", *tools)
				}
				if *readOnly {
					env.Lookup = overlay(env.Lookup, "DFM_MCP_READ_ONLY", "true")
				}
				return serveMCP(ctx, env)
			}
		},
	}
}

// serveMCP keeps standard output for the protocol: whatever else a library might
// print there goes where the log goes.
func serveMCP(ctx context.Context, env Environment) error {
	out := env.Stdout
	if out == os.Stdout {
		defer func(file *os.File) { os.Stdout = file }(os.Stdout)
		os.Stdout = os.Stderr
	}
	config, err := load(env)
	if err != nil {
		return err
	}
	options := app.Options{Log: logger(env, config), Clock: time.Now, Version: env.Version}
	if err := app.ServeMCP(ctx, config, options, env.Stdin, out); err != nil {
		return fmt.Errorf("serve MCP: %w", err)
	}
	return nil
}
