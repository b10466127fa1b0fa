// Command dfm is df-middleware: it keeps GoHighLevel, Aloware, a texting system
// and Verity in agreement. Run dfm help for its commands.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/df-middleware/dfm/internal/app/cli"
)

// release is the version of this tree; release builds put the tag here with
// -ldflags "-X main.release=v1.2.3".
var release = "0.1.0-dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(cli.Run(ctx, cli.Environment{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Lookup: os.LookupEnv, Version: release,
	}, os.Args[1:]))
}
