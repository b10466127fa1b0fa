package observe

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// TraceHandler adds to every line that is written within a trace the ids by
// which it is found: trace_id, span_id, and event_id where an event is worked.
func TraceHandler(next slog.Handler) slog.Handler { return traceHandler{next} }

type traceHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h traceHandler) Handle(ctx context.Context, record slog.Record) error {
	if here := trace.SpanContextFromContext(ctx); here.IsValid() {
		record.AddAttrs(slog.String("trace_id", here.TraceID().String()), slog.String("span_id", here.SpanID().String()))
	}
	if id, ok := ctx.Value(eventKey{}).(string); ok {
		record.AddAttrs(slog.String("event_id", id))
	}
	return h.Handler.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (h traceHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return traceHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h traceHandler) WithGroup(name string) slog.Handler {
	return traceHandler{h.Handler.WithGroup(name)}
}

type eventKey struct{}

// WithEvent returns a context whose log lines name the event.
func WithEvent(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, eventKey{}, id)
}
