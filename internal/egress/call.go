package egress

import (
	"context"
	"net/http"
	"time"
)

// Class says whose share of an account's budget a call uses.
type Class int

// Ordinary calls share the account's budget; Reserved ones (opt-outs) may also
// use the part that is kept back for them.
const (
	Ordinary Class = iota
	Reserved
)

// Call is one request to an upstream, with what is needed to judge its outcome.
type Call struct {
	Operation string // what it does, for errors and metrics: "update contact"
	Method    string
	URL       string
	Header    http.Header
	Body      []byte
	Class     Class
	// Repeatable says that sending the call twice does the same as sending it
	// once. A repeatable call that timed out is retried later; any other is
	// df.Unclear and must be looked up first.
	Repeatable bool
	Timeout    time.Duration // 0 means the client's own
}

// Answer is a response whose body has been read whole, within the client's limit.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Budget holds calls back so that an account's rate is kept by all instances
// together. Implementations live in the store (shared) and in LocalBudget; both
// decide with Next.
type Budget interface {
	// Take asks to send one call for the account now. It returns 0 when the
	// call is counted and may be sent. Otherwise nothing was counted, and the
	// caller asks again after the time returned: a caller that gives up has
	// taken nothing from the others, and a queue of ordinary callers can never
	// book away the share that limit.Reserve keeps for Reserved ones.
	Take(ctx context.Context, account string, limit Limit, class Class) (time.Duration, error)
	// Hold stops all calls of the account, of either class, until the given
	// time, because the upstream said so (429, Retry-After, exhausted rate
	// headers). A hold is only ever lengthened.
	Hold(ctx context.Context, account string, until time.Time) error
}

// Limit is a ceiling on calls. In any stretch of time t no more than
// Calls*t/Per + Burst calls are let through. A Limit without Calls or Per lets
// everything through that is not held.
type Limit struct {
	Calls   int           // how many
	Per     time.Duration // in which time
	Burst   int           // how many at once after a pause
	Reserve float64       // share of the burst kept for Reserved calls
}
