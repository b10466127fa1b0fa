package app

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/calls"
	"github.com/df-middleware/dfm/internal/egress"
	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/sandbox/alowareworld"
	"github.com/df-middleware/dfm/internal/sandbox/ghlworld"
	"github.com/df-middleware/dfm/internal/sandbox/stage"
	"github.com/df-middleware/dfm/internal/store"
)

const callsBase = "https://dfm.example.test"

// eachCalls is a program in the sandbox, with our app installed in GHL or not.
func eachCalls(t *testing.T, installed bool, test func(t *testing.T, w textingWorld)) {
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		world, clock := newWorld(t, sandbox.Config{}), &skipping{}
		a := build(t, world, databaseURL, clock.now, map[string]string{"BASE_URL": callsBase, "DFM_OWN_NUMBERS": ourPhone})
		a.calls.desk.Once.Settle = time.Second // the sandbox has nothing under way that it answered
		start(t, world, a)
		w := textingWorld{world, a, clock}
		if installed {
			state, err := a.sync.install.NewState()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := a.sync.install.Callback(t.Context(), world.GHL.IssueCode("Location"), state); err != nil {
				t.Fatal(err)
			}
		}
		test(t, w)
	})
}

var talk = alowareworld.Call{TalkTime: 63, Agency: "Interested", Recording: true, Summary: "They want to think about it."}

// shownCalls waits until the customer's calls are shown in GHL as wanted.
func (w textingWorld) shownCalls(t *testing.T, logs, notes int) ([]ghlworld.Message, []ghlworld.Note) {
	t.Helper()
	settle(t, w.World, w.app)
	contact := w.contact(t)
	var gotLogs []ghlworld.Message
	var gotNotes []ghlworld.Note
	eventually(t, 10*time.Second, func() error {
		gotLogs, gotNotes = w.GHL.Messages(contact.ID), w.GHL.Notes(contact.ID)
		if len(gotLogs) != logs || len(gotNotes) != notes {
			return fmt.Errorf("%d logs and %d notes, want %d and %d", len(gotLogs), len(gotNotes), logs, notes)
		}
		return nil
	})
	return gotLogs, gotNotes
}

// D-05, D-08, D-12, D-18, D-44: the original kept nothing of a real call.
func TestACallsDeliveriesMakeOneLogAndOneNoteForAStranger(t *testing.T) {
	eachCalls(t, true, func(t *testing.T, w textingWorld) {
		w.Aloware.SetMischief(stage.Mischief{DoubleWebhooks: 0.5, ReorderWebhooks: 0.5})
		w.GHL.Next("add outbound call", stage.LoseAnswer)
		w.GHL.Next("create note", stage.LoseAnswer)
		id := w.Aloware.PlayCall(customerPhone, talk)
		eventually(t, 10*time.Second, func() error {
			w.clock.skip(time.Second)
			if contacts := w.GHL.ByPhone(customerPhone); len(contacts) != 1 || len(w.GHL.Notes(contacts[0].ID)) != 1 {
				return errors.New("no note yet")
			}
			return nil
		})
		w.passing(t, func() error {
			body := w.GHL.Notes(w.contact(t).ID)[0].Body
			for _, part := range []string{"Outbound call: completed", "Talked: 1 min 3 s", "Disposition: Interested",
				"Recording: " + callsBase + "/recordings/", "They want to think about it.", "Agent: hello.", calls.Marker(fmt.Sprint(id))} {
				if !strings.Contains(body, part) {
					return fmt.Errorf("the note lacks %q:\n%s", part, body)
				}
			}
			return nil
		})
		logs, _ := w.shownCalls(t, 1, 1)
		if l := logs[0]; l.AltID != fmt.Sprint(id) || l.Type != "Call" || l.Direction != "outbound" || l.CallStatus != "completed" ||
			l.To != customerPhone || l.From != ourPhone || len(l.Attachments) != 1 || !strings.HasPrefix(l.Attachments[0], callsBase+"/recordings/") {
			t.Errorf("%+v", l)
		}
	})
}

