package observe_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/df-middleware/dfm/internal/observe"
)

// A webhook that was given up must be seen, and an alert about it must end.
func TestForwardsAreAGaugeForEachKnownStatus(t *testing.T) {
	t.Parallel()
	counts, failure := map[string]int64{"given_up": 2, "a status of strangers": 9}, error(nil)
	m := observe.NewMetrics()
	m.WatchForwards(func(context.Context) (map[string]int64, error) { return counts, failure }, "failed", "given_up")
	scrape := func() string {
		rw := httptest.NewRecorder()
		m.Handler().ServeHTTP(rw, httptest.NewRequest("GET", "/metrics", nil))
		return rw.Body.String()
	}
	if got := scrape(); !strings.Contains(got, `dfm_forwards{status="given_up"} 2`) || !strings.Contains(got, `dfm_forwards{status="failed"} 0`) ||
		strings.Contains(got, "strangers") {
		t.Errorf("%s", got)
	}
	counts = nil
	if got := scrape(); !strings.Contains(got, `dfm_forwards{status="given_up"} 0`) {
		t.Errorf("%s", got)
	}
	if failure = errors.New("down"); strings.Contains(scrape(), "dfm_forwards{") {
		t.Error("a store that does not answer has numbers")
	}
}
