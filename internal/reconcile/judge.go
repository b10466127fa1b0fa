package reconcile

import (
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Skew is how much earlier than the change it tells of a webhook may have come, by
// the clocks of two machines. It matters for webhooks that carry no time of their
// sender's.
const Skew = 2 * time.Minute

// Grace is how long a webhook may be late. GHL tries six times, ten minutes and
// some apart; Aloware does not try again, and what it sends is only held up by
// our own waiting and by its queue.
func Grace(source df.Source) time.Duration {
	if source == df.SourceAloware {
		return 15 * time.Minute
	}
	return 90 * time.Minute
}
