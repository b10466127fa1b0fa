package cli

import (
	"bytes"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestSystemdIsTold(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("systemd is Linux's")
	}
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), "@dfm-test-notify-" + t.Name()} {
		supervisor, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = supervisor.Close() }()
		env := Environment{Lookup: overlay(none, "NOTIFY_SOCKET", name)}
		for _, state := range []string{"READY=1", "STOPPING=1"} {
			tellSupervisor(env, slog.New(slog.DiscardHandler), state)
			heard := make([]byte, 64)
			n, err := supervisor.Read(heard)
			if err != nil || string(heard[:n]) != state {
				t.Errorf("%s: systemd heard %q, %v", name, heard[:n], err)
			}
		}
	}
}

func TestWithoutSystemdNothingIsSaidAndADeafOneIsNoFailure(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	tellSupervisor(Environment{Lookup: none}, logger, "READY=1")
	if log.Len() > 0 {
		t.Errorf("logged %s", &log)
	}
	gone := filepath.Join(t.TempDir(), "gone")
	tellSupervisor(Environment{Lookup: overlay(none, "NOTIFY_SOCKET", gone)}, logger, "READY=1")
	if !strings.Contains(log.String(), "could not be told") {
		t.Errorf("logged %q", &log)
	}
}

// none is an environment without any variable.
func none(string) (string, bool) { return "", false }
