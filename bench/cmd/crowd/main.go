// Crowd fills a migrated database, and asks a running program over it for every
// page of its console:
//
//	crowd fill -database postgres://… -events 1000000 -people 100000 -as-of 2030-01-02T15:04:05Z
//	crowd ask -url http://127.0.0.1:3002 -secret … -events 1000000 -people 100000 -as-of 2030-01-02T15:04:05Z
//
// The second wants to know how the first was called, because the ids of what it
// looks at follow from that. script/bench pages does both.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/df-middleware/dfm/bench/crowd"
	"github.com/df-middleware/dfm/bench/visit"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "crowd:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("say fill or ask")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	var size crowd.Size
	flags.IntVar(&size.Events, "events", 1_000_000, "events")
	flags.IntVar(&size.People, "people", 100_000, "people")
	asOf := flags.String("as-of", "", "the time of the newest event, RFC 3339")
	database := flags.String("database", "", "postgres:// URL or sqlite:file, to fill")
	base := flags.String("url", "", "the web app, to ask")
	secret := flags.String("secret", "", "its admin secret")
	only := flags.String("only", "", "ask only for addresses that hold this")
	times := flags.Int("times", 20, "how often to ask for each")
	limit := flags.Duration("limit", 200*time.Millisecond, "what p95 may be")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339, *asOf)
	if err != nil {
		return fmt.Errorf("-as-of: %w", err)
	}
	c := crowd.New(size, at)
	switch args[0] {
	case "fill":
		if file, ok := strings.CutPrefix(*database, "sqlite:"); ok {
			return c.SQLite(ctx, file)
		}
		return c.Postgres(ctx, *database)
	case "ask":
		return ask(ctx, c, *base, *secret, *only, *times, *limit)
	}
	return fmt.Errorf("no command %q; there are fill and ask", args[0])
}

func ask(ctx context.Context, c *crowd.Crowd, base, secret, only string, times int, limit time.Duration) error {
	reader, err := visit.SignIn(ctx, base, secret)
	if err != nil {
		return err
	}
	var wanted []visit.Pair
	for _, pair := range visit.Pairs(c.Landmarks()) {
		if strings.Contains(pair.Page+" "+pair.Twin, only) {
			wanted = append(wanted, pair)
		}
	}
	paths, err := reader.Paths(ctx, wanted)
	if err != nil {
		return err
	}
	all, err := reader.Measure(ctx, paths, times, os.Stderr)
	if err != nil {
		return err
	}
	fmt.Print(visit.Table(all, len(all)))
	if over := visit.Over(all, limit); over > 0 {
		return fmt.Errorf("%d of %d addresses are over %v", over, len(all), limit)
	}
	return nil
}
