package story

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/sandbox/ghlworld"
)

// Server is the running df-middleware that the story is played on.
type Server interface {
	// Kill ends the process as a power cut would.
	Kill() error
	// Start starts it again on the same database and waits until it is ready.
	Start(ctx context.Context) error
	// WebURL and GatewayURL are where it listens.
	WebURL() string
	GatewayURL() string
	// Command is another command of the same program with the same settings.
	Command(arguments ...string) *exec.Cmd
}

// Stage is everything a step acts on.
type Stage struct {
	World       *sandbox.World
	Server      Server
	AdminSecret string
	GatewayKey  string
	Client      *http.Client

	lead lead             // the person that most steps are about
	text ghlworld.Message // the text that an agent wrote
}

type lead struct{ ghlID, phone string }

// Step is one scene.
type Step struct {
	Name   string // what happens
	Proves string // what it shows when it holds
	play   func(ctx context.Context, s *Stage) (string, error)
}

// Result is how a step went.
type Result struct {
	Step
	Seen string // what was seen, in a few words
	Took time.Duration
	Err  error
}

// stepTime bounds one step.
const stepTime = 40 * time.Second

// Play plays one step. What it returns says what was seen, or why the step did
// not hold.
func (st Step) Play(ctx context.Context, s *Stage) Result {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	start := time.Now()
	seen, err := st.play(ctx, s)
	return Result{Step: st, Seen: seen, Took: time.Since(start), Err: err}
}

// eventually asks until the answer is nil or the time is over, and returns the
// last answer then.
func eventually(ctx context.Context, ask func() error) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}

// call makes one request to the server and decodes its answer.
func (s *Stage) call(ctx context.Context, method, url string, header http.Header, body []byte, to any) (int, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	response, err := s.Client.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	if err == nil && to != nil {
		err = json.Unmarshal(data, to)
	}
	return response.StatusCode, err
}

// admin asks the admin API.
func (s *Stage) admin(ctx context.Context, method, path string, to any) error {
	status, err := s.call(ctx, method, s.Server.WebURL()+path, http.Header{"X-Df-Admin-Secret": {s.AdminSecret}}, nil, to)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s %s answered %d", method, path, status)
	}
	return err
}

// counts returns how many events there are by status, of all sources.
func (s *Stage) counts(ctx context.Context) (map[string]int, error) {
	var answer struct{ Data map[string]map[string]int }
	if err := s.admin(ctx, http.MethodGet, "/api/admin/events/counts", &answer); err != nil {
		return nil, err
	}
	total := map[string]int{}
	for _, bySource := range answer.Data {
		for status, n := range bySource {
			total[status] += n
		}
	}
	return total, nil
}

// quiet waits until no webhook is on its way and no event is open.
func (s *Stage) quiet(ctx context.Context) error {
	if err := s.World.Settle(ctx); err != nil {
		return fmt.Errorf("webhooks are still on their way: %w", err)
	}
	return eventually(ctx, func() error {
		counts, err := s.counts(ctx)
		if err != nil {
			return err
		}
		if open := counts["pending"] + counts["processing"] + counts["error"]; open > 0 {
			return fmt.Errorf("%d events are still open", open)
		}
		return nil
	})
}

// writes counts the calls that changed something at the two sides.
func (s *Stage) writes() int {
	total := 0
	for _, upstream := range []map[string]int{s.World.GHL.Calls(), s.World.Aloware.Calls()} {
		for operation, n := range upstream {
			if contactWrites[operation] {
				total += n
			}
		}
	}
	return total
}

// contactWrites are the operations, by the sandbox's names, that change a
// contact at a side.
var contactWrites = map[string]bool{
	"create contact": true, "update contact": true, "upsert contact": true, "delete contact": true,
	"add tags": true, "remove tags": true, // GHL
	"write contact": true, "disenroll from sequences": true, "remove from lists": true, // Aloware
}
