package contest

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"

	"github.com/df-middleware/dfm/bench/load"
)

// secret signs the webhooks of every contestant. It guards nothing.
const secret = "benchmark-webhook-secret"

// ingestShapes: many connections and few, a steady trickle for the latency, and
// a third of all deliveries doubled to see that nothing is lost or kept twice.
var ingestShapes = []shape{
	{name: "c64", connections: 64},
	{name: "c16", connections: 16},
	{name: "400/s", connections: 32, rate: 400},
	{name: "doubled", connections: 64, duplicates: 0.3},
}

// Ingest measures taking in webhooks: verify, look for a double, event and job
// in one durable commit, answer.
func Ingest(ctx context.Context, b *Bench) (Report, error) {
	closed := []string{"c64", "c16"}
	contestants := []contestant{
		{name: "pgbench-min", shapes: closed, measure: b.pgbench("min")},
		{name: "pgbench-full", shapes: closed, measure: b.pgbench("full")},
		{name: "express", shapes: []string{"c64", "c16", "400/s"}, missing: b.noExpress(), measure: b.expressIngest},
		{name: "dfm-postgres", missing: b.noDFM(), measure: b.dfmIngestPostgres},
		{name: "dfm-sqlite", missing: b.noDFM(), measure: b.dfmIngestSQLite},
	}
	t, err := b.compete(ctx, ingestShapes, contestants)
	if err != nil {
		return Report{}, err
	}
	verdicts := judge(t, []target{
		{"PostgreSQL, 64 connections, times express", "c64", "dfm-postgres", "req/s", "express", 7, 10, false},
		{"PostgreSQL, 64 connections, times pgbench-min", "c64", "dfm-postgres", "req/s", "pgbench-min", 0.8, 1.2, false},
		{"PostgreSQL, 16 connections, times express", "c16", "dfm-postgres", "req/s", "express", 4.5, 7, false},
		{"PostgreSQL, 16 connections, times pgbench-min", "c16", "dfm-postgres", "req/s", "pgbench-min", 0.45, 0.7, false},
		{"SQLite, 64 connections, times express", "c64", "dfm-sqlite", "req/s", "express", 6, 10, false},
		{"CPU of server and database per request, 64 connections, of express", "c64", "dfm-postgres", "CPU us", "express", 1.0 / 8, 1.0 / 12, true},
		{"p99 at 400/s, of express", "400/s", "dfm-postgres", "p99 ms", "express", 1.0 / 3, 1.0 / 6, true},
		{"events lost or kept twice, PostgreSQL, 30 % doubled", "doubled", "dfm-postgres", "wrong", "", 0, 0, true},
		{"events lost or kept twice, SQLite, 30 % doubled", "doubled", "dfm-sqlite", "wrong", "", 0, 0, true},
	})
	columns := []column{
		{"req/s", "req/s", 0}, {"p50 ms", "p50 ms", 2}, {"p99 ms", "p99 ms", 2},
		{"app us", "app CPU us/req", 0}, {"db us", "db CPU us/req", 0}, {"rss MiB", "RSS MiB", 0},
		{"bad", "not 2xx", 0}, {"wrong", "lost or double", 0},
	}
	return Report{
		Text: render("Ingest: webhooks in", t, ingestShapes, contestants, columns, verdicts),
		OK:   allOK(verdicts),
	}, nil
}

// Report is a contest's outcome.
type Report struct {
	Text string // Markdown
	OK   bool   // every target was measured and met
}

func allOK(verdicts []verdict) bool {
	for _, v := range verdicts {
		if !v.ok() {
			return false
		}
	}
	return true
}

func (b *Bench) noDFM() string {
	if b.DFM == "" {
		return "there is no dfm binary"
	}
	return ""
}

func (b *Bench) noExpress() string {
	if b.Express == "" {
		return "Express could not be installed from npm"
	}
	return ""
}

// adminSecret opens the console and the admin API.
const adminSecret = "benchmark-admin-secret-0123456789"

// dfmCommand starts dfm in some roles, on two free ports, with every secret
// that serving may ask for.
func (b *Bench) dfmCommand(roles, databaseURL string, more ...string) (c command, gateway, web string, err error) {
	port, err := freePort()
	if err != nil {
		return command{}, "", "", err
	}
	webPort, err := freePort()
	if err != nil {
		return command{}, "", "", err
	}
	c = command{
		args: []string{b.DFM, "serve", "--roles", roles},
		env: append([]string{
			"DATABASE_URL=" + databaseURL,
			"HOST=127.0.0.1", "PORT=" + strconv.Itoa(port), "WEB_PORT=" + strconv.Itoa(webPort),
			"DF_ADMIN_SECRET=" + adminSecret,
			"X_DF_JOBS_SECRET=benchmark-jobs-secret-0123456789",
			"DF_ENCRYPTION_KEY=YmVuY2htYXJrLWtleS1vZi0zMi1ieXRlcy1sb25nISE=",
			"GHL_WEBHOOK_SECRET=" + secret,
			"LOG_LEVEL=info", "LOG_FORMAT=json",
		}, more...),
		dir: b.Scratch,
		log: filepath.Join(b.Scratch, "dfm.log"),
	}
	gateway = fmt.Sprintf("http://127.0.0.1:%d", port)
	web = fmt.Sprintf("http://127.0.0.1:%d", webPort)
	return c, gateway, web, nil
}

