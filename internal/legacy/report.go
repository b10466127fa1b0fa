package legacy

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/df-middleware/dfm/internal/df"
)

// Report is what an import came to, or with DryRun would come to.
type Report struct {
	DryRun     bool      `json:"dryRun"`
	StartedAt  time.Time `json:"startedAt"`
	FinishedAt time.Time `json:"finishedAt"`
	Tables     []*Table  `json:"tables"`
	// StopsInTexts counts the texts that nobody had read and that are opt-outs.
	StopsInTexts int64 `json:"stopsInTexts"`
	// Questions counts what was left to a person, by kind.
	Questions map[string]int64 `json:"questions"`
}

// Table is what became of one table. Read is always the sum of Imported,
// AlreadyThere and Refused.
type Table struct {
	Name           string   `json:"table"`
	Missing        bool     `json:"missing,omitempty"`
	MissingColumns []string `json:"missingColumns,omitempty"`
	Read           int64    `json:"read"`
	Imported       int64    `json:"imported"`
	AlreadyThere   int64    `json:"alreadyThere"`
	Refused        int64    `json:"refused"`
	// Reasons say why rows were refused, Notes what was left out of imported ones.
	Reasons []Reason `json:"reasons,omitempty"`
	Notes   []Reason `json:"notes,omitempty"`
}

// Reason is one reason with a few of its rows, whose numbers are masked.
type Reason struct {
	Reason   string   `json:"reason"`
	Count    int64    `json:"count"`
	Examples []string `json:"examples,omitempty"`
}

// most is how many rows a reason shows.
const most = 3

// tally counts one batch.
type tally struct {
	read, imported, already int64
	stops                   int64
	questions               map[string]int64
	refused, notes          map[string]*Reason
}

func (t *tally) refuse(reason, example string) { note(&t.refused, reason, example) }

func (t *tally) remark(reason, example string) { note(&t.notes, reason, example) }

func (t *tally) ask(kind string) {
	if t.questions == nil {
		t.questions = map[string]int64{}
	}
	t.questions[kind]++
}

// add counts a row that was added, or was there.
func (t *tally) add(added bool) {
	if added {
		t.imported++
	} else {
		t.already++
	}
}

func note(to *map[string]*Reason, reason, example string) {
	if *to == nil {
		*to = map[string]*Reason{}
	}
	r := (*to)[reason]
	if r == nil {
		r = &Reason{Reason: reason}
		(*to)[reason] = r
	}
	r.Count++
	if example != "" && len(r.Examples) < most {
		r.Examples = append(r.Examples, example)
	}
}

// take adds a batch's counts to the table's and the report's.
func (r *Report) take(t *Table, c tally) {
	t.Read += c.read
	t.Imported += c.imported
	t.AlreadyThere += c.already
	for _, reason := range c.refused {
		t.Refused += reason.Count
	}
	t.Reasons, t.Notes = merged(t.Reasons, c.refused), merged(t.Notes, c.notes)
	r.StopsInTexts += c.stops
	for kind, n := range c.questions {
		r.Questions[kind] += n
	}
}

func merged(list []Reason, more map[string]*Reason) []Reason {
	for _, reason := range slices.Sorted(maps.Keys(more)) {
		m := more[reason]
		at := slices.IndexFunc(list, func(r Reason) bool { return r.Reason == reason })
		if at < 0 {
			list = append(list, *m)
			continue
		}
		list[at].Count += m.Count
		room := min(most-len(list[at].Examples), len(m.Examples))
		list[at].Examples = append(list[at].Examples, m.Examples[:room]...)
	}
	slices.SortStableFunc(list, func(a, b Reason) int { return cmp.Compare(b.Count, a.Count) })
	return list
}

// row names a row of the original: its id, and its number masked.
func row(id, number string) string {
	id = printable(id)
	if number = masked(number); number == "" {
		return id
	}
	return id + " " + number
}

// masked hides a number, also one that cannot be read, but for its ends.
func masked(number string) string {
	number = strings.TrimSpace(number)
	if phone, err := df.ParsePhone(number, ""); err == nil {
		return phone.Redacted()
	}
	hidden := []rune(number)
	for i, r := range hidden {
		if i < len(hidden)-2 && !unicode.IsSpace(r) {
			hidden[i] = '*'
		}
	}
	return string(hidden[:min(len(hidden), 24)])
}

// printable is an id as it may be shown.
func printable(id string) string {
	id = strings.Map(func(r rune) rune {
		if r > 0x20 && r < 0x7f {
			return r
		}
		return -1
	}, id)
	return id[:min(len(id), 40)]
}

// join adds what was heard in a batch.
func (t *tally) join(heard tally) {
	t.stops += heard.stops
	for kind, n := range heard.questions {
		for range n {
			t.ask(kind)
		}
	}
}
