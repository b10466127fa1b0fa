package cli

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/app"
	"github.com/df-middleware/dfm/internal/df"
)

func replayCommand() command {
	return command{
		name: "replay", summary: "put kept events back into their lanes",
		example: "dfm replay --source ghl --status quarantined --from 2030-01-02T15:04:05Z --dry-run",
		setup: func(flags *flag.FlagSet) runner {
			var o replayOptions
			flags.StringVar(&o.source, "source", "", "only events of ghl, aloware, texting or broadcast")
			flags.StringVar(&o.status, "status", "", "only events that are done, skipped, error or quarantined")
			flags.StringVar(&o.filter.Type, "type", "", "only events of this type")
			flags.StringVar(&o.filter.EntityID, "entity", "", "only events about this id, contact or person")
			flags.StringVar(&o.filter.Person, "person", "", "only events of this person: our id, or a phone number such as +15005550111")
			flags.StringVar(&o.filter.Query, "q", "", "only events with this text in the body")
			flags.StringVar(&o.from, "from", "", "received at or after, such as 2030-01-02T15:04:05Z")
			flags.StringVar(&o.to, "to", "", "received before")
			flags.BoolVar(&o.dry, "dry-run", false, "say how many events, people and writes it would be, and do nothing")
			flags.BoolVar(&o.json, "json", false, "print JSON")
			return func(ctx context.Context, env Environment, args []string) error {
				return replayEvents(ctx, env, o, args)
			}
		},
	}
}

type replayOptions struct {
	source, status, from, to string
	filter                   app.ReplayFilter
	dry, json                bool
}

func (o replayOptions) asked() (app.ReplayFilter, error) {
	f := o.filter
	f.Source, f.Status = df.Source(o.source), df.Status(o.status)
	for _, bound := range []struct {
		text string
		to   **time.Time
	}{{o.from, &f.From}, {o.to, &f.To}} {
		if bound.text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, bound.text)
		if err != nil {
			return f, usageError("--from and --to must be times such as 2030-01-02T15:04:05Z")
		}
		*bound.to = &at
	}
	if f == (app.ReplayFilter{}) {
		return f, usageError("say which events, at least by --source or --from")
	}
	return f, nil
}

func replayEvents(ctx context.Context, env Environment, o replayOptions, args []string) error {
	asked, err := o.asked()
	if err != nil {
		return err
	}
	if len(args) > 0 {
		return usageError("replay takes flags only")
	}
	config, err := load(env)
	if err != nil {
		return err
	}
	options := app.Options{Log: slog.New(slog.DiscardHandler), Clock: time.Now, Version: env.Version}
	if o.dry {
		e, err := app.ReplayEstimate(ctx, config, options, asked)
		switch {
		case err != nil:
			return err
		case o.json:
			return printJSON(env.Stdout, e)
		}
		about := "exactly"
		if !e.Exact {
			about = fmt.Sprintf("at least, with %d people looked at,", e.LookedAt)
		}
		_, err = fmt.Fprintf(env.Stdout, "%d events of %d people fit; %d of them are superseded and would be passed over.\nThe others would write %s %d times to other systems.\n",
			e.Events, e.People, e.Superseded, about, e.Writes)
		return err
	}
	var last app.ReplayView
	err = app.Replay(ctx, config, options, asked, func(v app.ReplayView) {
		last = v
		if !o.json {
			fmt.Fprintf(env.Stderr, "\r%s %3.0f %%", bar(v.Progress), 100*v.Progress)
		}
	})
	if !o.json {
		fmt.Fprintln(env.Stderr)
	}
	if err != nil {
		return err
	}
	if o.json {
		return printJSON(env.Stdout, last)
	}
	_, err = fmt.Fprintf(env.Stdout, "%d events replayed, %d superseded, %d passed over (%s).\n", last.Replayed, last.Superseded, last.PassedOver, last.Status)
	return err
}

// bar draws how far something has come.
func bar(progress float64) string {
	const width = 40
	done := min(width, int(progress*width))
	return "[" + strings.Repeat("#", done) + strings.Repeat(".", width-done) + "]"
}
