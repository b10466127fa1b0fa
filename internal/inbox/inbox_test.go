package inbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/inbox"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// flaky is a store that can be switched off.
type flaky struct {
	*store.Store
	down    atomic.Bool
	batches atomic.Int64
}

func (f *flaky) Accept(ctx context.Context, deliveries []store.Delivery, now time.Time) ([]store.Accepted, error) {
	f.batches.Add(1)
	if f.down.Load() {
		return nil, errors.New("connection refused")
	}
	return f.Store.Accept(ctx, deliveries, now)
}

// rig is an inbox on a real store, with one route per way of handling outages.
type rig struct {
	store   *flaky
	spill   *inbox.Spill
	folder  string
	mux     *http.ServeMux
	results sync.Map // result → *atomic.Int64
}

func newRig(t *testing.T, s *store.Store) *rig { return newRigHolding(t, s, 50*time.Millisecond) }

func newRigHolding(t *testing.T, s *store.Store, hold time.Duration) *rig {
	t.Helper()
	r := &rig{store: &flaky{Store: s}, folder: filepath.Join(t.TempDir(), "spill"), mux: http.NewServeMux()}
	log := slog.New(slog.DiscardHandler)
	r.spill = inbox.NewSpill(r.folder, log)
	writer := inbox.NewWriter(r.store, 2, time.Now)
	t.Cleanup(writer.Stop)
	in := inbox.New(inbox.Config{
		Writer: writer, Spill: r.spill, Clock: time.Now, NewID: df.IDs(time.Now), Log: log,
		DedupeWindow: 10 * time.Minute, Hold: hold,
		Unsigned: map[df.Source]bool{df.SourceBroadcast: true},
		Observe: func(_, result string, _ time.Duration) {
			n, _ := r.results.LoadOrStore(result, new(atomic.Int64))
			n.(*atomic.Int64).Add(1)
		},
	})
	route := func(name string, source df.Source, when inbox.WhenDown) inbox.Route {
		return inbox.Route{
			Name: name, Source: source, Paths: []string{"/" + name}, Verify: verify, Decode: decode, WhenDown: when,
			Allow: func(name string) bool { return name != "Unwanted" },
		}
	}
	in.Register(r.mux, route("ghl", df.SourceGHL, inbox.Answer429), route("texting", df.SourceTexting, inbox.Answer503),
		route("aloware", df.SourceAloware, inbox.HoldAndSpill), route("broadcast", df.SourceBroadcast, inbox.Answer503))
	orders := route("orders", df.SourceBroadcast, inbox.Answer503)
	orders.AlwaysProven = true
	in.Register(r.mux, orders)
	return r
}

func verify(h http.Header, _ []byte) (string, error) {
	if h.Get("Authorization") != "Bearer good" {
		return "", errors.New("no proof")
	}
	return "bearer", nil
}

// decode reads {"type","id","delivery"}; what it cannot read it says so.
func decode(raw []byte) df.Notice {
	var in struct{ Type, ID, Delivery string }
	if err := json.Unmarshal(raw, &in); err != nil {
		return df.Notice{Kind: df.KindUnknown, Skip: "unreadable"}
	}
	if in.Type == "" {
		return df.Notice{Ping: "a test delivery"}
	}
	n := df.Notice{Type: in.Type, Kind: df.KindContactUpdated, EntityType: "contact", EntityID: in.ID, ContactID: in.ID, DeliveryID: in.Delivery}
	if in.Type == "Odd" {
		n.Skip = "unknown type"
	}
	return n
}

type reply struct {
	Success bool
	Status  string
	EventID string
	Reason  string
	Error   struct{ Code, Message string }
	code    int
	header  http.Header
}

func (r *rig) post(t *testing.T, route, body, proof string) reply {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/"+route, strings.NewReader(body))
	if proof != "" {
		request.Header.Set("Authorization", "Bearer "+proof)
	}
	recorder := httptest.NewRecorder()
	r.mux.ServeHTTP(recorder, request)
	out := reply{code: recorder.Code, header: recorder.Header()}
	if err := json.Unmarshal(recorder.Body.Bytes(), &out); err != nil {
		t.Fatalf("%s answered %q: %v", route, recorder.Body, err)
	}
	return out
}

