//go:build prism

package ghl

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
)

// The contract test: every operation of the client against Prism, which checks
// requests by GHL's own OpenAPI. It needs node and npm; script/prism installs
// Prism on first use. What the specification gets wrong is overridden by name
// below. What it cannot check (unknown properties, the search, errors) is the
// matter of the fake.

// prism routes calls to one mock per document and keeps what it had against them.
type prism struct {
	urls     map[string]string // by the first segment of the path
	verdicts []verdict
}

type verdict struct {
	call       egress.Call
	status     int
	violations []string // of the request; those of the document's own examples are left out
}

func (p *prism) Do(ctx context.Context, call egress.Call) (egress.Answer, error) {
	path := strings.TrimPrefix(call.URL, BaseURL)
	document := strings.Split(strings.Trim(path, "/"), "/")[0]
	call.URL = p.urls[document] + path
	answer, err := directCaller{}.Do(ctx, call)
	p.verdicts = append(p.verdicts, verdict{call, answer.Status, requestViolations(answer.Header)})
	return answer, err
}

func requestViolations(header http.Header) []string {
	var all []struct {
		Location []string `json:"location"`
		Message  string   `json:"message"`
	}
	var found []string
	if json.Unmarshal([]byte(header.Get("Sl-Violations")), &all) != nil {
		return nil
	}
	for _, v := range all {
		if len(v.Location) > 0 && v.Location[0] == "request" {
			found = append(found, strings.Join(v.Location, ".")+": "+v.Message)
		}
	}
	return found
}

func startPrism(t *testing.T, documents ...string) *prism {
	t.Helper()
	script, err := filepath.Abs("../../script/prism")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(script, "--install").CombinedOutput(); err != nil {
		t.Fatalf("install Prism: %v\n%s", err, out)
	}
	p := &prism{urls: make(map[string]string)}
	for _, document := range documents {
		p.urls[document] = startMock(t, script, filepath.Join("testdata", "openapi", "apps", document+".json"))
	}
	return p
}

// startMock starts one mock and waits until it says that it listens.
func startMock(t *testing.T, script, file string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	command := exec.Command(script, "mock", "-h", "127.0.0.1", "-p", fmt.Sprint(port), file)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout, command.Stderr = write, write
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	ready, said := make(chan bool, 1), &strings.Builder{}
	go func() {
		lines := bufio.NewScanner(io.TeeReader(read, said))
		for lines.Scan() {
			if strings.Contains(lines.Text(), "Prism is listening") {
				ready <- true
				_, _ = io.Copy(io.Discard, read)
				return
			}
		}
		ready <- false
	}()
	select {
	case ok := <-ready:
		if !ok {
			t.Fatalf("Prism did not start on %s:\n%s", file, said)
		}
	case <-time.After(time.Minute):
		t.Fatalf("Prism says nothing about %s", file)
	}
	return fmt.Sprintf("http://127.0.0.1:%d", port)
}

