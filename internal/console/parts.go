package console

import (
	"fmt"
	"net/http"
	"time"
)

// The shared parts of pages. Each has a template of its name in parts.html:
// {{template "tile" .Tile}}, {{template "filters" .Filters}} and so on.

// Tile is one number that stands for itself, with the way to what is behind it.
type Tile struct {
	Name   string
	Figure string // as Number or Percent write it
	More   string // one line of context
	Link   string // "" for none
	Bad    bool   // whether it wants attention
}

// Number writes a whole number exactly, with its thousands apart.
func Number(n int64) string { return number(n) }

// Fact is one line of a definition list. Times and statuses show as such.
type Fact struct {
	Name  string
	Value any    // a time.Time shows in the viewer's zone, "" as none
	Link  string // "" for none
	Code  bool   // whether it is an id or the like
	Chip  bool   // whether it is a status
}

// Empty is what a list says that holds nothing: why, and what to do.
type Empty struct {
	Title, Text string
	Link, Label string // a button, when there is something to do
}

// Tab is one way to look at the same thing.
type Tab struct {
	Name, Link string
	Current    bool
	Count      string // "" for none
}

// Step is one line of a timeline.
type Step struct {
	At    any    // a time
	Chip  string // what kind it is or how it went
	Title string
	Link  string // of the title; "" for none
	Text  string
}

// Option is one choice of a filter.
type Option struct{ Value, Label string }

// Filter is one field of the bar above a list.
type Filter struct {
	Name, Label string
	Kind        string // text, select, date or time; text when empty
	Hint        string
	Options     []Option // of a select; "all" is always among them
	Value       string
}

// Filters is the bar above a list. It is a plain form that puts the filters into
// the address, so that every view of a list can be bookmarked.
type Filters struct {
	Path   string
	Fields []Filter
	Active bool // whether any filter is set
}

// FiltersOf fills the fields with what the request asks for.
func FiltersOf(r *http.Request, fields ...Filter) Filters {
	bar := Filters{Path: r.URL.Path, Fields: fields}
	q := r.URL.Query()
	for i := range fields {
		fields[i].Value = q.Get(fields[i].Name)
		bar.Active = bar.Active || fields[i].Value != ""
	}
	return bar
}

// factOf shows a value of a fact or of a chart's label: times as times, whole
// numbers with their thousands apart, all else as text.
func factOf(value any) any {
	switch v := value.(type) {
	case nil:
		return ""
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return when(v)
	case *time.Time:
		if v == nil {
			return ""
		}
		return when(v)
	case int64:
		return number(v)
	case int:
		return number(v)
	default:
		return fmt.Sprint(v)
	}
}
