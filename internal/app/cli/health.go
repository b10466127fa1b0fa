package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/app"
	"github.com/df-middleware/dfm/internal/egress"
)

func healthCommand() command {
	return command{
		name: "health", summary: "ask a running dfm whether it is alive and ready; exit 1 if not",
		example: "dfm health --url http://127.0.0.1:3002",
		setup: func(flags *flag.FlagSet) runner {
			base := flags.String("url", "", "server to ask (default: where HOST, PORT, WEB_PORT and DFM_ROLES say that this machine's listens)")
			patience := flags.Duration("timeout", 4*time.Second, "how long all answers together may take")
			asJSON := flags.Bool("json", false, "print JSON")
			return func(ctx context.Context, env Environment, args []string) error {
				if len(args) > 0 {
					return usageError("health takes no arguments")
				}
				servers, err := watched(env, *base)
				if err != nil {
					return err
				}
				ctx, cancel := context.WithTimeout(ctx, *patience)
				defer cancel()
				return health(ctx, env, servers, *asJSON)
			}
		},
	}
}

// watched lists the servers to ask: the one that is named, else those of the
// roles that this machine's process has.
func watched(env Environment, base string) ([]string, error) {
	if base != "" {
		if !strings.HasPrefix(base, "http://") && !strings.HasPrefix(base, "https://") {
			return nil, usageError("--url must start with http:// or https://")
		}
		return []string{strings.TrimRight(base, "/")}, nil
	}
	config, err := load(env)
	if err != nil {
		return nil, err
	}
	var ports []int
	if config.Has(app.RoleGateway) {
		ports = append(ports, config.Port)
	}
	if config.Has(app.RoleWeb) || len(ports) == 0 { // who only works says there how it is
		ports = append(ports, config.WebPort)
	}
	var servers []string
	for _, port := range ports {
		if port == 0 {
			return nil, usageError("a port of 0 is any free one: name the server with --url")
		}
		servers = append(servers, "http://"+net.JoinHostPort(reachable(config.Host), strconv.Itoa(port)))
	}
	return servers, nil
}

// reachable is the address at which a server that listens on host answers us.
func reachable(host string) string {
	switch ip := net.ParseIP(host); {
	case ip == nil || !ip.IsUnspecified():
		return host
	case ip.To4() == nil:
		return "::1"
	}
	return "127.0.0.1"
}

type answerView struct {
	URL     string `json:"url"`
	OK      bool   `json:"ok"`
	Message string `json:"message"`
}

func health(ctx context.Context, env Environment, servers []string, asJSON bool) error {
	client := &http.Client{Transport: egress.NewTransport()}
	defer client.CloseIdleConnections()
	var views []answerView
	healthy := true
	for _, server := range servers {
		for _, path := range []string{"/health", "/ready"} {
			view := answerView{URL: server + path, Message: "ok"}
			err := askHealth(ctx, client, view.URL)
			if view.OK = err == nil; err != nil {
				view.Message, healthy = err.Error(), false
			}
			views = append(views, view)
			if !asJSON {
				fmt.Fprintf(env.Stdout, "%s  %s\n", view.URL, view.Message)
			}
		}
	}
	if asJSON {
		if err := printJSON(env.Stdout, views); err != nil {
			return err
		}
	}
	if !healthy {
		return errSilent
	}
	return nil
}

// askHealth wants 200, and tells of anything else which checks have failed.
func askHealth(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return errors.New("does not answer")
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return err
	}
	return errors.New(strings.Join(append([]string{"answers " + strconv.Itoa(response.StatusCode)}, failedChecks(body)...), ", "))
}

// failedChecks names what an answer of /ready blames, in the form of the web app
// or in that of the gateway. Any other body blames nothing.
func failedChecks(body []byte) []string {
	var failed []string
	var web struct {
		Data struct {
			Checks []struct{ Name, Status string }
		}
	}
	_ = json.Unmarshal(body, &web)
	for _, c := range web.Data.Checks {
		if c.Status != "ok" {
			failed = append(failed, c.Name+" "+c.Status)
		}
	}
	var gateway struct {
		Checks map[string]struct {
			Status   string
			Optional bool
		}
	}
	_ = json.Unmarshal(body, &gateway)
	for _, name := range slices.Sorted(maps.Keys(gateway.Checks)) {
		if c := gateway.Checks[name]; c.Status != "ok" && !c.Optional {
			failed = append(failed, name+" "+c.Status)
		}
	}
	return failed
}
