package observe

import (
	"io"
	"log/slog"
	"os"
)

// NewLogger returns a logger that writes to w at the given level (debug, info,
// warn, error) as text or json; with no format given, text on a terminal and
// json elsewhere. redact wraps the handler that takes secrets and personal data
// out; it is applied to everything.
func NewLogger(w io.Writer, level, format string, redact func(slog.Handler) slog.Handler) *slog.Logger {
	options := &slog.HandlerOptions{Level: levelOf(level)}
	if format == "" {
		format = "json"
		if isTerminal(w) {
			format = "text"
		}
	}
	var handler slog.Handler = slog.NewJSONHandler(w, options)
	if format == "text" {
		handler = slog.NewTextHandler(w, options)
	}
	return slog.New(redact(TraceHandler(handler)))
}

func levelOf(name string) slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(name)); err != nil {
		return slog.LevelInfo
	}
	return level
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
