package contest

import (
	"context"
	"time"
)

// settle is how long a server rests before its memory is read.
const settle = 3 * time.Second

// Idle measures how soon a server answers after it is started, over a database
// that was migrated before, and how much memory it holds while nothing happens.
func Idle(ctx context.Context, b *Bench) (Report, error) {
	shapes := []shape{{name: "idle"}}
	contestants := []contestant{
		{name: "express", missing: b.noExpress(), measure: b.idleExpress},
		{name: "dfm-postgres", missing: b.noDFM(), measure: b.idlePostgres},
		{name: "dfm-sqlite", missing: b.noDFM(), measure: b.idleSQLite},
	}
	t, err := b.compete(ctx, shapes, contestants)
	if err != nil {
		return Report{}, err
	}
	verdicts := judge(t, []target{
		{"start-up, PostgreSQL, of express", "idle", "dfm-postgres", "start ms", "express", 1.0 / 5, 1.0 / 10, true},
		{"start-up, SQLite, of express", "idle", "dfm-sqlite", "start ms", "express", 1.0 / 5, 1.0 / 10, true},
		{"start-up, PostgreSQL, ms", "idle", "dfm-postgres", "start ms", "", 300, 100, true},
		{"start-up, SQLite, ms", "idle", "dfm-sqlite", "start ms", "", 300, 100, true},
		{"idle RSS, PostgreSQL, of express", "idle", "dfm-postgres", "rss MiB", "express", 1.0 / 2, 1.0 / 4, true},
		{"idle RSS, SQLite, of express", "idle", "dfm-sqlite", "rss MiB", "express", 1.0 / 2, 1.0 / 4, true},
	})
	columns := []column{{"start ms", "start-up ms", 0}, {"rss MiB", "idle RSS MiB", 1}}
	return Report{
		Text: render("Idle: start-up and memory", t, shapes, contestants, columns, verdicts),
		OK:   allOK(verdicts),
	}, nil
}

func (b *Bench) idleExpress(ctx context.Context, _ shape) (sample, error) {
	databaseURL, drop, err := b.freshDatabase(ctx, "bench_express")
	if err != nil {
		return sample{}, err
	}
	defer drop()
	c, base, err := b.expressCommand("server.mjs", "DATABASE_URL="+databaseURL, "GHL_WEBHOOK_SECRET="+secret)
	if err != nil {
		return sample{}, err
	}
	c.ready = base + "/api/health"
	return restarted(ctx, c)
}

func (b *Bench) idlePostgres(ctx context.Context, _ shape) (sample, error) {
	databaseURL, drop, err := b.freshDatabase(ctx, "bench_dfm")
	if err != nil {
		return sample{}, err
	}
	defer drop()
	return b.idleDFM(ctx, databaseURL)
}

func (b *Bench) idleSQLite(ctx context.Context, _ shape) (sample, error) {
	file, remove, err := b.freshFile()
	if err != nil {
		return sample{}, err
	}
	defer remove()
	return b.idleDFM(ctx, "sqlite:"+file)
}

// idleDFM runs all roles in one process.
func (b *Bench) idleDFM(ctx context.Context, databaseURL string) (sample, error) {
	c, _, web, err := b.dfmCommand("gateway,web,worker,scheduler", databaseURL)
	if err != nil {
		return sample{}, err
	}
	c.ready = web + "/api/health"
	return restarted(ctx, c)
}

// restarted starts a server once to make its tables, and measures the second time.
func restarted(ctx context.Context, c command) (sample, error) {
	first, err := start(ctx, c)
	if err != nil {
		return sample{}, err
	}
	first.stop()
	before := startMeter(0, 0)
	second, err := start(ctx, c)
	if err != nil {
		return sample{}, err
	}
	defer second.stop()
	others := startMeter(0, 0).since(*before).others
	select {
	case <-time.After(settle):
	case <-ctx.Done():
		return sample{}, ctx.Err()
	}
	_, rss := tree(processes(), second.pid())
	return sample{
		others: others,
		figures: map[string]float64{
			"start ms": second.started.Seconds() * 1e3,
			"rss MiB":  float64(rss) / (1 << 20),
		},
	}, nil
}
