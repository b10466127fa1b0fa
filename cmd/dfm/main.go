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

// release is the version of this tree, and commit the revision where the Go tool
// cannot note it. Release builds set both: -ldflags "-X main.release=1.2.3 -X
// main.commit=…".
var (
	release = "0.1.0-dev"
	commit  = ""
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(cli.Run(ctx, cli.Environment{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Lookup: os.LookupEnv, Version: release, Commit: commit,
	}, os.Args[1:]))
}
