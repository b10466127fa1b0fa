package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/df-middleware/dfm/internal/app"
)

func exportCommand() command {
	return command{
		name: "export", args: "optouts|events|people|verify <file>", summary: "write evidence about opt-outs, events or people, or verify evidence",
		example: "dfm export --phone +15005550111 --format csv optouts",
		setup: func(flags *flag.FlagSet) runner {
			var o exportOptions
			flags.StringVar(&o.evidence.Phone, "phone", "", "opt-outs: only this number")
			flags.StringVar(&o.evidence.PersonID, "person", "", "opt-outs: only the numbers of this person")
			flags.StringVar(&o.records.Source, "source", "", "events: only of ghl, aloware, texting or broadcast")
			flags.StringVar(&o.evidence.From, "from", "", "opt-outs and events: heard at or after, such as 2030-01-02T15:04:05Z")
			flags.StringVar(&o.evidence.Until, "until", "", "opt-outs and events: heard before")
			flags.StringVar(&o.evidence.Format, "format", "", "json or csv for opt-outs; events and people are JSON lines")
			flags.StringVar(&o.file, "out", "", "file to write to (default: standard output)")
			return func(ctx context.Context, env Environment, args []string) error { return export(ctx, env, o, args) }
		},
	}
}

type exportOptions struct {
	evidence app.ExportQuery
	records  app.RecordQuery
	file     string
}

func export(ctx context.Context, env Environment, o exportOptions, args []string) (err error) {
	if len(args) == 2 && args[0] == "verify" {
		return verifyExport(env, args[1])
	}
	if len(args) != 1 {
		return usageError("say optouts, events, people, or verify and a file")
	}
	var write func(config app.Config, options app.Options, w io.Writer) error
	switch format := o.evidence.Format; {
	case args[0] == "optouts" && (format == "" || format == "json" || format == "csv"):
		if format == "" {
			o.evidence.Format = "json"
		}
		write = func(c app.Config, options app.Options, w io.Writer) error {
			return app.ExportOptOuts(ctx, c, options, o.evidence, w)
		}
	case args[0] == "events" && format == "":
		o.records.From, o.records.Until = o.evidence.From, o.evidence.Until
		write = func(c app.Config, options app.Options, w io.Writer) error {
			return app.ExportEvents(ctx, c, options, o.records, w)
		}
	case args[0] == "people" && format == "":
		write = func(c app.Config, options app.Options, w io.Writer) error {
			return app.ExportPeople(ctx, c, options, w)
		}
	default:
		return usageError("say optouts (--format json or csv), events or people")
	}
	config, err := load(env)
	if err != nil {
		return err
	}
	out := env.Stdout
	if o.file != "" {
		opened, err := os.OpenFile(o.file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, opened.Close()) }()
		out = opened
	}
	return write(config, app.Options{Log: logger(env, config), Clock: time.Now}, out)
}

// verifyExport checks a file of evidence. It needs neither settings nor database.
func verifyExport(env Environment, name string) (err error) {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	proof, err := app.VerifyExport(file)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "nothing was altered: %d links, %d of them with their content, as of %s\nhead %s\n"+
		"Compare the head with one that was noted elsewhere: who made the file could have made all of it.\n",
		proof.Links, proof.Events, proof.At.Format(time.RFC3339), proof.Head)
	return err
}
