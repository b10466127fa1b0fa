package stage

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// server listens for a stage on loopback.
type server struct {
	handler http.Handler

	mu   sync.Mutex
	http *http.Server
	url  string
	done chan struct{}
}

// Listen serves the upstream on the given address, "127.0.0.1:0" when empty,
// until Close. It refuses addresses that are not loopback: a sandbox holds no
// secrets and takes orders from anybody.
func (s *Stage) Listen(ctx context.Context, address string) error {
	if address == "" {
		address = "127.0.0.1:0"
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("listen for %s: %w", s.config.Name, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("listen for %s: %s is not a loopback address", s.config.Name, host)
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if s.server.http != nil {
		return fmt.Errorf("listen for %s: already listening", s.config.Name)
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen for %s: %w", s.config.Name, err)
	}
	s.server.serve(listener)
	return nil
}

func (v *server) serve(listener net.Listener) {
	v.http = &http.Server{Handler: v.handler, ReadHeaderTimeout: 10 * time.Second}
	v.url = "http://" + listener.Addr().String()
	v.done = make(chan struct{})
	go func(srv *http.Server, done chan struct{}) {
		defer close(done)
		_ = srv.Serve(listener) // ends with ErrServerClosed
	}(v.http, v.done)
}

// URL returns where the upstream listens, without a trailing slash, or "" when
// it does not.
func (s *Stage) URL() string {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	return s.server.url
}

// Close stops listening, ends open connections and drops webhooks that are
// still on their way. It returns when all goroutines of the stage are gone.
func (s *Stage) Close() error {
	s.mail.close()
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if s.server.http == nil {
		return nil
	}
	err := s.server.http.Close()
	<-s.server.done
	s.server.http, s.server.url = nil, ""
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("stop %s: %w", s.config.Name, err)
	}
	return nil
}
