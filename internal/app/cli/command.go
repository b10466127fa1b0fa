package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/app"
)

// Exit codes of every command.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // bad usage or settings
)

// Environment is what a command touches of the world.
type Environment struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Lookup         app.Lookup // finds variables, as os.LookupEnv does
	Version        string
	Commit         string // of a release build; "" asks the Go tool's own note
}

// command is one thing that dfm does.
type command struct {
	name    string
	args    string // shown after the name
	summary string
	example string
	// setup adds the command's flags and returns what runs it.
	setup func(flags *flag.FlagSet) runner
}

type runner func(ctx context.Context, env Environment, args []string) error

// usageError is a wrong use of a command.
type usageError string

func (e usageError) Error() string { return string(e) }

func commands() []command {
	return []command{
		serveCommand(), mcpCommand(), demoCommand(), sandboxCommand(), migrateCommand(), doctorCommand(), catalogCommand(),
		keysCommand(), usersCommand(), exportCommand(), backupCommand(), eraseCommand(), driftCommand(), replayCommand(), importLegacyCommand(), healthCommand(), versionCommand(),
		completionCommand(), manCommand(),
	}
}

// Run runs the command that the arguments name and returns the exit code.
func Run(ctx context.Context, env Environment, args []string) int {
	if len(args) == 2 && args[0] == "help" {
		args = []string{args[1], "--help"}
	}
	if len(args) == 0 || args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		printHelp(env.Stdout)
		if len(args) == 0 {
			return exitUsage
		}
		return exitOK
	}
	all := commands()
	at := slices.IndexFunc(all, func(c command) bool { return c.name == args[0] })
	if at < 0 {
		fmt.Fprintf(env.Stderr, "dfm: there is no command %q; run dfm help\n", args[0])
		return exitUsage
	}
	return runCommand(ctx, env, all[at], args[1:])
}

func runCommand(ctx context.Context, env Environment, c command, args []string) int {
	flags := flag.NewFlagSet("dfm "+c.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	do := c.setup(flags)
	plain, err := parse(flags, args)
	if errors.Is(err, flag.ErrHelp) {
		printCommandHelp(env.Stdout, c, flags)
		return exitOK
	}
	if err == nil {
		err = do(ctx, env, plain)
	} else {
		err = usageError(err.Error())
	}
	return report(env, c, err)
}

// parse reads flags wherever they stand, before or after the plain arguments,
// which it returns.
func parse(flags *flag.FlagSet, args []string) (plain []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return plain, nil
		}
		plain, args = append(plain, flags.Arg(0)), flags.Args()[1:]
	}
}

// report prints what went wrong and returns the exit code.
func report(env Environment, c command, err error) int {
	var usage usageError
	var problems app.Problems
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintf(env.Stderr, "dfm %s: %s\nrun dfm %s --help\n", c.name, usage, c.name)
		return exitUsage
	case errors.As(err, &problems):
		fmt.Fprintf(env.Stderr, "dfm: %d settings cannot be used:\n", len(problems))
		for _, p := range problems {
			fmt.Fprintf(env.Stderr, "  %s: %s\n", p.Name, p.Want)
		}
		return exitUsage
	case errors.Is(err, errSilent):
		return exitFailed
	}
	fmt.Fprintf(env.Stderr, "dfm %s: %s\n", c.name, err)
	return exitFailed
}

// errSilent fails a command that has already said why.
var errSilent = errors.New("failed")

func printHelp(w io.Writer) {
	fmt.Fprint(w, "dfm keeps GoHighLevel, Aloware, a texting system and Verity in agreement.\n\nUsage: dfm <command> [flags]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-13s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "\nExample: dfm demo --once\n\nRun dfm <command> --help for a command's flags and an example.\nSettings come from the environment and from .env; see docs/operating.md.\n")
}

func printCommandHelp(w io.Writer, c command, flags *flag.FlagSet) {
	fmt.Fprintf(w, "%s\n\nUsage: dfm %s %s\n", c.summary, c.name, strings.TrimSpace("[flags] "+c.args))
	flags.SetOutput(w)
	flags.PrintDefaults()
	fmt.Fprintf(w, "\nExample: %s\n", c.example)
}

func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// load reads the settings from the environment and .env.
func load(env Environment) (app.Config, error) {
	lookup, err := app.WithDotenv(env.Lookup, ".env")
	if err != nil {
		return app.Config{}, usageError(err.Error())
	}
	return app.Load(lookup)
}
