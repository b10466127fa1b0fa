package app

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/store"
)

// traceCollector is an OTLP collector over HTTP.
type traceCollector struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*tracev1.Span
	proof string
}

func newTraceCollector(t *testing.T) *traceCollector {
	c := &traceCollector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var request collector.ExportTraceServiceRequest
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &request) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.proof = r.Header.Get("X-Collector-Key")
		for _, resource := range request.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				c.spans = append(c.spans, scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// of returns the spans of a trace by name.
func (c *traceCollector) of(trace string) map[string]*tracev1.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := map[string]*tracev1.Span{}
	for _, span := range c.spans {
		if hex.EncodeToString(span.GetTraceId()) == trace {
			found[span.GetName()] = span
		}
	}
	return found
}

func TestOneTraceLeadsFromTheWebhookToTheLastWrite(t *testing.T) {
	sink := newTraceCollector(t)
	world := newWorld(t, sandbox.Config{})
	a := build(t, world, databases()["sqlite"](t), time.Now, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": sink.URL, "OTEL_EXPORTER_OTLP_HEADERS": "x-collector-key=collector-test",
	})
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	world.Connect(a.URL("web"))
	people := makePeople(t, world, 1)
	settle(t, world, a)
	path, header, body := people[0].edit(t, world, 2)
	header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
	postOK(t, a.URL("web")+path, header, body)
	settle(t, world, a)
	events, err := a.store.Events(t.Context(), store.EventFilter{Source: df.SourceGHL, Limit: 100})
	kept := slices.ContainsFunc(events, func(e df.Event) bool {
		return strings.HasPrefix(e.Trace, "00-0af7651916cd43dd8448eb211c80319c-")
	})
	if err != nil || !kept {
		t.Errorf("no event keeps the trace, %v", err)
	}
	stop(t, a) // sends what is left

	// Events that share a turn share the trace of the oldest.
	chain := []string{"POST /api/webhooks/ghl", "lane turn", "aloware write contact"}
	whole := slices.ContainsFunc(events, func(e df.Event) bool { return follows(sink.of(strings.Split(e.Trace, "-")[1]), chain) })
	if !whole {
		t.Errorf("no trace leads along %v", chain)
	}
	if sink.proof != "collector-test" {
		t.Error("OTEL_EXPORTER_OTLP_HEADERS is not sent")
	}
	if err := sink.personal(); err != nil {
		t.Error(err)
	}
}

// follows reports whether each span of the chain is the child of the one before.
func follows(spans map[string]*tracev1.Span, chain []string) bool {
	for i, name := range chain {
		if spans[name] == nil || i > 0 && !bytes.Equal(spans[name].GetParentSpanId(), spans[chain[i-1]].GetSpanId()) {
			return false
		}
	}
	return true
}

// personal looks for phone numbers, addresses and payloads in all spans.
func (c *traceCollector) personal() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.spans) == 0 {
		return errors.New("no spans at all")
	}
	for _, span := range c.spans {
		text := span.String()
		for _, taboo := range []string{"+1500", "+1202", "5005550", "@example.test", "firstName", "city"} {
			if strings.Contains(text, taboo) {
				return errors.New("a span holds " + taboo + ": " + text)
			}
		}
	}
	return nil
}
