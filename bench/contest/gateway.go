package contest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/df-middleware/dfm/bench/load"
)

// gatewayKey opens every contestant's gateway. It guards nothing.
const gatewayKey = "benchmark-gateway-key-0123456789"

var gatewayShapes = []shape{{name: "c64", connections: 64}, {name: "c16", connections: 16}}

// Gateway measures passing a request on to an upstream that answers 1 KiB of
// JSON at once: check the caller's key, ask, hand back the answer.
func Gateway(ctx context.Context, b *Bench) (Report, error) {
	upstream, stop, err := b.upstream(ctx)
	if err != nil {
		return Report{}, err
	}
	defer stop()
	noNginx := ""
	if b.Nginx == "" {
		noNginx = "nginx could not be installed"
	}
	contestants := []contestant{
		{name: "direct", measure: func(ctx context.Context, s shape) (sample, error) {
			return b.direct(ctx, upstream, s)
		}},
		{name: "nginx", missing: noNginx, measure: b.through(upstream, b.nginxCommand)},
		{name: "reverseproxy", measure: b.through(upstream, b.reverseProxyCommand)},
		{name: "express", missing: b.noExpress(), measure: b.through(upstream, b.expressGatewayCommand(false))},
		{name: "express-envelope", missing: b.noExpress(), measure: b.through(upstream, b.expressGatewayCommand(true))},
		{name: "dfm", missing: b.noDFM(), measure: b.through(upstream, b.dfmGatewayCommand(false))},
		{name: "dfm-envelope", missing: b.noDFM(), measure: b.through(upstream, b.dfmGatewayCommand(true))},
	}
	t, err := b.compete(ctx, gatewayShapes, contestants)
	if err != nil {
		return Report{}, err
	}
	verdicts := judge(t, []target{
		{"64 connections, times nginx", "c64", "dfm", "req/s", "nginx", 0.45, 0.70, false},
		{"64 connections, times express", "c64", "dfm", "req/s", "express", 4, 6.5, false},
		{"p99 with 64 connections, of nginx", "c64", "dfm", "p99 ms", "nginx", 2, 1.3, true},
	})
	columns := []column{
		{"req/s", "req/s", 0}, {"p50 ms", "p50 ms", 2}, {"p99 ms", "p99 ms", 2},
		{"app us", "CPU us/req", 0}, {"rss MiB", "RSS MiB", 0}, {"bad", "not 2xx", 0},
	}
	return Report{
		Text: render("Gateway: requests through", t, gatewayShapes, contestants, columns, verdicts),
		OK:   allOK(verdicts),
	}, nil
}

// route is how to reach a gateway once it runs.
type route struct {
	command command
	target  string
	headers map[string]string
	body    string
}

// upstream starts the server behind all gateways and returns its host and port.
func (b *Bench) upstream(ctx context.Context) (string, func(), error) {
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	running, err := start(ctx, command{
		args:  []string{b.Peer, "upstream", "-listen", address},
		dir:   b.Scratch,
		ready: "http://" + address + "/api/calls",
		log:   filepath.Join(b.Scratch, "upstream.log"),
	})
	if err != nil {
		return "", nil, err
	}
	return address, running.stop, nil
}

// direct measures the upstream without a gateway: what the generator can do.
func (b *Bench) direct(ctx context.Context, upstream string, s shape) (sample, error) {
	target := "http://" + upstream + "/api/calls"
	before := startMeter(0, 0)
	result, err := load.Run(ctx, load.Load{
		URL: target, Connections: s.connections, Warmup: b.Warmup, Measure: b.Measure,
		Source: load.Fixed(target, nil, ""),
	}, nil)
	if err != nil {
		return sample{}, err
	}
	return sample{
		others: startMeter(0, 0).since(*before).others,
		figures: map[string]float64{
			"req/s":  result.PerSecond(),
			"p50 ms": result.Latencies.Quantile(0.50).Seconds() * 1e3,
			"p99 ms": result.Latencies.Quantile(0.99).Seconds() * 1e3,
			"bad":    float64(result.Bad()),
		},
	}, nil
}

