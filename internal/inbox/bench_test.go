package inbox_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/ghl"
	"github.com/df-middleware/dfm/internal/inbox"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// BenchmarkIngest measures one webhook from 64 senders at once, from the
// handler's call to its return after the commit, without the HTTP around it.
func BenchmarkIngest(b *testing.B) {
	bench := func(b *testing.B, s *store.Store, committers int) {
		writer := inbox.NewWriter(s, committers, time.Now)
		b.Cleanup(writer.Stop)
		mux := http.NewServeMux()
		decoder := ghl.Decoder{}
		inbox.New(inbox.Config{
			Writer: writer, Clock: time.Now, NewID: df.IDs(time.Now), Log: slog.New(slog.DiscardHandler), DedupeWindow: time.Hour,
		}).Register(mux, inbox.Route{
			Name: "ghl", Source: df.SourceGHL, Paths: []string{"/api/webhooks/ghl"}, Decode: decoder.Decode,
			Verify: func(http.Header, []byte) (string, error) { return "ed25519", nil },
		})
		pad := strings.Repeat("x", 600)
		var n atomic.Int64
		b.SetParallelism(32)
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				i := n.Add(1)
				body := fmt.Sprintf(`{"type":"ContactUpdate","locationId":"L1","id":"contact%d","webhookId":"w%d","firstName":"Dana","lastName":"Reyes","phone":"+1500555%04d","tags":["a","b"],"customFields":[{"id":"f","value":"%s"}]}`, i, i, i%10000, pad)
				request := httptest.NewRequest(http.MethodPost, "/api/webhooks/ghl", strings.NewReader(body))
				recorder := httptest.NewRecorder()
				mux.ServeHTTP(recorder, request)
				if recorder.Code != http.StatusOK {
					answer, _ := io.ReadAll(recorder.Body)
					b.Errorf("%d %s", recorder.Code, answer)
				}
			}
		})
	}
	b.Run("sqlite", func(b *testing.B) { bench(b, storetest.SQLite(b), 1) })
	if os.Getenv("TEST_DATABASE_URL") != "" {
		b.Run("postgres", func(b *testing.B) { bench(b, storetest.Postgres(b), 2) })
	}
}
