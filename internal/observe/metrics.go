package observe

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/df-middleware/dfm/internal/df"
)

// Metrics is every number the program shows to Prometheus.
type Metrics struct {
	registry *prometheus.Registry

	webhooks    *prometheus.CounterVec
	webhookTime *prometheus.HistogramVec
	events      *prometheus.CounterVec
	eventTime   *prometheus.HistogramVec
	calls       *prometheus.CounterVec
	callTime    *prometheus.HistogramVec
	requests    *prometheus.CounterVec
	requestTime *prometheus.HistogramVec
	refused     *prometheus.CounterVec
	tokens      *prometheus.CounterVec
	gateway     *prometheus.CounterVec
	gatewayTime *prometheus.HistogramVec
	verity      *prometheus.CounterVec
	verityTime  *prometheus.HistogramVec
	talk        talk
}

// Backlog tells how much waits, for the gauges that are read at each scrape.
type Backlog func(ctx context.Context) (open int64, oldest time.Time, err error)

var seconds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// NewMetrics returns metrics in a registry of their own, with those of the Go
// runtime and the process.
func NewMetrics() *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "dfm", Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "dfm", Name: name, Help: help, Buckets: seconds}, labels)
	}
	m := &Metrics{
		registry:    prometheus.NewRegistry(),
		webhooks:    counter("webhooks_total", "Webhooks received, by route and what became of them.", "route", "result"),
		webhookTime: histogram("webhook_seconds", "Time from the first byte of a webhook to its answer.", "route"),
		events:      counter("events_total", "Events that a worker finished with, by source and status.", "source", "status"),
		eventTime:   histogram("event_seconds", "Time from receipt of an event to the end of its handling.", "source"),
		calls:       counter("upstream_calls_total", "Calls to upstreams, by operation and outcome.", "upstream", "operation", "outcome"),
		callTime:    histogram("upstream_call_seconds", "Time of calls to upstreams, without waiting for the budget.", "upstream"),
		requests:    counter("http_requests_total", "HTTP requests, by server, route and status.", "server", "route", "method", "status"),
		refused:     counter("refused_total", "Requests without the right secret, by what is guarded.", "guard"),
		tokens:      counter("clerk_tokens_refused_total", "Clerk tokens of callers that were refused, by reason.", "reason"),
		gateway:     counter("gateway_requests_total", "Requests at the gateway, by door, path template and result.", "route", "template", "status", "code"),
		gatewayTime: histogram("gateway_request_seconds", "Time to answer requests at the gateway.", "route"),
		verity:      counter("verity_calls_total", "Calls sent to Verity, by path template.", "method", "template", "status"),
		verityTime:  histogram("verity_call_seconds", "Time of calls to Verity.", "method"),
		talk:        newTalk(),
		requestTime: histogram("http_request_seconds", "Time to answer HTTP requests.", "server", "route"),
	}
	m.registry.MustRegister(m.webhooks, m.webhookTime, m.events, m.eventTime, m.calls, m.callTime, m.requests, m.requestTime, m.refused, m.tokens,
		m.gateway, m.gatewayTime, m.verity, m.verityTime,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(m.talk.collectors()...)
	return m
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Webhook counts one delivery.
func (m *Metrics) Webhook(route, result string, took time.Duration) {
	m.webhooks.WithLabelValues(route, result).Inc()
	m.webhookTime.WithLabelValues(route).Observe(took.Seconds())
}

// Event counts one handled event and how long it had waited.
func (m *Metrics) Event(source df.Source, status df.Status, waited time.Duration) {
	m.events.WithLabelValues(string(source), string(status)).Inc()
	m.eventTime.WithLabelValues(string(source)).Observe(waited.Seconds())
}

// Call counts one call to an upstream.
func (m *Metrics) Call(upstream, operation, outcome string, took time.Duration) {
	m.calls.WithLabelValues(upstream, operation, outcome).Inc()
	m.callTime.WithLabelValues(upstream).Observe(took.Seconds())
}

// Request counts one answered HTTP request. The route is the pattern that
// matched, never the path.
func (m *Metrics) Request(server, route, method string, status int, took time.Duration) {
	m.requests.WithLabelValues(server, route, boundedMethod(method), strconv.Itoa(status)).Inc()
	m.requestTime.WithLabelValues(server, route).Observe(took.Seconds())
}

// Refused counts one request that a guard turned away.
func (m *Metrics) Refused(guard string) { m.refused.WithLabelValues(guard).Inc() }

// TokenRefused counts one Clerk token that was not believed. The reasons are a
// closed set.
func (m *Metrics) TokenRefused(reason string) { m.tokens.WithLabelValues(reason).Inc() }

// Gateway counts one request at the gateway.
func (m *Metrics) Gateway(route, template string, status int, code string, took time.Duration) {
	m.gateway.WithLabelValues(route, template, strconv.Itoa(status), code).Inc()
	m.gatewayTime.WithLabelValues(route).Observe(took.Seconds())
}

// GatewayCall counts one call that the gateway sent to Verity.
func (m *Metrics) GatewayCall(method, template string, status int, took time.Duration) {
	m.verity.WithLabelValues(boundedMethod(method), template, strconv.Itoa(status)).Inc()
	m.verityTime.WithLabelValues(boundedMethod(method)).Observe(took.Seconds())
}

func boundedMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// WatchBackups adds a gauge for the age of the newest backup. Where there is none
// yet, there is no gauge.
func (m *Metrics) WatchBackups(last func() (time.Time, error), clock df.Clock) {
	m.registry.MustRegister(&ageCollector{last: last, clock: clock,
		desc: prometheus.NewDesc("dfm_backup_age_seconds", "Time since the newest backup that was made and verified.", nil, nil)})
}

type ageCollector struct {
	last  func() (time.Time, error)
	clock df.Clock
	desc  *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *ageCollector) Describe(to chan<- *prometheus.Desc) { to <- c.desc }

// Collect implements prometheus.Collector.
func (c *ageCollector) Collect(to chan<- prometheus.Metric) {
	if at, err := c.last(); err == nil && !at.IsZero() {
		to <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, max(0, c.clock().Sub(at).Seconds()))
	}
}