// through measures a gateway before the upstream. A gateway that refuses or
// errs is no contestant.
func (b *Bench) through(upstream string, prepare func(upstream string) (route, error)) func(context.Context, shape) (sample, error) {
	return func(ctx context.Context, s shape) (sample, error) {
		r, err := prepare(upstream)
		if err != nil {
			return sample{}, err
		}
		result, out, err := b.loaded(ctx, r.command, s, r.target, load.Fixed(r.target, r.headers, r.body))
		if err != nil {
			return sample{}, err
		}
		if bad := result.Bad(); bad*100 > result.Latencies.Count() {
			return sample{}, fmt.Errorf("%d of %d answers were not 2xx: %v", bad, result.Latencies.Count(), result.Statuses)
		}
		return out, nil
	}
}

func (b *Bench) nginxCommand(upstream string) (route, error) {
	port, err := freePort()
	if err != nil {
		return route{}, err
	}
	template, err := os.ReadFile(filepath.Join(b.Source, "bench", "nginx", "nginx.conf.template"))
	if err != nil {
		return route{}, err
	}
	config := strings.NewReplacer(
		"@SCRATCH@", b.Scratch, "@PORT@", strconv.Itoa(port), "@UPSTREAM@", upstream, "@KEY@", gatewayKey,
	).Replace(string(template))
	file := filepath.Join(b.Scratch, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		return route{}, err
	}
	base := fmt.Sprintf("http://127.0.0.1:%d", port)
	return proxied(command{
		args:  []string{b.Nginx, "-c", file, "-p", b.Scratch},
		dir:   b.Scratch,
		ready: base + "/health",
		log:   filepath.Join(b.Scratch, "nginx.log"),
	}, base), nil
}

func (b *Bench) reverseProxyCommand(upstream string) (route, error) {
	port, err := freePort()
	if err != nil {
		return route{}, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	return proxied(command{
		args:  []string{b.Peer, "proxy", "-listen", address, "-upstream", "http://" + upstream, "-key", gatewayKey},
		dir:   b.Scratch,
		ready: "http://" + address + "/health",
		log:   filepath.Join(b.Scratch, "proxy.log"),
	}, "http://"+address), nil
}

func (b *Bench) expressGatewayCommand(enveloped bool) func(string) (route, error) {
	return func(upstream string) (route, error) {
		c, base, err := b.expressCommand("gateway.mjs", "UPSTREAM_URL=http://"+upstream, "KEY="+gatewayKey)
		if err != nil {
			return route{}, err
		}
		c.ready = base + "/health"
		if enveloped {
			return envelope(c, base), nil
		}
		return proxied(c, base), nil
	}
}

// dfmGatewayCommand runs only the gateway, over an empty SQLite file. Its proxy
// route wants the key in X-API-Key, its envelope route as a bearer.
func (b *Bench) dfmGatewayCommand(enveloped bool) func(string) (route, error) {
	return func(upstream string) (route, error) {
		file := filepath.Join(b.Scratch, "gateway.db")
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if err := os.Remove(file + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
				return route{}, err
			}
		}
		c, base, _, err := b.dfmCommand("gateway", "sqlite:"+file,
			"DF_MIDDLEWARE_API_KEY="+gatewayKey, "VERITY_BASE_URL=http://"+upstream, "VERITY_CATALOG_MODE=off", "DFM_KEY_RATE_PER_MINUTE=0")
		if err != nil {
			return route{}, err
		}
		c.ready = base + "/health"
		if enveloped {
			return envelope(c, base), nil
		}
		r := proxied(c, base)
		r.headers = map[string]string{"X-API-Key": gatewayKey}
		return r, nil
	}
}

// proxied asks for the upstream's answer as it is.
func proxied(c command, base string) route {
	return route{
		command: c,
		target:  base + "/api/verity/proxy/api/calls",
		headers: map[string]string{"Authorization": "Bearer " + gatewayKey},
	}
}

// envelope asks for it wrapped, as the original gateway's callers do.
func envelope(c command, base string) route {
	return route{
		command: c,
		target:  base + "/api/verity",
		headers: map[string]string{"Authorization": "Bearer " + gatewayKey},
		body:    `{"endpoint":"/api/calls","method":"GET"}`,
	}
}
