package app

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox"
)

// Contract §6: webhook in → other system written within a second at p99, worker
// idle, upstream answering at once.
const promised = time.Second

// TestAWebhookReachesTheOtherSideWithinASecond is the promise itself; the
// benchmark measures with more of them.
func TestAWebhookReachesTheOtherSideWithinASecond(t *testing.T) {
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		took := measureWrites(t, databaseURL, 60)
		if slowest := took[len(took)-2]; slowest > promised {
			t.Errorf("one of 60 took %v, half of them %v", slowest, took[len(took)/2])
		}
	})
}

// BenchmarkWebhookToWrite measures from posting a webhook to the write that
// arrives at the other side. One run is 500 webhooks, one after the other, half
// from each side.
func BenchmarkWebhookToWrite(b *testing.B) {
	for name, database := range databases() {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for range b.N {
				took = append(took, measureWrites(b, database(b), 500)...)
			}
			slices.Sort(took)
			b.ReportMetric(milliseconds(took[len(took)/2]), "p50-ms")
			b.ReportMetric(milliseconds(took[len(took)*99/100]), "p99-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// measureWrites makes n edits, each when the program is idle, and returns how
// long each took to reach the other side, sorted.
func measureWrites(t testing.TB, databaseURL string, n int) []time.Duration {
	t.Helper()
	world := newWorld(t, sandbox.Config{})
	a := build(t, world, databaseURL, time.Now, nil)
	start(t, world, a)
	people := makePeople(t, world, n/editsEach+1)
	settle(t, world, a)
	// From here on the test posts the webhooks itself, to know when.
	world.Connect("http://127.0.0.1:9")
	world.DropPending()
	written := make(chan time.Time, 64)
	notice := func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut || strings.HasSuffix(r.URL.Path, "/forms") {
			written <- time.Now()
		}
		return false
	}
	world.GHL.Intercept(notice)
	world.Aloware.Intercept(notice)
	took := make([]time.Duration, n)
	for i := range took {
		path, header, body := people[i/editsEach].edit(t, world, i)
		begin := time.Now()
		postOK(t, a.URL("web")+path, header, body)
		select {
		case at := <-written:
			took[i] = at.Sub(begin)
		case <-time.After(10 * time.Second):
			t.Fatalf("edit %d did not reach the other side", i)
		}
		idle(t, a)
	}
	slices.Sort(took)
	return took
}

// editsEach bounds the edits of one contact: more than a few of one field within
// an hour look like two programs that quarrel, and the breaker holds them back.
const editsEach = 10

// someone is a contact at GHL and the phone by which Aloware knows it.
type someone struct{ id, phone string }

func makePeople(t testing.TB, world *sandbox.World, n int) []someone {
	t.Helper()
	people := make([]someone, n)
	for i := range people {
		phone := fmt.Sprintf("+1202555%04d", i)
		contact, err := world.GHL.CreateContact(map[string]string{"firstName": "Ada", "phone": phone})
		if err != nil {
			t.Fatal(err)
		}
		people[i] = someone{contact.ID, phone}
	}
	return people
}

// edit changes the contact, the even edits at GHL and the odd ones at Aloware,
// and returns the webhook that says so.
func (p someone) edit(t testing.TB, world *sandbox.World, n int) (string, http.Header, []byte) {
	t.Helper()
	fields := map[string]string{"city": fmt.Sprint("City ", n)}
	if n%2 == 0 {
		if err := world.GHL.EditContact(p.id, fields); err != nil {
			t.Fatal(err)
		}
		return ghlUpdate(t, world, p.id, n)
	}
	if err := world.Aloware.EditContact(p.phone, fields); err != nil {
		t.Fatal(err)
	}
	there, _ := world.Aloware.Contact(p.phone)
	return alowareUpdate(t, there.ID, p.phone, n)
}

func ghlUpdate(t testing.TB, world *sandbox.World, id string, n int) (string, http.Header, []byte) {
	body := encodeJSON(t, map[string]any{
		"type": "ContactUpdate", "locationId": world.GHL.Settings().LocationID, "id": id,
		"webhookId": fmt.Sprintf("00000000-0000-4000-8000-%012d", n), "timestamp": time.Now().UTC().Format(time.RFC3339),
	})
	return "/api/webhooks/ghl", http.Header{"X-Ghl-Signature": {world.GHL.Sign(body)}}, body
}

func alowareUpdate(t testing.TB, id int64, phone string, n int) (string, http.Header, []byte) {
	body := encodeJSON(t, map[string]any{"event": "Contact-Updated", "body": map[string]any{"id": id, "phone_number": phone, "notes": n}})
	credentials := base64.StdEncoding.EncodeToString([]byte("test:test:pass"))
	return "/api/webhooks/aloware", http.Header{"Authorization": {"Basic " + credentials}}, body
}

func encodeJSON(t testing.TB, value any) []byte {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func postOK(t testing.TB, url string, header http.Header, body []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s answered %d", url, answer.StatusCode)
	}
}

// idle waits until no lane has anything to do.
func idle(t testing.TB, a *App) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		waiting, err := a.store.WaitingLanes(t.Context())
		if err == nil && waiting > 0 {
			err = fmt.Errorf("%d lanes have work", waiting)
		}
		return err
	})
}

// settle waits until no webhook is on its way and nothing is left to do.
func settle(t testing.TB, world *sandbox.World, a *App) {
	t.Helper()
	for range 2 { // the second time for the echoes of what the first one wrote
		if err := world.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		idle(t, a)
	}
}