func TestAMissedCallWithVoicemailIsShownToo(t *testing.T) {
	eachCalls(t, true, func(t *testing.T, w textingWorld) {
		w.Aloware.PlayCall(customerPhone, alowareworld.Call{Direction: alowareworld.Inbound, Disposition: "missed", Voicemail: true})
		w.passing(t, func() error {
			contacts := w.GHL.ByPhone(customerPhone)
			if len(contacts) != 1 || !slices.ContainsFunc(w.GHL.Notes(contacts[0].ID), func(n ghlworld.Note) bool {
				return strings.Contains(n.Body, "Inbound call: missed voicemail") && strings.Contains(n.Body, "Voicemail: "+callsBase)
			}) {
				return errors.New("no note of the voicemail")
			}
			return nil
		})
		logs, _ := w.shownCalls(t, 1, 1)
		if l := logs[0]; l.Direction != "inbound" || l.From != customerPhone || l.To != ourPhone || len(l.Attachments) != 1 {
			t.Errorf("%+v", l)
		}
	})
}

// One disposition is one write per side, and then silence.
func TestATagOfACallGoesToAlowareOnceAndIsNotEchoed(t *testing.T) {
	eachCalls(t, true, func(t *testing.T, w textingWorld) {
		if _, err := w.Aloware.CreateContact(customerPhone, map[string]string{"first_name": "Dana"}); err != nil {
			t.Fatal(err)
		}
		settle(t, w.World, w.app)
		adds, forms := w.GHL.CallsOf("add tags"), w.Aloware.CallsOf("write contact")
		w.Aloware.PlayCall(customerPhone, alowareworld.Call{TalkTime: 63, Agency: "Interested"})
		w.passing(t, func() error {
			there, _ := w.Aloware.Contact(customerPhone)
			if !slices.ContainsFunc(there.Tags, func(tag string) bool { return strings.EqualFold(tag, "Disposition: Interested") }) {
				return fmt.Errorf("Aloware has the tags %q", there.Tags)
			}
			return nil
		})
		settle(t, w.World, w.app)
		if a, f := w.GHL.CallsOf("add tags")-adds, w.Aloware.CallsOf("write contact")-forms; a != 1 || f != 1 {
			t.Errorf("%d writes of tags to GHL, %d to Aloware", a, f)
		}
	})
}

func TestWithoutOurAppTheNoteTellsOfTheCall(t *testing.T) {
	eachCalls(t, false, func(t *testing.T, w textingWorld) {
		w.Aloware.PlayCall(customerPhone, talk)
		_, notes := w.shownCalls(t, 0, 1)
		if !strings.Contains(notes[0].Body, "Outbound call: completed") {
			t.Errorf("%s", notes[0].Body)
		}
	})
}

// listen asks for what a link leads to.
func (w textingWorld) listen(t *testing.T, link, piece string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.app.URL("web")+strings.TrimPrefix(link, callsBase), nil)
	if err != nil {
		t.Fatal(err)
	}
	if piece != "" {
		request.Header.Set("Range", piece)
	}
	answer, err := http.DefaultTransport.RoundTrip(request) // follows no redirect
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(data)
}