func TestWhatASenderIsTold(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		r := newRig(t, s)
		for _, c := range []struct {
			name, route, body, proof string
			code                     int
			status, errorCode        string
			kept                     df.Status
		}{
			{"an event", "ghl", `{"type":"ContactUpdate","id":"C1","delivery":"w1"}`, "good", 200, "accepted", "", df.Pending},
			{"the same delivery", "ghl", `{"type":"ContactUpdate","id":"C1","delivery":"w1"}`, "good", 200, "duplicate", "", ""},
			{"the same delivery id with other bytes", "ghl", `{"type":"ContactUpdate", "id":"C1","delivery":"w1"}`, "good", 200, "duplicate", "", ""},
			{"the same bytes without an id", "aloware", `{"type":"X","id":"1"}`, "good", 200, "accepted", "", df.Pending},
			{"again", "aloware", `{"type":"X","id":"1"}`, "good", 200, "duplicate", "", ""},
			{"from another source", "texting", `{"type":"X","id":"1"}`, "good", 200, "accepted", "", df.Pending},
			{"without proof", "ghl", `{"type":"ContactUpdate","id":"C2"}`, "", 401, "", "UNAUTHORIZED", ""},
			{"with wrong proof", "ghl", `{"type":"ContactUpdate","id":"C2"}`, "bad", 401, "", "UNAUTHORIZED", ""},
			{"without proof where that is allowed", "broadcast", `{"type":"B","id":"2"}`, "", 200, "accepted", "", df.Pending},
			{"without proof where that is never allowed", "orders", `{"type":"B","id":"3"}`, "", 401, "", "UNAUTHORIZED", ""},
			{"a ping", "aloware", `{}`, "good", 200, "ignored", "", ""},
			{"junk", "ghl", "\xff{", "good", 200, "accepted", "", df.Skipped},
			{"an unknown type", "ghl", `{"type":"Odd","id":"C3"}`, "good", 200, "accepted", "", df.Skipped},
			{"a type that is not wanted", "aloware", `{"type":"Unwanted","id":"C3"}`, "good", 200, "accepted", "", df.Skipped},
		} {
			got := r.post(t, c.route, c.body, c.proof)
			if got.code != c.code || got.Status != c.status || got.Error.Code != c.errorCode {
				t.Errorf("%s: %+v", c.name, got)
				continue
			}
			if c.kept == "" {
				continue
			}
			e, err := s.Event(t.Context(), got.EventID)
			if err != nil || e.Status != c.kept || string(e.Raw) != c.body || e.Route != c.route {
				t.Errorf("%s: kept as %+v, %v", c.name, e, err)
			}
		}
	})
}

// The seed's receiver cut long bodies silently; a cut body is a lie.
func TestABodyOverOneMebibyteIsRefusedNotCut(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	body := `{"type":"X","id":"` + strings.Repeat("a", inbox.MaxBody) + `"}`
	if got := r.post(t, "ghl", body, "good"); got.code != http.StatusRequestEntityTooLarge || got.Error.Code != "PAYLOAD_TOO_LARGE" {
		t.Errorf("%+v", got)
	}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/ghl", io.NopCloser(bytes.NewReader([]byte(body))))
	request.ContentLength = -1 // chunked: the length is not announced
	request.Header.Set("Authorization", "Bearer good")
	recorder := httptest.NewRecorder()
	r.mux.ServeHTTP(recorder, request)
	if recorder.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("chunked: %d", recorder.Code)
	}
	if counts, err := r.store.CountEvents(t.Context()); err != nil || len(counts) != 0 {
		t.Errorf("something was kept: %+v, %v", counts, err)
	}
}

func TestOtherMethodsAreToldToPost(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	recorder := httptest.NewRecorder()
	r.mux.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ghl", http.NoBody))
	if recorder.Code != http.StatusMethodNotAllowed || recorder.Header().Get("Allow") != "POST" {
		t.Errorf("%d %v", recorder.Code, recorder.Header())
	}
}

func TestWhileTheStoreIsDownSendersThatRetryAreToldTo(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	r.store.down.Store(true)
	for route, code := range map[string]int{"ghl": http.StatusTooManyRequests, "texting": http.StatusServiceUnavailable} {
		got := r.post(t, route, `{"type":"X","id":"1"}`, "good")
		if got.code != code || got.header.Get("Retry-After") == "" || got.Error.Code != "UNAVAILABLE" {
			t.Errorf("%s: %+v", route, got)
		}
	}
	r.store.down.Store(false)
	if got := r.post(t, "ghl", `{"type":"X","id":"1"}`, "good"); got.Status != "accepted" {
		t.Errorf("after the outage: %+v", got)
	}
}

