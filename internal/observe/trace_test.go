package observe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/df-middleware/dfm/internal/df"
)

const stranger = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestATurnGoesOnWithTheTraceOfItsEvent(t *testing.T) {
	memory := tracetest.NewInMemoryExporter()
	tracer, err := NewTracer(t.Context(), TraceConfig{Exporter: memory, Service: "dfm"})
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequest(http.MethodPost, "/api/webhooks/ghl", nil)
	request.Header.Set("Traceparent", stranger)
	ctx, span := tracer.Arrive(request, "web")
	kept := Traceparent(ctx)
	span.End("")
	turn, span := tracer.Resume(t.Context(), "lane turn", []string{kept, stranger, "nonsense"})
	_, call := Start(turn, "ghl get contact")
	call.End("timeout")
	span.End("")
	if err := tracer.provider.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := memory.GetSpans()
	if len(spans) != 3 {
		t.Fatalf("%d spans", len(spans))
	}
	byName := map[string]tracetest.SpanStub{}
	for _, s := range spans {
		byName[s.Name] = s
		if s.SpanContext.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("%s is in another trace", s.Name)
		}
	}
	if byName["lane turn"].Parent.SpanID() != byName["web"].SpanContext.SpanID() || len(byName["lane turn"].Links) == 0 {
		t.Error("the turn does not follow from the webhook, or has no link to the other event")
	}
	if byName["ghl get contact"].Status.Description != "timeout" {
		t.Error("a call that failed looks well")
	}
}

func TestWithoutACollectorThereAreIdsAndNothingElse(t *testing.T) {
	tracer, err := NewTracer(t.Context(), TraceConfig{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, span := tracer.Arrive(httptest.NewRequest(http.MethodGet, "/", nil), "web")
	if Traceparent(ctx) == "" || span.span.IsRecording() {
		t.Error("no id, or a recording that nobody reads")
	}
	var none *Tracer
	if _, span := none.Resume(t.Context(), "turn", nil); span != nil {
		t.Error("no tracer makes a span")
	}
	var nobody *Span
	nobody.Text("a", "b")
	nobody.End("")
}

func TestLogLinesNameTraceAndEvent(t *testing.T) {
	tracer, err := NewTracer(t.Context(), TraceConfig{})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	log := NewLogger(&out, "info", "json", func(h slog.Handler) slog.Handler { return h }).With("room", "queue")
	ctx, _ := tracer.Resume(t.Context(), "turn", []string{stranger})
	log.InfoContext(WithEvent(ctx, "event-1"), "worked")
	var line map[string]string
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line["trace_id"] != "0af7651916cd43dd8448eb211c80319c" || line["event_id"] != "event-1" || line["room"] != "queue" {
		t.Errorf("%s, %v", out.String(), err)
	}
}

func TestFailuresAreCodesNotTexts(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""}, {&df.CallError{Code: "rate_limited", Message: "secret"}, "rate_limited"}, {&df.Error{Code: "OPTED_OUT"}, "OPTED_OUT"},
		{context.Canceled, "canceled"}, {errors.New("+15005550111 is wrong"), "error"},
	} {
		if got := FailureOf(c.err); got != c.want {
			t.Errorf("FailureOf(%v) = %q", c.err, got)
		}
	}
}

// trip answers every request.
type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestOnlyOurOwnSystemsAreToldOfTheTrace(t *testing.T) {
	tracer, err := NewTracer(t.Context(), TraceConfig{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, _ := tracer.Resume(t.Context(), "turn", []string{stranger})
	for _, tell := range []bool{true, false} {
		var got string
		next := trip(func(r *http.Request) (*http.Response, error) {
			got = r.Header.Get("Traceparent")
			return &http.Response{StatusCode: 502, Body: http.NoBody}, nil
		})
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://verity.example.test/", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := Transport("verity", tell, next).RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if strings.HasPrefix(got, "00-0af7651916cd43dd8448eb211c80319c-") != tell || request.Header.Get("Traceparent") != "" {
			t.Errorf("tell %v: the other side heard %q", tell, got)
		}
	}
}
