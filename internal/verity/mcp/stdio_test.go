package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	hello       = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}` + "\n"
	initialized = `{"jsonrpc":"2.0","method":"notifications/initialized"}` + "\n"
)

// linesOf returns the messages of an output, each of which must be one line of
// JSON.
func linesOf(t testing.TB, out string) (ids []string) {
	t.Helper()
	for line := range strings.Lines(out) {
		var m struct {
			Version string          `json:"jsonrpc"`
			ID      json.RawMessage `json:"id"`
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil || m.Version != "2.0" {
			t.Errorf("not a message: %q", line)
		}
		if m.ID != nil {
			ids = append(ids, string(m.ID))
		}
	}
	return ids
}

// lastly is a reader that has nothing, and says when it is asked.
type lastly func()

// Read implements io.Reader.
func (f lastly) Read([]byte) (int, error) {
	f()
	return 0, io.EOF
}

func TestAFileOfRequestsIsAnsweredWhole(t *testing.T) {
	r := newRig(t, document, nil)
	ended := make(chan struct{})
	r.upstream.hook = func(http.ResponseWriter, *http.Request) bool {
		<-ended // Verity answers only when the input has ended
		return false
	}
	input := hello + initialized +
		`{"jsonrpc":"2.0","id":2,"method":"tools/list"}` + "\n" +
		`{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"widgets_get"}}` + "\n" +
		`{"jsonrpc":"2.0","id":4,"method":"nothing"}` + "\n"
	var out bytes.Buffer
	if err := r.server.Serve(t.Context(), io.MultiReader(strings.NewReader(input), lastly(func() { close(ended) })), &out); err != nil {
		t.Fatal(err)
	}
	equal(t, "answers", len(linesOf(t, out.String())), 4)
	equal(t, "sent", strings.Join(r.upstream.reached(), ""), "GET /api/widgets")
}

func TestServingEndsWithTheContext(t *testing.T) {
	r := newRig(t, document, nil)
	ctx, cancel := context.WithCancel(t.Context())
	in, feed := io.Pipe()
	defer func() { _ = feed.Close() }()
	done := make(chan error)
	go func() { done <- r.server.Serve(ctx, in, io.Discard) }()
	if _, err := io.WriteString(feed, hello); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoMessageDoesNotHangTheServer(t *testing.T) {
	for _, input := range []string{"", "\n", "no JSON\n", `{"jsonrpc":"2.0"` + "\n", strings.Repeat("x", maxLine+10) + "\n", "[]\n", "\xff\n", hello + "garbage"} {
		r := newRig(t, document, nil)
		var out bytes.Buffer
		_ = r.server.Serve(t.Context(), strings.NewReader(input), &out) // an error or none, but an end
		linesOf(t, out.String())
	}
}

// A client over pipes, as the real binary is used.
func TestAClientOverPipes(t *testing.T) {
	r := newRig(t, document, nil)
	toServer, fromClient := io.Pipe()
	toClient, fromServer := io.Pipe()
	served := make(chan error)
	go func() { served <- r.server.Serve(t.Context(), toServer, fromServer) }()
	session, err := sdk.NewClient(&sdk.Implementation{Name: "t", Version: "1"}, nil).Connect(
		t.Context(), &sdk.IOTransport{Reader: toClient, Writer: fromClient}, nil)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "tools", len(toolNames(t, session)), 9)
	equal(t, "error", call(t, session, listWidgets, `{}`).IsError, false)
	if err := session.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