func TestAlowareIsHeldOverAShortOutage(t *testing.T) {
	t.Parallel()
	r := newRigHolding(t, storetest.SQLite(t), time.Minute)
	r.store.down.Store(true)
	back := time.AfterFunc(150*time.Millisecond, func() { r.store.down.Store(false) })
	defer back.Stop()
	got := r.post(t, "aloware", `{"type":"X","id":"1"}`, "good")
	if got.Status != "accepted" || r.spill.Waiting() != 0 {
		t.Errorf("%+v, %d spilled", got, r.spill.Waiting())
	}
}

func TestAlowareIsSpilledOverALongOutageAndTakenInOnce(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		r := newRig(t, s)
		r.store.down.Store(true)
		got := r.post(t, "aloware", `{"type":"X","id":"1"}`, "good")
		if got.Status != "accepted" || got.EventID == "" || r.spill.Waiting() != 1 {
			t.Fatalf("%+v, %d spilled", got, r.spill.Waiting())
		}
		if took, err := r.spill.TakeIn(t.Context(), r.store, time.Now()); took != 0 || err == nil {
			t.Fatalf("taken in while down: %d, %v", took, err)
		}
		r.store.down.Store(false)
		name := filepath.Join(r.folder, got.EventID+".json")
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if took, err := r.spill.TakeIn(t.Context(), r.store, time.Now()); took != 1 || err != nil {
			t.Fatal(took, err)
		}
		e, err := s.Event(t.Context(), got.EventID)
		if err != nil || e.Status != df.Pending || string(e.Raw) != `{"type":"X","id":"1"}` {
			t.Fatalf("%+v, %v", e, err)
		}
		// A crash between commit and removal leaves the file; a foreign file is put aside.
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(r.folder, "0.json"), []byte("?"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := r.spill.TakeIn(t.Context(), r.store, time.Now()); err != nil || r.spill.Waiting() != 0 {
			t.Fatal(err, r.spill.Waiting())
		}
		if counts, _ := s.CountEvents(t.Context()); len(counts) != 1 || counts[0].Events != 1 {
			t.Errorf("%+v", counts)
		}
	})
}

func TestConcurrentDeliveriesShareCommitsAndEachIsAnsweredForItself(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		r := newRig(t, s)
		const senders = 200
		ids := make([]string, senders)
		var sending sync.WaitGroup
		for i := range senders {
			sending.Go(func() {
				got := r.post(t, "ghl", fmt.Sprintf(`{"type":"X","id":"C%d","delivery":"d%d"}`, i%7, i/2), "good")
				ids[i] = got.EventID
				if got.code != http.StatusOK {
					t.Errorf("%+v", got)
				}
			})
		}
		sending.Wait()
		for i := 0; i < senders; i += 2 {
			if ids[i] != ids[i+1] {
				t.Errorf("deliveries %d and %d are one and were told %s and %s", i, i+1, ids[i], ids[i+1])
			}
		}
		counts, err := s.CountEvents(t.Context())
		if err != nil || counts[0].Events != senders/2 {
			t.Errorf("%+v, %v", counts, err)
		}
		if n := r.store.batches.Load(); n >= senders {
			t.Errorf("%d commits for %d deliveries", n, senders)
		}
	})
}

// refusing fails every batch that holds the poison, as a database does with one
// row that it cannot store.
type refusing struct{ *store.Store }

func (f refusing) Accept(ctx context.Context, deliveries []store.Delivery, now time.Time) ([]store.Accepted, error) {
	for _, d := range deliveries {
		if d.Event.Notice.EntityID == "poison" {
			return nil, errors.New("value out of range")
		}
	}
	return f.Store.Accept(ctx, deliveries, now)
}

func TestOneBadDeliveryDoesNotFailItsNeighbours(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	writer := inbox.NewWriter(refusing{s}, 1, time.Now)
	defer writer.Stop()
	var failed, stored atomic.Int64
	var sending sync.WaitGroup
	for i := range 60 {
		sending.Go(func() {
			id := fmt.Sprint(i)
			if i == 30 {
				id = "poison"
			}
			_, err := writer.Accept(t.Context(), store.Delivery{
				Event: df.Event{ID: df.IDs(time.Now)(), ReceivedAt: time.Now(), Source: df.SourceGHL, Status: df.Pending,
					Notice: df.Notice{EntityType: "contact", EntityID: id}},
				DedupeKey: id, DedupeUntil: time.Now().Add(time.Hour),
			})
			if err != nil {
				failed.Add(1)
			} else {
				stored.Add(1)
			}
		})
	}
	sending.Wait()
	if failed.Load() != 1 || stored.Load() != 59 {
		t.Errorf("%d failed, %d stored", failed.Load(), stored.Load())
	}
}