// WatchBacklog adds gauges for the events that wait and the age of the oldest.
func (m *Metrics) WatchBacklog(backlog Backlog, clock df.Clock) {
	m.registry.MustRegister(&backlogCollector{
		backlog: backlog, clock: clock,
		open:   prometheus.NewDesc("dfm_events_open", "Events that are pending, processing or waiting for a retry.", nil, nil),
		oldest: prometheus.NewDesc("dfm_events_oldest_seconds", "Age of the oldest open event.", nil, nil),
	})
}

type backlogCollector struct {
	backlog      Backlog
	clock        df.Clock
	open, oldest *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *backlogCollector) Describe(to chan<- *prometheus.Desc) { to <- c.open; to <- c.oldest }

// Collect implements prometheus.Collector. A store that does not answer within
// two seconds leaves the gauges out of this scrape.
func (c *backlogCollector) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	open, oldest, err := c.backlog(ctx)
	if err != nil {
		return
	}
	age := 0.0
	if !oldest.IsZero() {
		age = max(0, c.clock().Sub(oldest).Seconds())
	}
	to <- prometheus.MustNewConstMetric(c.open, prometheus.GaugeValue, float64(open))
	to <- prometheus.MustNewConstMetric(c.oldest, prometheus.GaugeValue, age)
}

// Counts tells how much there is of each of a few statuses.
type Counts func(ctx context.Context) (map[string]int64, error)

// WatchForwards adds a gauge for the webhooks on their way to Verity, one for each
// of the statuses, so that one that was given up is seen. A status of which there
// is nothing is 0, for an alert to end.
func (m *Metrics) WatchForwards(counts Counts, statuses ...string) {
	m.registry.MustRegister(&countsCollector{
		counts: counts, statuses: statuses,
		desc: prometheus.NewDesc("dfm_forwards", "Webhooks that are not passed on to Verity yet, by status.", []string{"status"}, nil),
	})
}

type countsCollector struct {
	counts   Counts
	statuses []string
	desc     *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *countsCollector) Describe(to chan<- *prometheus.Desc) { to <- c.desc }

// Collect implements prometheus.Collector, as patient as that of the backlog. The
// labels are the known statuses, whatever the store says.
func (c *countsCollector) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	counts, err := c.counts(ctx)
	if err != nil {
		return
	}
	for _, status := range c.statuses {
		to <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(counts[status]), status)
	}
}
