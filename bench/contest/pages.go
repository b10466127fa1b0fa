package contest

import (
	"context"
	"fmt"
	"time"

	"github.com/df-middleware/dfm/bench/crowd"
	"github.com/df-middleware/dfm/bench/visit"
)

// PagesOptions say how much the pages are measured over.
type PagesOptions struct {
	Size  crowd.Size // on PostgreSQL; on SQLite a fifth of it
	Times int        // how often each address is asked for
	Limit time.Duration
	Shown int // rows of the table
}

// Pages fills a database, starts the program over it and asks for every page of
// the console and its JSON twin. Nobody works meanwhile, since the figures are
// those of reading.
func Pages(ctx context.Context, b *Bench) (Report, error) {
	report := Report{OK: true}
	if why := b.noDFM(); why != "" {
		return Report{Text: "## Pages\n\nNot measured: " + why + "\n"}, nil
	}
	for _, engine := range []struct {
		name string
		size crowd.Size
		run  func(context.Context, crowd.Size) ([]visit.Timed, error)
	}{
		{"PostgreSQL", b.Pages.Size, b.pagesPostgres},
		{"SQLite", crowd.Size{Events: b.Pages.Size.Events / 5, People: b.Pages.Size.People / 5}, b.pagesSQLite},
	} {
		all, err := engine.run(ctx, engine.size)
		if err != nil {
			return report, fmt.Errorf("%s: %w", engine.name, err)
		}
		over := visit.Over(all, b.Pages.Limit)
		report.OK = report.OK && over == 0
		report.Text += fmt.Sprintf("## Pages: %s, %d events, %d people\n\n%d of %d addresses have a p95 over %v. The slowest:\n\n%s\n",
			engine.name, engine.size.Events, engine.size.People, over, len(all), b.Pages.Limit, visit.Table(all, b.Pages.Shown))
	}
	return report, nil
}

func (b *Bench) pagesPostgres(ctx context.Context, size crowd.Size) ([]visit.Timed, error) {
	databaseURL, drop, err := b.freshDatabase(ctx, "bench_pages")
	if err != nil {
		return nil, err
	}
	defer drop()
	return b.pages(ctx, size, databaseURL, func(c *crowd.Crowd) error { return c.Postgres(ctx, databaseURL) })
}

func (b *Bench) pagesSQLite(ctx context.Context, size crowd.Size) ([]visit.Timed, error) {
	file, remove, err := b.freshFile()
	if err != nil {
		return nil, err
	}
	defer remove()
	return b.pages(ctx, size, "sqlite:"+file, func(c *crowd.Crowd) error { return c.SQLite(ctx, file) })
}

// pages starts the program once to make the tables, fills them, and measures.
func (b *Bench) pages(ctx context.Context, size crowd.Size, databaseURL string, fill func(*crowd.Crowd) error) ([]visit.Timed, error) {
	command, _, web, err := b.dfmCommand("gateway,web", databaseURL)
	if err != nil {
		return nil, err
	}
	command.ready = web + "/api/health"
	first, err := start(ctx, command)
	if err != nil {
		return nil, err
	}
	first.stop()
	c := crowd.New(size, time.Now())
	began := time.Now()
	if err := fill(c); err != nil {
		return nil, err
	}
	fmt.Fprintf(b.Log, "filled %d events, %d people in %v\n", c.Events, c.People, time.Since(began).Round(time.Second))
	program, err := start(ctx, command)
	if err != nil {
		return nil, err
	}
	defer program.stop()
	visitor, err := visit.SignIn(ctx, web, adminSecret)
	if err != nil {
		return nil, err
	}
	paths, err := visitor.Paths(ctx, visit.Pairs(c.Landmarks()))
	if err != nil {
		return nil, err
	}
	return visitor.Measure(ctx, paths, b.Pages.Times, b.Log)
}
