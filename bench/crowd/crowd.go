package crowd

import (
	"iter"
	"time"
)

// Size is how much there is to be. Everything else follows from the two.
type Size struct {
	Events int
	People int
}

// Table is rows for one table, in the order in which they are to be inserted.
type Table struct {
	Name    string
	Columns []string
	Count   int
	Row     func(i int) []any
}

// Rows are the rows one by one.
func (t Table) Rows() iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for i := range t.Count {
			if !yield(t.Row(i)) {
				return
			}
		}
	}
}

// span is how far back the events go.
const span = 90 * 24 * time.Hour

// Crowd is what is made, as of one time.
type Crowd struct {
	Size
	now time.Time
}

// New returns a crowd as of the given time, which must not be later than the
// clock of the program that will show it.
func New(size Size, now time.Time) *Crowd {
	size.Events, size.People = max(size.Events, 100), max(size.People, 20)
	return &Crowd{size, now.UTC().Truncate(time.Microsecond)}
}

// Tables are all tables that are filled.
func (c *Crowd) Tables() []Table {
	var all []Table
	for _, some := range [][]Table{c.peopleTables(), c.eventTables(), c.ledgerTables(), c.flowTables(), c.listTables(), c.consentTables(), c.systemTables()} {
		all = append(all, some...)
	}
	return all
}

// ago spreads n things evenly over a stretch that ends now, the oldest first.
func (c *Crowd) ago(i, n int, stretch time.Duration) time.Time {
	part := time.Duration(float64(stretch) * float64(n-i) / float64(n+1))
	return c.now.Add(-part).Truncate(time.Microsecond)
}

// share is a part of a number, never less than least.
func share(n, part, least int) int { return max(n/part, least) }
