package cli

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/df-middleware/dfm/internal/app"
	"github.com/df-middleware/dfm/internal/egress"
	"github.com/df-middleware/dfm/internal/verity/catalogue"
)

func catalogCommand() command {
	return command{
		name: "catalog", args: "lint|show [file or URL]", summary: "check or list Verity's API catalogue",
		example: "dfm catalog lint ./verity.json",
		setup: func(flags *flag.FlagSet) runner {
			asJSON := flags.Bool("json", false, "print JSON")
			return func(ctx context.Context, env Environment, args []string) error {
				if len(args) == 0 || len(args) > 2 || (args[0] != "lint" && args[0] != "show") {
					return usageError("say lint or show, and where the catalogue is unless VERITY_CATALOG_PATH says so")
				}
				location, err := catalogLocation(env, args[1:])
				if err != nil {
					return err
				}
				c, err := readCatalog(ctx, location)
				if err != nil {
					return err
				}
				if args[0] == "lint" {
					return lint(env, c, *asJSON)
				}
				return show(env, c, *asJSON)
			}
		},
	}
}

func catalogLocation(env Environment, args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	lookup, err := app.WithDotenv(env.Lookup, ".env")
	if err != nil {
		return "", usageError(err.Error())
	}
	if location, _ := lookup("VERITY_CATALOG_PATH"); strings.TrimSpace(location) != "" {
		return strings.TrimSpace(location), nil
	}
	return "", usageError("name a file or URL, or set VERITY_CATALOG_PATH")
}

func readCatalog(ctx context.Context, location string) (*catalogue.Catalogue, error) {
	loader := catalogue.NewLoader(catalogue.Source{
		Location: location, Client: &http.Client{Transport: egress.NewTransport()}, Clock: time.Now,
		Log: slog.New(slog.DiscardHandler),
	})
	if err := loader.Reload(ctx); err != nil {
		return nil, err
	}
	return loader.Current(), nil
}

// lint prints every problem and fails when any is an error.
func lint(env Environment, c *catalogue.Catalogue, asJSON bool) error {
	problems := append(c.Problems, c.CheckSchemas()...)
	failed := false
	for _, p := range problems {
		failed = failed || p.Severity == catalogue.Error
		if !asJSON {
			fmt.Fprintln(env.Stdout, p)
		}
	}
	if asJSON {
		if err := printJSON(env.Stdout, map[string]any{"operations": len(c.Operations), "problems": problems}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(env.Stdout, "%d operations, %d problems\n", len(c.Operations), len(problems))
	}
	if failed {
		return errSilent
	}
	return nil
}

func show(env Environment, c *catalogue.Catalogue, asJSON bool) error {
	if asJSON {
		listing, _ := c.Listing("", "")
		_, err := env.Stdout.Write(append(listing, '\n'))
		return err
	}
	w := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	for _, op := range c.Operations {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", op.Method, op.Path, op.Domain, op.Summary)
	}
	return w.Flush()
}
