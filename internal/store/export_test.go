package store

// ErasedTable is what the tests of this room may know of an erasure's step.
type ErasedTable struct {
	Table, Set string
	Keeps      []string
}

// ErasedTables lists the steps of an erasure.
func ErasedTables() []ErasedTable {
	tables := make([]ErasedTable, len(erasures))
	for i, e := range erasures {
		tables[i] = ErasedTable{e.table, e.set, e.keeps}
	}
	return tables
}

// Query is how the filter asks, for tests that read plans.
func (f SyncFilter) Query() (string, []any) { return f.query() }

// WithPhone is how people are selected by their phone, for tests that read plans.
const WithPhone = withPhone

// Query is how the filter asks for a page, for tests that read plans.
func (f EventFilter) Query() (string, []any) { return f.page(fullEvent) }

// CountEventsQuery and DriftQuery are for tests that read plans.
const (
	CountEventsQuery = countEvents
	DriftQuery       = driftRows
)

// Query is how the filter asks, for tests that read plans.
func (f MessageFilter) Query() (string, []any) { return f.query() }

// Query is what Conflicts asks the engine.
func (f ConflictFilter) Query() (string, []any) { return f.query() }
