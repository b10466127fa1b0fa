package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/calls"
	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/sandbox/alowareworld"
	"github.com/df-middleware/dfm/internal/store"
)

// logged waits until the contact has n call logs and n notes.
func (w textingWorld) logged(t *testing.T, contactID string, n int) {
	t.Helper()
	eventually(t, 10*time.Second, func() error {
		notes, logs := w.GHL.Notes(contactID), 0
		for _, m := range w.GHL.Messages(contactID) {
			if m.Type == "Call" {
				logs++
			}
		}
		if len(notes) != n || logs != n {
			return fmt.Errorf("%d notes, %d logs", len(notes), logs)
		}
		return nil
	})
}

func TestACallIsShownOnceAndReadable(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		w.Aloware.PlayCall(customerPhone, alowareworld.Call{TalkTime: 63, UserID: 9, Agency: "Interested", Recording: true, Summary: "They agreed to talk."})
		w.Aloware.PlayCall(customerPhone, alowareworld.Call{Direction: alowareworld.Inbound, Disposition: "missed"})
		c := w.contact(t)
		w.logged(t, c.ID, 2)
		settle(t, w.World, w.app)
		var note string
		for _, n := range w.GHL.Notes(c.ID) {
			if strings.Contains(n.Body, "They agreed to talk.") {
				note = n.Body
			}
		}
		for _, part := range []string{"Outbound call on ", "Completed, talked 1 min 3 s", "Interested", "Recording: ", calls.Path} {
			if !strings.Contains(note, part) {
				t.Errorf("the note lacks %q: %s", part, note)
			}
		}
		c, _ = w.GHL.Contact(c.ID)
		there, _ := w.Aloware.Contact(customerPhone)
		for _, tag := range []string{"disposition: interested", "call: completed", "call: missed", "outbound call", "inbound call"} {
			for side, tags := range map[string][]string{"GHL": c.Tags, "Aloware": there.Tags} {
				if !slices.ContainsFunc(tags, func(have string) bool { return strings.EqualFold(have, tag) }) {
					t.Errorf("%s has the tags %v", side, tags)
				}
			}
		}
		status, body := w.admin(t, "/api/admin/calls?phone=%2B15005550111")
		if status != http.StatusOK || !bytes.Contains(body, []byte(`"hasRecording":true`)) || bytes.Contains(body, []byte("recordings.example.test")) {
			t.Errorf("%d %s", status, body)
		}
		for path, want := range map[string]int{"/api/admin/calls?limit=1": 200, "/api/admin/calls?cursor=x": 400, "/api/admin/calls?from=x": 400, "/api/admin/calls/x": 404} {
			if status, body := w.admin(t, path); status != want {
				t.Errorf("%s: %d %s", path, status, body)
			}
		}
	})
}

// The sandbox's app is configured and not installed here.
func TestWithoutAnInstalledAppACallIsANoteAndBlocksNobody(t *testing.T) {
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		world, clock := newWorld(t, sandbox.Config{}), &skipping{}
		a := build(t, world, databaseURL, clock.now, nil)
		start(t, world, a)
		w := textingWorld{world, a, clock}
		w.Aloware.PlayCall(customerPhone, alowareworld.Call{TalkTime: 63, Recording: true, Summary: "They agreed to talk."})
		settle(t, w.World, w.app)
		c := w.contact(t)
		eventually(t, 10*time.Second, func() error {
			notes, logs := w.GHL.Notes(c.ID), w.GHL.Messages(c.ID)
			if len(notes) != 1 || len(logs) != 0 || !strings.Contains(notes[0].Body, "They agreed to talk.") || !strings.Contains(notes[0].Body, "Agent: hello.") {
				return fmt.Errorf("%d logs, notes %+v", len(logs), notes)
			}
			return nil
		})
		if open, _, err := a.store.Backlog(t.Context()); err != nil || open != 0 {
			t.Errorf("%d events wait for an app: %v", open, err)
		}
	})
}

func TestAMissedCallsVoicemailCanBeListenedTo(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		w.Aloware.PlayCall(customerPhone, alowareworld.Call{Direction: alowareworld.Inbound, Disposition: "missed", Voicemail: true})
		c := w.contact(t)
		w.logged(t, c.ID, 1)
		w.passing(t, func() error {
			if body := w.GHL.Notes(c.ID)[0].Body; !strings.Contains(body, "Outcome: Voicemail") || !strings.Contains(body, "Voicemail: http") {
				return errors.New(body)
			}
			if m := w.GHL.Messages(c.ID)[0]; m.Direction != "inbound" || m.From != customerPhone || m.To != ourPhone || len(m.Attachments) != 1 {
				return fmt.Errorf("%+v", m)
			}
			return nil
		})
	})
}

