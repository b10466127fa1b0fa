package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/df-middleware/dfm/internal/egress"
	"github.com/df-middleware/dfm/internal/sandbox"
)

// child is a dfm serve in a process of its own.
type child struct {
	program  string
	folder   string
	env      []string
	web      string
	gateway  string
	log      io.WriteCloser
	process  *exec.Cmd
	finished chan error
}

// newChild prepares a server that is connected to the sandbox and keeps
// everything in the folder.
func newChild(world *sandbox.World, folder, logFile string) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	c := &child{
		program: program, folder: folder,
		gateway: fmt.Sprintf("http://127.0.0.1:%d", ports[0]), web: fmt.Sprintf("http://127.0.0.1:%d", ports[1]),
	}
	if logFile != "" {
		if c.log, err = os.Create(logFile); err != nil {
			return nil, err
		}
	}
	settings, err := world.Env()
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"DATABASE_URL": "sqlite:" + filepath.Join(folder, "dfm.db"), "DFM_SPILL_DIR": filepath.Join(folder, "spill"),
		"HOST": "127.0.0.1", "PORT": strconv.Itoa(ports[0]), "WEB_PORT": strconv.Itoa(ports[1]),
		"DF_ADMIN_SECRET": demoAdmin, "DF_MIDDLEWARE_API_KEY": demoKey,
		"DF_ENCRYPTION_KEY": "ZGVtby1vbmx5LWRlbW8tb25seS1kZW1vLW9ubHktISE=",
		// The sandbox has no budget to protect, and the story no time to lose.
		"GHL_RATE_PER_10S": "20000", "ALOWARE_RATE_PER_SECOND": "2000", "JOB_RETRY_DELAY": "300ms", "LOG_FORMAT": "text", "RECONCILE_INTERVAL": "0", "DFM_MCP_TOOLS": "all",
		"ENABLE_POWER_DIALER_LISTS": "true",
	} {
		settings[name] = value
	}
	c.env = append(c.env, "PATH="+os.Getenv("PATH"), "HOME="+folder)
	for name, value := range settings {
		c.env = append(c.env, name+"="+value)
	}
	return c, nil
}

func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = listener.Close() }()
		ports[i] = listener.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

// WebURL is where the web app listens.
func (c *child) WebURL() string { return c.web }

// GatewayURL is where the gateway listens.
func (c *child) GatewayURL() string { return c.gateway }

// Command is another command of the program, with the same settings.
func (c *child) Command(arguments ...string) *exec.Cmd {
	command := exec.Command(c.program, arguments...)
	command.Env, command.Dir = c.env, c.folder
	if c.log != nil {
		command.Stderr = c.log
	}
	return command
}

// Start starts the process and waits until it is ready.
func (c *child) Start(ctx context.Context) error {
	c.process = exec.Command(c.program, "serve")
	c.process.Env, c.process.Dir = c.env, c.folder
	if c.log != nil {
		c.process.Stderr = c.log
	}
	if err := c.process.Start(); err != nil {
		return fmt.Errorf("start dfm serve: %w", err)
	}
	c.finished = make(chan error, 1)
	go func(p *exec.Cmd, finished chan<- error) { finished <- p.Wait() }(c.process, c.finished)
	return c.ready(ctx)
}

func (c *child) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		if answers(ctx, c.web+"/ready") && answers(ctx, c.gateway+"/health") {
			return nil
		}
		select {
		case err := <-c.finished:
			c.finished <- err
			return fmt.Errorf("dfm serve ended by itself: %w", errors.Join(err, errSilent))
		case <-ctx.Done():
			return errors.New("dfm serve did not become ready")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func answers(ctx context.Context, url string) bool {
	transport := egress.NewTransport()
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// Kill ends the process as a power cut would, and waits for its end.
func (c *child) Kill() error {
	if err := c.process.Process.Kill(); err != nil {
		return err
	}
	<-c.finished
	c.process = nil
	return nil
}

// Stop asks the process to stop in order.
func (c *child) Stop() error {
	var err error
	if c.process != nil {
		err = c.process.Process.Signal(os.Interrupt)
		select {
		case exit := <-c.finished:
			if exit != nil {
				err = errors.Join(err, fmt.Errorf("dfm serve: %w", exit))
			}
		case <-time.After(30 * time.Second):
			err = errors.Join(err, errors.New("dfm serve did not stop"), c.process.Process.Kill())
		}
	}
	if c.log != nil {
		err = errors.Join(err, c.log.Close())
	}
	return err
}
