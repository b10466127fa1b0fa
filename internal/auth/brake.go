package auth

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// What one address may guess: ten wrong secrets at once, then one every ten
// seconds. At most so many addresses are remembered; when there are more, the
// ones that have been quiet for the longest time are forgotten.
const (
	brakeTries     = 10
	brakeEvery     = 10 * time.Second
	brakeAddresses = 10_000
)

// Brake slows down guessing of secrets by remote address. An address that has
// used up its tries is held: its next guesses are not even compared, right or
// wrong, until a try has grown back. IPv6 addresses count by their /64, because
// one host commonly owns all of it. Memory is bounded. A Brake may be shared by
// several guards and is safe for concurrent use.
type Brake struct {
	clock df.Clock
	mu    sync.Mutex
	spent *recent[string, bucket]
}

// NewBrake returns a brake on which no address is held.
func NewBrake(clock df.Clock) *Brake {
	return &Brake{clock: clock, spent: newRecent[string, bucket](brakeAddresses)}
}

// Attempt runs the comparison unless the address is held, and counts it when it
// fails. Attempts are judged one after another, so a burst of parallel guesses
// gets no more tries than a slow one. It returns whether the comparison
// succeeded, or how long the address is still held.
func (b *Brake) Attempt(remote string, compare func() bool) (ok bool, held time.Duration) {
	key := addressKey(remote)
	b.mu.Lock()
	defer b.mu.Unlock()
	spent, _ := b.spent.get(key)
	if held := spent.wait(b.clock(), brakeEvery, brakeTries); held > 0 {
		return false, held
	}
	if compare() {
		return true, 0
	}
	spent.take(b.clock(), brakeEvery, brakeTries)
	b.spent.put(key, spent)
	return false, 0
}

// Spend takes one try from the address ahead of a comparison that is too slow to
// be made under the brake's lock. Whoever turns out to be right calls restore and
// has it back. While the address is held, nothing is taken and held says for how
// long.
func (b *Brake) Spend(remote string) (restore func(), held time.Duration) {
	key := addressKey(remote)
	b.mu.Lock()
	defer b.mu.Unlock()
	spent, _ := b.spent.get(key)
	if held := spent.take(b.clock(), brakeEvery, brakeTries); held > 0 {
		return func() {}, held
	}
	b.spent.put(key, spent)
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if spent, ok := b.spent.get(key); ok {
			spent.full = spent.full.Add(-brakeEvery)
			b.spent.put(key, spent)
		}
	}, 0
}

// addressKey names the network that one guesser is likely to control.
func addressKey(remote string) string {
	host := remote
	if withPort, err := netip.ParseAddrPort(remote); err == nil {
		host = withPort.Addr().String()
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return strings.Clone(host[:min(len(host), 64)])
	}
	address = address.Unmap().WithZone("")
	if address.Is4() {
		return address.String()
	}
	network, err := address.Prefix(64)
	if err != nil {
		return address.String()
	}
	return network.String()
}
