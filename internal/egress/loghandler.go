package egress

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
)

// RedactHandler returns a slog.Handler that takes secrets, phone numbers and
// e-mail addresses out of messages and attributes before the next handler sees
// them. Attributes whose key names a credential are hidden whole, whatever their
// value. Numbers, times and durations pass as they are.
func RedactHandler(next slog.Handler, redactor *Redactor) slog.Handler {
	return &redactHandler{next: next, redactor: redactor}
}

type redactHandler struct {
	next     slog.Handler
	redactor *Redactor
}

// Enabled implements slog.Handler.
func (h *redactHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler. A record in which nothing is to be hidden is
// handed on without a copy.
func (h *redactHandler) Handle(ctx context.Context, record slog.Record) error {
	message := h.redactor.Text(record.Message)
	clean := message == record.Message
	attrs := make([]slog.Attr, 0, 16)
	record.Attrs(func(attr slog.Attr) bool {
		redacted, changed := h.attr(attr)
		attrs = append(attrs, redacted)
		clean = clean && !changed
		return true
	})
	if clean {
		return h.next.Handle(ctx, record)
	}
	copied := slog.NewRecord(record.Time, record.Level, message, record.PC)
	copied.AddAttrs(attrs...)
	return h.next.Handle(ctx, copied)
}

// WithAttrs implements slog.Handler.
func (h *redactHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &redactHandler{next: h.next.WithAttrs(h.attrs(attrs)), redactor: h.redactor}
}

// WithGroup implements slog.Handler.
func (h *redactHandler) WithGroup(name string) slog.Handler {
	return &redactHandler{next: h.next.WithGroup(name), redactor: h.redactor}
}

func (h *redactHandler) attrs(attrs []slog.Attr) []slog.Attr {
	redacted := make([]slog.Attr, len(attrs))
	for i, attr := range attrs {
		redacted[i], _ = h.attr(attr)
	}
	return redacted
}

// attr returns the attribute as it may be written, and whether that differs.
func (h *redactHandler) attr(attr slog.Attr) (slog.Attr, bool) {
	value := attr.Value.Resolve()
	changed := attr.Value.Kind() == slog.KindLogValuer
	if value.Kind() != slog.KindGroup && sensitive(attr.Key) != harmless {
		return slog.String(attr.Key, hiddenSecret), true
	}
	switch value.Kind() {
	case slog.KindString:
		text := h.redactor.Text(value.String())
		return slog.String(attr.Key, text), changed || text != value.String()
	case slog.KindGroup:
		group := h.attrs(value.Group())
		return slog.Attr{Key: attr.Key, Value: slog.GroupValue(group...)}, true
	case slog.KindAny:
		value, hidden := h.any(value)
		return slog.Attr{Key: attr.Key, Value: value}, changed || hidden
	default:
		return slog.Attr{Key: attr.Key, Value: value}, changed
	}
}

// any judges a value by its printed form: when that holds something to hide,
// the redacted print takes the value's place. Values that a JSON handler would
// write out are judged in that form too, which follows pointers.
func (h *redactHandler) any(value slog.Value) (slog.Value, bool) {
	var printed string
	switch v := value.Any().(type) {
	case error:
		printed = v.Error()
	case []byte:
		printed = string(v)
	default:
		printed = fmt.Sprintf("%+v", v)
		if encoded, err := json.Marshal(v); err == nil && h.redactor.Text(string(encoded)) != string(encoded) {
			printed = string(encoded)
		}
	}
	text := h.redactor.Text(printed)
	if text == printed {
		return value, false
	}
	return slog.StringValue(text), true
}
