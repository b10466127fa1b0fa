package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/df-middleware/dfm/internal/egress"
	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/sandbox/alowareworld"
	"github.com/df-middleware/dfm/internal/sandbox/ghlworld"
	"github.com/df-middleware/dfm/internal/sandbox/story"
)

func demoCommand() command {
	return command{
		name: "demo", summary: "play the main job against sandbox upstreams, with nothing installed",
		example: "dfm demo --once",
		setup: func(flags *flag.FlagSet) runner {
			once := flags.Bool("once", false, "end after the story; exit 0 only if every step held")
			asJSON := flags.Bool("json", false, "print the steps as JSON")
			keep := flags.String("log", "", "file for the server's log (default: thrown away)")
			return func(ctx context.Context, env Environment, _ []string) error {
				return demo(ctx, env, demoOptions{once: *once, json: *asJSON, log: *keep})
			}
		},
	}
}

type demoOptions struct {
	once, json bool
	log        string
}

const (
	demoAdmin = "demo-admin-secret"
	demoKey   = "demo-gateway-key"
	demoPass  = "demo:password" // with a colon, which the original could not take
)

// demo starts the sandbox here and the server as a process of its own, so that
// the story can really kill it.
func demo(ctx context.Context, env Environment, o demoOptions) (err error) {
	folder, err := os.MkdirTemp("", "dfm-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	world := sandbox.New(sandbox.Config{
		TimeScale: 0.01, Workers: 8,
		GHL: ghlworld.Config{RateMax: 5000, Users: []ghlworld.User{ // the real 100 in 10 s would make the story wait
			{ID: "user_dana", FirstName: "Dana", LastName: "Reyes", Email: "dana.reyes@example.test"},
			{ID: "user_eli", FirstName: "Eli", LastName: "Stone", Email: "eli@example.test"},
			{ID: "user_lee", FirstName: "Lee", Email: "lee@example.test"},
		}},
		Aloware: alowareworld.Config{BasicUser: "demo", BasicPass: demoPass, Users: []alowareworld.User{
			{ID: 501, Name: "Dana Reyes", Email: "Dana.Reyes@example.test", Status: 1}, {ID: 502, Name: "E. Stone", Email: "eli@example.test"},
			{ID: 503, Name: "Lee", Email: "lee@example.test"}, {ID: 504, Name: "Lee (old)", Email: "lee@example.test"},
		}},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err := world.Start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, world.Close()) }()
	server, err := newChild(world, folder, o.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	if err := server.Start(ctx); err != nil {
		return err
	}
	world.Connect(server.WebURL())
	return play(ctx, env, o, world, server)
}

func play(ctx context.Context, env Environment, o demoOptions, world *sandbox.World, server *child) error {
	stage := &story.Stage{
		World: world, Server: server, AdminSecret: demoAdmin, GatewayKey: demoKey,
		Client: &http.Client{Timeout: 30 * time.Second, Transport: egress.NewTransport()},
	}
	defer stage.Client.CloseIdleConnections()
	steps := slices.Concat(story.Contacts(), story.Texts(), story.Calls(), story.Lists(), story.Verity(), story.Appointments(), story.Sweeps(), story.Gateway(), story.Models())
	out := env.Stdout
	if o.json {
		out = io.Discard
	}
	fmt.Fprintf(out, "df-middleware demo: sandbox GoHighLevel, Aloware, Verity and Clerk on this machine, SQLite, one process of dfm serve\n\n")
	var results []story.Result
	held := 0
	for i, step := range steps {
		fmt.Fprintf(out, "%2d  %s\n", i+1, step.Name)
		result := step.Play(ctx, stage)
		results = append(results, result)
		if result.Err == nil {
			held++
			fmt.Fprintf(out, "      held in %v: %s\n", result.Took.Round(time.Millisecond), result.Seen)
		} else {
			fmt.Fprintf(out, "      DID NOT HOLD: %v\n", result.Err)
		}
	}
	if err := printResults(env, o, results); err != nil {
		return err
	}
	if held < len(steps) {
		return fmt.Errorf("%d of %d steps did not hold", len(steps)-held, len(steps))
	}
	if o.once || o.json {
		return nil
	}
	fmt.Fprintf(out, "\nStill running. Look around:\n  console   %s  (secret: %s)\n  gateway   %s  (key: %s)\n", server.WebURL(), demoAdmin, server.GatewayURL(), demoKey)
	for name, url := range world.URLs() {
		fmt.Fprintf(out, "  %-8s  %s/_sandbox/state\n", name, url)
	}
	fmt.Fprintln(out, "Ctrl-C ends it and removes everything.")
	<-ctx.Done()
	return nil
}

type resultView struct {
	Step   string  `json:"step"`
	Proves string  `json:"proves"`
	Held   bool    `json:"held"`
	Seen   string  `json:"seen,omitempty"`
	Error  string  `json:"error,omitempty"`
	TookMS float64 `json:"tookMs"`
}

// printResults prints the table of what happened and what it proves.
func printResults(env Environment, o demoOptions, results []story.Result) error {
	views := make([]resultView, len(results))
	for i, r := range results {
		views[i] = resultView{Step: r.Name, Proves: r.Proves, Held: r.Err == nil, Seen: r.Seen, TookMS: float64(r.Took.Milliseconds())}
		if r.Err != nil {
			views[i].Error = r.Err.Error()
		}
	}
	if o.json {
		return printJSON(env.Stdout, views)
	}
	fmt.Fprintf(env.Stdout, "\n%-4s %-6s %8s  %s\n", "step", "held", "ms", "what it proves")
	for i, v := range views {
		held := "yes"
		if !v.Held {
			held = "NO"
		}
		fmt.Fprintf(env.Stdout, "%-4d %-6s %8.0f  %s\n", i+1, held, v.TookMS, v.Proves)
	}
	return nil
}
