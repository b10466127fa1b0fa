package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// reply is an answer of the web app.
type reply struct {
	status     int
	header     http.Header
	body       []byte
	Success    bool
	Status     string
	EventID    string
	Reason     string
	Data       json.RawMessage
	NextCursor *string
	Error      struct{ Code, Message string }
}

var client = &http.Client{
	Timeout:       40 * time.Second,
	Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// request makes one request. Anything but a broken connection is a reply.
func request(ctx context.Context, method, url string, header http.Header, body []byte) (reply, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	for name, values := range header {
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	answer, err := client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(answer.Body, 8<<20))
	if err != nil {
		return reply{}, err
	}
	got := reply{status: answer.StatusCode, header: answer.Header, body: data}
	_ = json.Unmarshal(data, &got) // what is no JSON leaves the fields empty
	return got, nil
}

func call(t *testing.T, method, url string, header http.Header, body string) reply {
	t.Helper()
	got, err := request(t.Context(), method, url, header, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func asAdmin() http.Header { return http.Header{"X-Df-Admin-Secret": {adminSecret}} }

// admin asks the admin API, which must answer 200, and decodes data.
func (p *process) admin(method, path, body string, data any) reply {
	p.t.Helper()
	got := call(p.t, method, p.web()+path, asAdmin(), body)
	if got.status != http.StatusOK || !got.Success {
		p.t.Fatalf("%s %s answered %d %s", method, path, got.status, got.body)
	}
	if data != nil {
		if err := json.Unmarshal(got.Data, data); err != nil {
			p.t.Fatalf("%s %s: %v in %s", method, path, err, got.body)
		}
	}
	return got
}

// eventually asks until the answer is nil, and fails the test with the last
// answer when the time is over.
func eventually(t *testing.T, within time.Duration, ask func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %v: %v", within, err)
		case <-ticker.C:
		}
	}
}

// counts returns the events by source and status, and "received" as their sum.
func (p *process) counts() (map[string]map[string]int, error) {
	got, err := request(p.t.Context(), http.MethodGet, p.web()+"/api/admin/events/counts", asAdmin(), nil)
	if err != nil {
		return nil, err
	}
	var bySource map[string]map[string]int
	return bySource, json.Unmarshal(got.Data, &bySource)
}

// open counts the events that are not finished.
func (p *process) open() (int, error) {
	bySource, err := p.counts()
	total := 0
	for _, counts := range bySource {
		total += counts["pending"] + counts["processing"] + counts["error"]
	}
	return total, err
}

// quiet waits until no event is open and no lane has work.
func (p *process) quiet(within time.Duration) {
	p.t.Helper()
	eventually(p.t, within, func() error {
		open, err := p.open()
		if err != nil || open > 0 {
			return errors.Join(err, fmt.Errorf("%d events are open", open))
		}
		var lanes struct{ WaitingLanes int }
		if p.admin(http.MethodGet, "/api/admin/lanes", "", &lanes); lanes.WaitingLanes > 0 {
			return fmt.Errorf("%d lanes have work", lanes.WaitingLanes)
		}
		return nil
	})
}