func TestALinkToARecordingPlaysItUntilItEndsAndShowsNoAddress(t *testing.T) {
	eachCalls(t, true, func(t *testing.T, w textingWorld) {
		id := fmt.Sprint(w.Aloware.PlayCall(customerPhone, talk))
		settle(t, w.World, w.app)
		logs, _ := w.shownCalls(t, 1, 1)
		link := logs[0].Attachments[0]
		answer, data := w.listen(t, link, "")
		if answer.StatusCode != http.StatusOK || data != alowareworld.Audio(id) || answer.Header.Get("Location") != "" ||
			answer.Header.Get("Content-Type") != "audio/mpeg" || !strings.Contains(answer.Header.Get("Cache-Control"), "no-store") {
			t.Errorf("%d %q %v", answer.StatusCode, data, answer.Header)
		}
		if answer, data := w.listen(t, link, "bytes=4-6"); answer.StatusCode != http.StatusPartialContent || data != alowareworld.Audio(id)[4:7] {
			t.Errorf("a piece: %d %q", answer.StatusCode, data)
		}
		audit, err := w.app.store.AuditLog(t.Context(), 0, 10)
		if err != nil || len(audit) != 1 || audit[0].Action != "recording.listen" || audit[0].Target != id {
			t.Errorf("audit %+v, %v", audit, err)
		}
		row, err := w.app.store.Calls(t.Context(), store.CallFilter{Customer: customerPhone})
		if err != nil || len(row) != 1 || strings.Contains(row[0].Recording+string(row[0].Facts), w.Aloware.URL()) {
			t.Errorf("the address is kept in the clear: %+v, %v", row, err)
		}
		cut := strings.LastIndex(link, ".")
		for name, bad := range map[string]string{"signature": link[:len(link)-2] + "xx", "claim": link[:cut-2] + "x" + link[cut:],
			"none": link[:cut], "short": callsBase + "/recordings/x", "another's": w.app.calls.links.link("1", calls.TheRecording, w.clock.now().Add(time.Hour))} {
			if answer, data := w.listen(t, bad, ""); answer.StatusCode != http.StatusNotFound || strings.Contains(data, "Audio") {
				t.Errorf("%s: %d %s", name, answer.StatusCode, data)
			}
		}
		w.clock.skip(31 * 24 * time.Hour)
		if answer, _ := w.listen(t, link, ""); answer.StatusCode != http.StatusNotFound {
			t.Errorf("after its end: %d", answer.StatusCode)
		}
	})
}

// An address comes in a payload: it must not lead into our own network, nor may a
// redirect of it, nor show a page that is no audio.
func TestListeningLeadsNowhereElse(t *testing.T) {
	world := newWorld(t, sandbox.Config{})
	allowed := strings.TrimPrefix(world.Aloware.URL(), "http://")
	l := &listening{transport: egress.GuardedTransport(egress.Policy{Allow: []string{allowed}})}
	for _, address := range []string{world.GHL.URL() + "/", "http://169.254.169.254/latest/meta-data", "file:///etc/passwd", "http:///x", "://",
		world.Aloware.URL() + "/api/v1/nothing"} {
		answer, err := l.fetch(t.Context(), address, http.MethodGet, "")
		if err == nil {
			_ = answer.Body.Close()
			t.Errorf("%s was fetched", address)
		} else if strings.Contains(err.Error(), "//") {
			t.Errorf("the error quotes the address: %v", err)
		}
	}
	world.Aloware.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, world.GHL.URL()+"/inside", http.StatusFound)
		return true
	})
	if _, err := l.fetch(t.Context(), world.Aloware.URL()+"/recordings/1/ab", http.MethodGet, ""); !errors.Is(err, egress.ErrForbiddenAddress) {
		t.Errorf("a redirect: %v", err)
	}
	world.Aloware.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, r.URL.Path+"x", http.StatusFound)
		return true
	})
	if _, err := l.fetch(t.Context(), world.Aloware.URL()+"/recordings/1/ab", http.MethodGet, ""); err == nil || !strings.Contains(err.Error(), "redirects") {
		t.Errorf("round and round: %v", err)
	}
}

func FuzzReadLink(f *testing.F) {
	links := newCallLinks("", [][]byte{[]byte("a key")})
	now := time.Unix(1_900_000_000, 0)
	f.Add(strings.TrimPrefix(links.link("1", calls.TheRecording, now.Add(time.Hour)), "/recordings/"))
	f.Add(".")
	f.Fuzz(func(t *testing.T, token string) {
		if id, audio, ok := links.read(token, now); ok && links.link(id, audio, now.Add(time.Hour)) != "/recordings/"+token {
			t.Errorf("%q was not made by us", token)
		}
	})
}

func TestCallSettings(t *testing.T) {
	env := map[string]string{"DFM_CALL_TAGS": "nonsense", "DFM_LOCATION_TIMEZONE": "Mars/Olympus", "DFM_RECORDING_LINK_TIME": "1s"}
	_, err := Load(func(name string) (string, bool) { value, ok := env[name]; return value, ok })
	for name := range env {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not complained about: %v", name, err)
		}
	}
}