// One disposition is one write of tags per side, and then silence.
func TestATagOfACallGoesToAlowareOnceAndIsNotEchoed(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
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

// A transcription that names only its call finds its person by it.
func TestATranscriptionFindsItsPersonByItsCall(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		id := w.Aloware.PlayCall(customerPhone, alowareworld.Call{TalkTime: 63})
		c := w.contact(t)
		w.logged(t, c.ID, 1)
		settle(t, w.World, w.app)
		w.Aloware.Emit("Transcription-Saved", map[string]any{"transcription": map[string]any{"text": "Late words."}, "communication": map[string]any{"id": id, "type": 1}})
		w.passing(t, func() error {
			if body := w.GHL.Notes(c.ID)[0].Body; !strings.Contains(body, "Late words.") {
				return errors.New(body)
			}
			return nil
		})
		w.logged(t, c.ID, 1)
	})
}

// A recording is heard through a link of ours that expires, and Aloware's own,
// which needs no login, is shown nowhere.
func TestARecordingIsHeardThroughASignedLink(t *testing.T) {
	eachTexting(t, testRecording)
}

func testRecording(t *testing.T, w textingWorld) {
	audio := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/page"):
			rw.Header().Set("Content-Type", "text/html")
		case r.URL.Path != "/object":
			http.Redirect(rw, r, "/object", http.StatusFound)
			return
		default:
			rw.Header().Set("Content-Type", "audio/mpeg")
		}
		_, _ = io.WriteString(rw, "sound "+r.Header.Get("Range"))
	}))
	defer audio.Close()
	w.app.recordings = audio.Client().Transport
	link := func(id, address string) string {
		sealed, err := w.app.vault.Seal(calls.Purpose(id), []byte(address))
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		err = w.app.store.InTx(t.Context(), func(tx store.Tx) error {
			return store.SaveCall(t.Context(), tx, store.Call{ID: id, PersonID: "p", Phone: customerPhone, StartedAt: now, Facts: []byte("{}"),
				Recording: sealed, RecordingAt: now, CreatedAt: now, UpdatedAt: now})
		})
		if err != nil {
			t.Fatal(err)
		}
		links := w.app.calls.desk.Links
		links.Base = w.app.URL("web")
		return links.Make(id, now)
	}
	get := func(address string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Range", "bytes=0-9")
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		data, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(data)
	}
	good := link("901", audio.URL+"/x")
	if status, body := get(good); status != http.StatusOK || body != "sound bytes=0-9" {
		t.Errorf("%d %s", status, body)
	}
	for address, want := range map[string]int{
		good + "x":                               http.StatusNotFound,
		link("902", audio.URL+"/page"):           http.StatusBadGateway, // no audio
		link("903", "http://127.0.0.1:1/secret"): http.StatusBadGateway,
		w.app.URL("web") + "/recordings/none":    http.StatusNotFound,
	} {
		if status, body := get(address); status != want || strings.Contains(body, "secret") {
			t.Errorf("%s: %d %s", address, status, body)
		}
	}
	w.app.recordings = recordingTransport()
	if status, _ := get(link("904", audio.URL+"/x")); status != http.StatusBadGateway {
		t.Errorf("an address of our own network was called: %d", status)
	}
	w.clock.skip(31 * 24 * time.Hour)
	if status, body := get(good); status != http.StatusGone {
		t.Errorf("a month later: %d %s", status, body)
	}
	audit, err := w.app.store.AuditLog(t.Context(), 0, 10)
	if err != nil || len(audit) != 1 || audit[0].Action != "recording.play" || audit[0].Target != "901" {
		t.Errorf("%+v, %v", audit, err)
	}
}

func TestCallSettings(t *testing.T) {
	for name, value := range map[string]string{"DFM_CALL_TAGS": "tags", "DFM_LOCATION_TIMEZONE": "Mars/Olympus", "DFM_RECORDING_LINK_LIFE": "1s"} {
		env := map[string]string{name: value}
		if _, err := Load(func(name string) (string, bool) { value, ok := env[name]; return value, ok }); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not complained about: %v", name, err)
		}
	}
}
