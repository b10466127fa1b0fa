package observe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/df-middleware/dfm/internal/df"
)

// TraceConfig says where traces go. The zero value makes ids only, for logs and
// for the events that are kept.
type TraceConfig struct {
	Endpoint string                // OTLP over HTTP, without /v1/traces; empty exports nothing
	Traces   string                // the whole URL for traces, instead of Endpoint
	Headers  df.Secret             // "name=value,…", as in OTEL_EXPORTER_OTLP_HEADERS
	Service  string                // service.name
	Resource string                // "name=value,…", as in OTEL_RESOURCE_ATTRIBUTES
	Sampler  string                // as in OTEL_TRACES_SAMPLER; "" is always_on
	Ratio    float64               // for the samplers that take one
	Version  string                // of the program
	Client   *http.Client          // makes the exporter's calls
	Exporter sdktrace.SpanExporter // instead of OTLP, for tests
}

// Tracer makes traces: every webhook and every other request has one, and the
// turn of a lane goes on with that of its event, up to the last call.
//
// Attributes are words of our own, ids of ours and status codes: never a phone
// number, an address, a path or a body.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

const scope = "github.com/df-middleware/dfm"

// NewTracer returns a tracer. Nothing is sent while it is made; a collector that
// is away costs spans, nothing else.
func NewTracer(ctx context.Context, c TraceConfig) (*Tracer, error) {
	exporter, err := c.exporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("export traces: %w", err)
	}
	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(resource.NewSchemaless(c.attributes()...))}
	sampler := sdktrace.NeverSample()
	if exporter != nil {
		sampler = c.sampler()
		options = append(options, sdktrace.WithBatcher(exporter))
	}
	// A stranger's traceparent is continued, but whether to keep it is ours to say.
	options = append(options, sdktrace.WithSampler(sdktrace.ParentBased(sampler,
		sdktrace.WithRemoteParentSampled(sampler), sdktrace.WithRemoteParentNotSampled(sampler))))
	provider := sdktrace.NewTracerProvider(options...)
	return &Tracer{provider, provider.Tracer(scope)}, nil
}

func (c TraceConfig) exporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	if c.Exporter != nil {
		return c.Exporter, nil
	}
	address := c.Traces
	if address == "" && c.Endpoint != "" {
		address = strings.TrimRight(c.Endpoint, "/") + "/v1/traces"
	}
	if address == "" {
		return nil, nil
	}
	options := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(address), otlptracehttp.WithHTTPClient(c.Client)}
	if c.Headers.Set() {
		options = append(options, otlptracehttp.WithHeaders(pairs(c.Headers.Reveal())))
	}
	return otlptracehttp.New(ctx, options...)
}

func (c TraceConfig) sampler() sdktrace.Sampler {
	switch strings.TrimPrefix(c.Sampler, "parentbased_") {
	case "always_off":
		return sdktrace.NeverSample()
	case "traceidratio":
		return sdktrace.TraceIDRatioBased(c.Ratio)
	default:
		return sdktrace.AlwaysSample()
	}
}

func (c TraceConfig) attributes() []attribute.KeyValue {
	named := []attribute.KeyValue{attribute.String("service.name", c.Service), attribute.String("service.version", c.Version)}
	for name, value := range pairs(c.Resource) {
		named = append(named, attribute.String(name, value))
	}
	return named
}

// pairs reads "name=value,name=value".
func pairs(text string) map[string]string {
	found := map[string]string{}
	for item := range strings.SplitSeq(text, ",") {
		if name, value, ok := strings.Cut(item, "="); ok {
			found[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return found
}

// Stop sends what is left.
func (t *Tracer) Stop(ctx context.Context) error { return t.provider.Shutdown(ctx) }

// Arrive begins the span of a request that came in. A valid traceparent of the
// sender is continued.
func (t *Tracer) Arrive(r *http.Request, name string) (context.Context, *Span) {
	if t == nil {
		return r.Context(), nil
	}
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer))
	return ctx, &Span{span}
}

// Resume goes on with the traces that were kept with some events: as their
// child, where there is one, and linked to all others.
func (t *Tracer) Resume(ctx context.Context, name string, kept []string) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer)}
	for i, traceparent := range kept {
		from := propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
		if i == 0 {
			ctx = from
			continue
		}
		options = append(options, trace.WithLinks(trace.LinkFromContext(from)))
	}
	ctx, span := t.tracer.Start(ctx, name, options...)
	return ctx, &Span{span}
}

// Start begins a span within that of the context. Without one there, nothing is
// recorded.
func Start(ctx context.Context, name string) (context.Context, *Span) {
	ctx, span := trace.SpanFromContext(ctx).TracerProvider().Tracer(scope).Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient))
	return ctx, &Span{span}
}

// Current returns the span of the context, to which something may be noted.
func Current(ctx context.Context) *Span { return &Span{trace.SpanFromContext(ctx)} }

// Span is one stretch of a trace. A nil Span takes everything and does nothing.
type Span struct{ span trace.Span }

// Text notes a word of ours.
func (s *Span) Text(name, value string) {
	if s != nil && value != "" {
		s.span.SetAttributes(attribute.String(name, value))
	}
}

// Number notes a number.
func (s *Span) Number(name string, value int) {
	if s != nil {
		s.span.SetAttributes(attribute.Int(name, value))
	}
}

// Rename gives the span the name that was not known when it began.
func (s *Span) Rename(name string) {
	if s != nil {
		s.span.SetName(name)
	}
}

// End ends the span: with a code in words of our own when it failed.
func (s *Span) End(failure string) {
	if s == nil {
		return
	}
	if failure != "" {
		s.span.SetStatus(codes.Error, failure)
	}
	s.span.End()
}

// FailureOf is the code of an error, for Span.End. Its text stays in the log.
func FailureOf(err error) string {
	var call *df.CallError
	var known *df.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &call):
		return call.Code
	case errors.As(err, &known):
		return known.Code
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "canceled"
	}
	return "error"
}

// Traceparent returns the place of the context's span in its trace, as W3C
// writes it, or "".
func Traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier["traceparent"]
}

// Transport makes a span of every request that passes, and tells the other side
// where it belongs when tell is set. The span ends with the answer's headers.
func Transport(upstream string, tell bool, next http.RoundTripper) http.RoundTripper {
	return tracedTransport{upstream, tell, next}
}

type tracedTransport struct {
	upstream string
	tell     bool
	next     http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t tracedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, span := Start(r.Context(), t.upstream+" "+boundedMethod(r.Method))
	span.Text("dfm.upstream", t.upstream)
	span.Text("http.request.method", boundedMethod(r.Method))
	r = r.WithContext(ctx)
	if here := Traceparent(ctx); t.tell && here != "" {
		r.Header = r.Header.Clone()
		if r.Header == nil {
			r.Header = http.Header{}
		}
		r.Header.Set("Traceparent", here)
	}
	response, err := t.next.RoundTrip(r)
	if err != nil {
		span.End("unreachable")
		return nil, err
	}
	span.Number("http.response.status_code", response.StatusCode)
	failure := ""
	if response.StatusCode >= http.StatusInternalServerError {
		failure = strconv.Itoa(response.StatusCode)
	}
	span.End(failure)
	return response, nil
}