func TestEveryOperationKeepsToGHLsOpenAPI(t *testing.T) {
	p := startPrism(t, "contacts", "conversations", "locations", "users", "oauth")
	c := stubClient(t, p)
	ctx, when := t.Context(), time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	yes := true
	// dateOfBirth, and numbers in custom fields, are typed as objects in the
	// document: left out. Custom fields need an id there: we always send it.
	contact := NewContact{FirstName: "Dana", LastName: "Reyes", Email: "dana@example.test", Phone: "+15005550111", Address1: "1 Main St",
		City: "Tampa", State: "FL", PostalCode: "33601", Country: "US", Website: "https://example.test", Timezone: "America/New_York",
		CompanyName: "Reyes LLC", Source: "aloware", AssignedTo: "u1", DND: &yes,
		DNDSettings:  DNDSettings{ChannelSMS: {Status: DNDActive, Message: "STOP", Code: "103"}, ChannelCall: {Status: DNDInactive}},
		CustomFields: []CustomValue{{ID: "cf1", Value: "A-77"}, {ID: "cf3", Value: []string{"law", "tax"}}}}
	update := ContactUpdate{FirstName: Set("Dana"), LastName: Set(""), Email: Set(""), Phone: Set("+15005550111"), Address1: Set(""),
		City: Set("Tampa"), State: Set(""), PostalCode: Text(Set("")), Country: Text(Set("US")), Website: Set(""), Timezone: Set(""),
		AssignedTo: Set(""), DNDSettings: contact.DNDSettings, CustomFields: contact.CustomFields}
	call := &CallData{From: "+15005550111", To: "+15005550112", Status: "completed"}
	operations := map[string]func() error{
		"get contact":    func() error { _, err := c.GetContact(ctx, "c1"); return ignoring(err, CodeForbidden) }, // the example is of another location
		"create contact": func() error { _, err := c.CreateContact(ctx, contact, []string{"hot"}); return err },
		"upsert contact": func() error { _, _, err := c.UpsertContact(ctx, contact); return ignoring(err, df.CodeNotWritten) },
		"update contact": func() error { return c.UpdateContact(ctx, "c1", update) },
		"delete contact": func() error { return c.DeleteContact(ctx, "c1") },
		"add tags":       func() error { return c.AddTags(ctx, "c1", []string{"hot"}) },
		"remove tags":    func() error { return c.RemoveTags(ctx, "c1", []string{"hot"}) },
		// These two have no response schema: the mock's answer is empty.
		"find duplicate contact": func() error {
			_, err := c.FindDuplicate(ctx, "+15005550111", "dana@example.test")
			return ignoring(err, df.CodeGarbled)
		},
		"search contacts": func() error {
			_, _, err := c.SearchContacts(ctx, SearchQuery{})
			return ignoring(err, df.CodeGarbled)
		},
		"list notes": func() error { _, err := c.ListNotes(ctx, "c1"); return err },
		"get note":   func() error { _, err := c.GetNote(ctx, "c1", "n1"); return err },
		"create note": func() error {
			_, err := c.CreateNote(ctx, "c1", NoteDraft{Body: "x", UserID: "u1", Title: "t"})
			return err
		},
		"update note": func() error { return c.UpdateNote(ctx, "c1", "n1", NoteDraft{Body: "y"}) },
		"delete note": func() error { return c.DeleteNote(ctx, "c1", "n1") },
		"get location": func() error {
			location, err := c.GetLocation(ctx)
			if err == nil && (location.CompanyID == "" || location.Timezone == "") {
				return fmt.Errorf("read %+v", location)
			}
			return err
		},
		"list custom fields": func() error { _, err := c.ListCustomFields(ctx); return err },
		"list tags":          func() error { _, err := c.ListTags(ctx); return err },
		"search users":       func() error { _, _, err := c.SearchUsers(ctx, UserQuery{CompanyID: "co1"}); return err },
		"get user":           func() error { _, err := c.GetUser(ctx, "u1"); return err },
		"search conversations": func() error {
			_, err := c.FindConversation(ctx, "c1")
			return ignoring(err, df.CodeNotFound) // the example is another contact's
		},
		"create conversation": func() error { _, err := c.CreateConversation(ctx, "c1"); return err },
		// The document wants all three ids and types direction as an object.
		"add inbound message": func() error {
			_, err := c.AddInbound(ctx, InboundMessage{Type: "Call", ConversationID: "v1", ContactID: "c1", ProviderID: "p1", Body: "x",
				AltID: "x1", Date: when, Attachments: []string{"https://example.test/a.mp3"}, Call: call})
			return err
		},
		"add external call": func() error {
			_, err := c.AddExternalCall(ctx, ExternalCall{ConversationID: "v1", ProviderID: "p1", AltID: "x1", Date: when, Call: call})
			return err
		},
		"set message status": func() error {
			return c.SetMessageStatus(ctx, "m1", "failed", &StatusError{"1", "carrier", "no route"})
		},
		"set attachments": func() error { return c.SetAttachments(ctx, "m1", []string{"https://example.test/a.mp3"}) },
		"get message":     func() error { _, err := c.GetMessage(ctx, "m1"); return err },
		// The document allows one type; the API takes a comma list.
		"list messages": func() error { _, _, err := c.ListMessages(ctx, "v1", "m0", "TYPE_SMS"); return err },
		"export messages": func() error {
			_, _, err := c.ExportMessages(ctx, ExportQuery{ContactID: "c1", Channel: "SMS", Since: when, Until: when, ByUpdate: true, OldestFirst: true})
			return err
		},
	}
	for name, operate := range operations {
		t.Run(name, func(t *testing.T) { checkOne(t, p, name, operate) })
	}
	app := prismApp(t, p)
	t.Run("exchange OAuth code", func(t *testing.T) {
		checkOne(t, p, "exchange OAuth code", func() error { _, err := app.codeGrant(ctx, "code"); return err })
	})
	t.Run("refresh OAuth token", func(t *testing.T) {
		checkOne(t, p, "refresh OAuth token", func() error { _, err := app.refreshGrant(ctx, "refresh", "Location"); return err })
	})
	t.Run("get location token", func(t *testing.T) {
		checkOne(t, p, "get location token", func() error { _, err := app.locationGrant(ctx, "access", "co1", "loc1"); return err })
	})
	t.Run("the mock does refuse", func(t *testing.T) { checkRefusals(t, p) })
}

