package contest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Limits on what a server may take to start and to stop.
const (
	startWithin = 30 * time.Second
	stopWithin  = 15 * time.Second
)

// command says how to start a server.
type command struct {
	args  []string
	env   []string // all of it: nothing is inherited but PATH and HOME
	dir   string
	ready string // URL that answers 200 once it serves
	log   string // file for what it prints
}

// server is a running one.
type server struct {
	cmd     *exec.Cmd
	log     *os.File
	ended   chan struct{}
	started time.Duration // from exec to the first 200
}

// start starts the server and waits until it is ready.
func start(ctx context.Context, c command) (*server, error) {
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(c.args[0], c.args[1:]...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, c.env...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.dir, log, log
	apart(cmd)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		_ = log.Close()
		return nil, fmt.Errorf("start %s: %w", c.args[0], err)
	}
	s := &server{cmd: cmd, log: log, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(s.ended)
	}()
	if err := s.awaitReady(ctx, c.ready); err != nil {
		s.stop()
		return nil, fmt.Errorf("%s: %w; it printed:\n%s", c.args[0], err, tail(c.log))
	}
	s.started = time.Since(began)
	return s, nil
}

func (s *server) pid() int { return s.cmd.Process.Pid }

func (s *server) awaitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		if status := get(ctx, url); status == http.StatusOK {
			return nil
		}
		select {
		case <-s.ended:
			return errors.New("ended before it was ready")
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", ctx.Err())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// get returns the status of an answer, or 0.
func get(ctx context.Context, url string) int {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	request.Close = true
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return answer.StatusCode
}

// stop ends the server and everything it started: kindly, then not.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(stopWithin):
	}
	killAll(s.cmd)
	<-s.ended
	_ = s.log.Close()
}

// freePort is a loopback port that was free a moment ago.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// tail is the end of a log, for an error.
func tail(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	const most = 2000
	return string(text[max(0, len(text)-most):])
}
