package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// settings are environment variables.
type settings map[string]string

func (s settings) with(more settings) settings {
	all := maps.Clone(s)
	maps.Copy(all, more)
	return all
}

// list is the environment of a process, which inherits nothing else. Whatever
// is secret in it is noted.
func (s settings) list() []string {
	env := []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range s {
		env = append(env, name+"="+value)
		if isSecret(name) {
			journal.secret(name, value)
		}
	}
	return env
}

func isSecret(name string) bool {
	if strings.HasSuffix(name, "_FILE") || strings.Contains(name, "PUBLIC") || strings.Contains(name, "RATE") {
		return false
	}
	for _, word := range []string{"SECRET", "TOKEN", "PASS", "_KEY", "BEARER"} {
		if strings.Contains(name, word) && name != "CLERK_TOKEN_TTL" && name != "GHL_ASSIGNED_AGENT_FIELD_KEY" {
			return true
		}
	}
	return false
}

const (
	adminSecret = "e2e-admin-secret-91"
	jobsSecret  = "e2e-jobs-secret-92"
	gatewayKey  = "e2e-gateway-key-93"
	sealKey     = "ZTJlLW9ubHktZTJlLW9ubHktZTJlLW9ubHktZTJlISE=" // 32 bytes
)

// basics are the settings that every server here has. Retries come soon, and
// ports are free ones.
func basics(databaseURL, folder string) settings {
	return settings{
		"DATABASE_URL": databaseURL, "DFM_SPILL_DIR": filepath.Join(folder, "spill"), "HOST": "127.0.0.1",
		"PORT": "0", "WEB_PORT": "0", "DF_ADMIN_SECRET": adminSecret, "X_DF_JOBS_SECRET": jobsSecret,
		"DF_MIDDLEWARE_API_KEY": gatewayKey, "DF_ENCRYPTION_KEY": sealKey, "JOB_RETRY_DELAY": "200ms",
		"GHL_RATE_PER_10S": "20000", "ALOWARE_RATE_PER_SECOND": "2000", "LOG_FORMAT": "json", "LOG_LEVEL": "debug",
		"DFM_WORKERS": "16", "HOME": folder,
	}
}

// process is one dfm serve.
type process struct {
	t      *testing.T
	env    settings
	args   []string
	folder string

	mu      sync.Mutex
	command *exec.Cmd
	ended   chan error
	urls    map[string]string // by server, while it runs
	lines   []string
	news    chan struct{} // closed and replaced with every line
}

// serve starts a dfm serve and waits until it is ready. It is stopped when the
// test ends.
func serve(t *testing.T, env settings, args ...string) *process {
	t.Helper()
	p := newProcess(t, env, args...)
	p.start()
	return p
}

func newProcess(t *testing.T, env settings, args ...string) *process {
	p := &process{t: t, env: env, args: append([]string{"serve"}, args...), folder: t.TempDir(), news: make(chan struct{})}
	t.Cleanup(func() {
		if p.running() {
			p.kill()
		}
	})
	return p
}

func (p *process) start() {
	p.t.Helper()
	if err := p.tryStart(); err != nil {
		p.t.Fatal(err)
	}
}

// tryStart starts the process and returns when it says that it is ready, or why
// it ended before.
func (p *process) tryStart() error {
	p.mu.Lock()
	p.urls = map[string]string{}
	seen := len(p.lines)
	command := exec.Command(program, p.args...)
	command.Env, command.Dir = p.env.list(), p.folder
	reader, writer := io.Pipe()
	command.Stderr = writer
	err := command.Start()
	if err != nil {
		p.mu.Unlock()
		return fmt.Errorf("start dfm: %w", err)
	}
	ended := make(chan error, 1)
	p.command, p.ended = command, ended
	p.mu.Unlock()
	var reading sync.WaitGroup
	reading.Go(func() { p.read(reader) })
	go func() {
		err := command.Wait()
		_ = writer.Close()
		reading.Wait()
		ended <- err
	}()
	return p.ready(seen, ended)
}

func (p *process) ready(seen int, ended chan error) error {
	deadline := time.After(30 * time.Second)
	for {
		news := p.changed()
		if slices.ContainsFunc(p.log()[seen:], func(line string) bool { return message(line) == "ready" }) {
			return nil
		}
		select {
		case err := <-ended:
			ended <- err
			return fmt.Errorf("dfm serve ended by itself: %w\n%s", errors.Join(err), strings.Join(p.log()[seen:], "\n"))
		case <-deadline:
			return errors.New("dfm serve did not become ready")
		case <-news:
		}
	}
}

// read takes the process's log in, line by line.
func (p *process) read(from io.Reader) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		journal.add(line)
		var entry struct{ Msg, Server, Address string }
		_ = json.Unmarshal([]byte(line), &entry)
		p.mu.Lock()
		p.lines = append(p.lines, line)
		if entry.Msg == "listening" {
			p.urls[entry.Server] = "http://" + entry.Address
		}
		close(p.news)
		p.news = make(chan struct{})
		p.mu.Unlock()
	}
}

func message(line string) string {
	var entry struct{ Msg string }
	_ = json.Unmarshal([]byte(line), &entry)
	return entry.Msg
}

func (p *process) changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.news
}

func (p *process) log() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.lines)
}

// said counts the log entries with the message.
func (p *process) said(text string) int {
	n := 0
	for _, line := range p.log() {
		if message(line) == text {
			n++
		}
	}
	return n
}

// url is where a server listens, or "" while the process does not run.
func (p *process) url(server string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.urls[server]
}

func (p *process) web() string { return p.url("web") }

func (p *process) pid() int { return p.command.Process.Pid }

func (p *process) running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.command != nil
}

// kill ends the process as a power cut would.
func (p *process) kill() {
	p.t.Helper()
	p.end(syscall.SIGKILL, 10*time.Second)
}

// stop asks the process to stop in order and returns how long that took.
func (p *process) stop() time.Duration {
	p.t.Helper()
	asked := time.Now()
	if err := p.end(syscall.SIGTERM, 40*time.Second); err != nil {
		p.t.Errorf("dfm serve did not end in order: %v", err)
	}
	return time.Since(asked)
}

func (p *process) end(signal os.Signal, within time.Duration) error {
	p.t.Helper()
	p.mu.Lock()
	command, ended := p.command, p.ended
	p.command, p.urls = nil, nil
	p.mu.Unlock()
	if err := command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(within):
		_ = command.Process.Kill()
		p.t.Fatalf("dfm serve did not end within %v of %v", within, signal)
	}
	return nil
}

// outcome is how a command ended.
type outcome struct {
	code           int
	stdout, stderr string
}

// dfm runs a command to its end in a folder of its own.
func dfm(t *testing.T, env settings, args ...string) outcome {
	t.Helper()
	return dfmIn(t, t.TempDir(), env, args...)
}

func dfmIn(t *testing.T, folder string, env settings, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, program, args...)
	command.Env, command.Dir = env.list(), folder
	var stdout, stderr strings.Builder
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	for line := range strings.Lines(stderr.String()) {
		journal.add(line)
	}
	return outcome{command.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}