func prismApp(t *testing.T, p *prism) *App {
	t.Helper()
	app, err := NewApp(AppOptions{ClientID: "app1-x", ClientSecret: "s", RedirectURI: "https://example.test/oauth",
		StateKey: "0123456789abcdef", Caller: p, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// ignoring lets pass an error that stems from the mock's example, not from us.
func ignoring(err error, code string) error {
	if df.IsCode(err, code) {
		return nil
	}
	return err
}

func checkOne(t *testing.T, p *prism, name string, operate func() error) {
	t.Helper()
	before := len(p.verdicts)
	if err := operate(); err != nil {
		t.Errorf("%v", err)
	}
	if len(p.verdicts) != before+1 {
		t.Fatalf("%d calls", len(p.verdicts)-before)
	}
	got := p.verdicts[before]
	if got.call.Operation != name || got.status < 200 || got.status > 299 || len(got.violations) > 0 {
		t.Errorf("%s %s: status %d, %s", got.call.Method, got.call.URL, got.status, strings.Join(got.violations, "; "))
	}
}

// checkRefusals proves that a pass means something.
func checkRefusals(t *testing.T, p *prism) {
	t.Helper()
	bare, err := NewClient(ClientOptions{Caller: p, Credentials: PIT(fakeToken), LocationID: "loc1",
		Versions: Versions{FamilyContacts: "2021-04-15", FamilyConversations: "2021-07-28"}})
	if err != nil {
		t.Fatal(err)
	}
	c := stubClient(t, p)
	for name, operate := range map[string]func() error{
		"wrong version of contacts":      func() error { return bare.DeleteContact(t.Context(), "c1") },
		"wrong version of conversations": func() error { _, err := bare.CreateConversation(t.Context(), "c1"); return err },
		"a status that is none":          func() error { return c.SetMessageStatus(t.Context(), "m1", "done", nil) },
		"a channel's status that is none": func() error {
			return c.UpdateContact(t.Context(), "c1", ContactUpdate{DNDSettings: DNDSettings{ChannelSMS: {Status: "on"}}})
		},
		"a call without its provider": func() error {
			_, err := c.AddInbound(t.Context(), InboundMessage{Type: "Call", ConversationID: "v1", ContactID: "c1"})
			return err
		},
	} {
		err := operate()
		if !df.IsCode(err, df.CodeInvalid) || len(p.verdicts[len(p.verdicts)-1].violations) == 0 {
			t.Errorf("%s: %v, %v", name, err, p.verdicts[len(p.verdicts)-1].violations)
		}
	}
}