func (b *Bench) dfmIngestPostgres(ctx context.Context, s shape) (sample, error) {
	databaseURL, drop, err := b.freshDatabase(ctx, "bench_dfm")
	if err != nil {
		return sample{}, err
	}
	defer drop()
	c, _, web, err := b.dfmCommand("web", databaseURL)
	if err != nil {
		return sample{}, err
	}
	c.ready = web + "/api/health"
	count := func() (int64, error) { return countEvents(ctx, databaseURL) }
	return b.ingest(ctx, c, web, s, count)
}

func (b *Bench) dfmIngestSQLite(ctx context.Context, s shape) (sample, error) {
	file, remove, err := b.freshFile()
	if err != nil {
		return sample{}, err
	}
	defer remove()
	c, _, web, err := b.dfmCommand("web", "sqlite:"+file)
	if err != nil {
		return sample{}, err
	}
	c.ready = web + "/api/health"
	count := func() (int64, error) { return countEventsInFile(ctx, file) }
	return b.ingest(ctx, c, web, s, count)
}

func (b *Bench) expressIngest(ctx context.Context, s shape) (sample, error) {
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
	count := func() (int64, error) { return countEvents(ctx, databaseURL) }
	return b.ingest(ctx, c, base, s, count)
}

func (b *Bench) expressCommand(file string, env ...string) (command, string, error) {
	port, err := freePort()
	if err != nil {
		return command{}, "", err
	}
	return command{
		args: []string{"node", file},
		env:  append([]string{"NODE_ENV=production", "PORT=" + strconv.Itoa(port)}, env...),
		dir:  b.Express,
		log:  filepath.Join(b.Scratch, "express.log"),
	}, fmt.Sprintf("http://127.0.0.1:%d", port), nil
}

// ingest runs a server, loads its webhook route, and compares what was answered
// with what was kept.
func (b *Bench) ingest(ctx context.Context, c command, base string, s shape, count func() (int64, error)) (sample, error) {
	target := base + "/api/webhooks/ghl"
	webhooks := load.Webhooks{URL: target, Secret: secret, Contacts: 1000, Duplicates: s.duplicates, Seed: 1}
	result, out, err := b.loaded(ctx, c, s, target, webhooks.Source)
	if err != nil {
		return sample{}, err
	}
	kept, err := count()
	if err != nil {
		return sample{}, fmt.Errorf("count what was kept: %w", err)
	}
	lost := max(0, result.Accepted-kept)
	double := max(0, kept-result.Accepted-result.Bad())
	out.figures["wrong"] = float64(lost + double)
	return out, nil
}

// loaded runs a server under a load and measures both.
func (b *Bench) loaded(ctx context.Context, c command, s shape, target string, source func(int) (load.Source, error)) (load.Result, sample, error) {
	if _, err := url.Parse(target); err != nil {
		return load.Result{}, sample{}, err
	}
	running, err := start(ctx, c)
	if err != nil {
		return load.Result{}, sample{}, err
	}
	defer running.stop()
	var before meter
	began := make(chan struct{})
	result, err := load.Run(ctx, load.Load{
		URL: target, Connections: s.connections, Rate: s.rate,
		Warmup: b.Warmup, Measure: b.Measure, Source: source,
	}, func() {
		before = *startMeter(running.pid(), b.DatabasePID)
		close(began)
	})
	if err != nil {
		return result, sample{}, err
	}
	<-began
	after := startMeter(running.pid(), b.DatabasePID)
	used := after.since(before)
	_, rss := tree(processes(), running.pid())
	requests := float64(result.Latencies.Count())
	return result, sample{
		others: used.others,
		figures: map[string]float64{
			"req/s":   result.PerSecond(),
			"p50 ms":  result.Latencies.Quantile(0.50).Seconds() * 1e3,
			"p99 ms":  result.Latencies.Quantile(0.99).Seconds() * 1e3,
			"app us":  used.app.Seconds() * 1e6 / requests,
			"db us":   used.db.Seconds() * 1e6 / requests,
			"CPU us":  (used.app + used.db).Seconds() * 1e6 / requests,
			"rss MiB": float64(rss) / (1 << 20),
			"bad":     float64(result.Bad()),
		},
	}, nil
}
