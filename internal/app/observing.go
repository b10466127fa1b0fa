package app

import (
	"context"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
	"github.com/df-middleware/dfm/internal/observe"
)

// ObserveConfig is how the program is watched: where it answers those who watch,
// and where its traces go. The names of the latter are OpenTelemetry's own.
type ObserveConfig struct {
	Address       string // where metrics, health and profiles are served as well; "" nowhere
	TraceEndpoint string
	TracesURL     string
	TraceHeaders  df.Secret
	Service       string
	Resource      string
	Sampler       string
	Ratio         float64
}

func (s *settings) observe() ObserveConfig {
	c := ObserveConfig{
		Address:       s.text("DFM_METRICS_ADDR", ""),
		TraceEndpoint: s.address("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
		TracesURL:     s.address("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ""),
		TraceHeaders:  s.secret("OTEL_EXPORTER_OTLP_HEADERS"),
		Service:       s.text("OTEL_SERVICE_NAME", "dfm"),
		Resource:      s.text("OTEL_RESOURCE_ATTRIBUTES", ""),
		Sampler: s.oneOf("OTEL_TRACES_SAMPLER", "parentbased_always_on", "always_on", "always_off", "traceidratio",
			"parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"),
		Ratio: 1,
	}
	if _, port, err := net.SplitHostPort(c.Address); c.Address != "" && (err != nil || port == "") {
		s.wrong("DFM_METRICS_ADDR", "must be host:port, such as 127.0.0.1:9464")
	}
	if text := s.text("OTEL_TRACES_SAMPLER_ARG", ""); text != "" {
		ratio, err := strconv.ParseFloat(text, 64)
		if err != nil || ratio < 0 || ratio > 1 {
			s.wrong("OTEL_TRACES_SAMPLER_ARG", "must be a number from 0 to 1")
		}
		c.Ratio = ratio
	}
	protocol := s.oneOf("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "http/protobuf", "grpc", "http/json")
	if protocol != "http/protobuf" {
		s.wrong("OTEL_EXPORTER_OTLP_PROTOCOL", "must be http/protobuf")
	}
	exporter := s.oneOf("OTEL_TRACES_EXPORTER", "otlp", "otlp", "none")
	if off := s.oneOf("OTEL_SDK_DISABLED", "false", "true", "false") == "true"; off || exporter == "none" {
		c.TraceEndpoint, c.TracesURL = "", ""
	}
	return c
}

// buildTracer makes what traces. Without an endpoint it still gives every
// request an id, by which log lines and events are found.
func (a *App) buildTracer() error {
	c := a.config.Observe
	tracer, err := observe.NewTracer(context.Background(), observe.TraceConfig{
		Endpoint: c.TraceEndpoint, Traces: c.TracesURL, Headers: c.TraceHeaders, Service: c.Service, Resource: c.Resource,
		Sampler: c.Sampler, Ratio: c.Ratio, Version: a.version, Client: &http.Client{Transport: egress.NewTransport()},
	})
	a.tracer = tracer
	return err
}

// toVerity is the way to Verity, which is told to which trace a call belongs.
func (a *App) toVerity() http.RoundTripper {
	return observe.Transport("verity", true, egress.NewStreamTransport(a.config.Verity.Timeout))
}

// buildObservation serves metrics, health and profiles at an address of their
// own, whatever roles the process has.
func (a *App) buildObservation() error {
	if a.config.Observe.Address == "" {
		return nil
	}
	mux := newRoutes()
	a.registerStatus(mux)
	admin, _ := a.guards()
	registerProfiles(mux, admin.Wrap)
	a.servers = append(a.servers, &server{name: "metrics", address: a.config.Observe.Address, handler: mux})
	return nil
}

// registerProfiles adds Go's profiles behind the admin secret: they show what
// the program holds in memory.
func registerProfiles(mux *routes, admin func(http.Handler) http.Handler) {
	for path, h := range map[string]http.HandlerFunc{
		"/debug/pprof/": pprof.Index, "/debug/pprof/cmdline": pprof.Cmdline, "/debug/pprof/profile": pprof.Profile,
		"/debug/pprof/symbol": pprof.Symbol, "/debug/pprof/trace": pprof.Trace,
	} {
		mux.Handle("GET "+path, admin(h))
	}
}
