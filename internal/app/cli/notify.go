package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
)

// tellSupervisor tells systemd how far we are, when it asked for that by
// NOTIFY_SOCKET (Type=notify): one datagram, no library. That it does not hear
// us is no reason to stop.
func tellSupervisor(env Environment, log *slog.Logger, state string) {
	socket, ok := env.Lookup("NOTIFY_SOCKET")
	if !ok || socket == "" {
		return
	}
	if err := notify(socket, state); err != nil {
		log.Warn("systemd could not be told", "state", state, "error", err)
	}
}

// notify sends the state to a datagram socket, whose name begins with @ when it
// is not in the file system.
func notify(socket, state string) (err error) {
	from, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram"}) // the kernel names ours
	if err != nil {
		return fmt.Errorf("open a datagram socket: %w", err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	if _, err := from.WriteToUnix([]byte(state), &net.UnixAddr{Name: socket, Net: "unixgram"}); err != nil {
		return fmt.Errorf("send to NOTIFY_SOCKET: %w", err)
	}
	return nil
}
