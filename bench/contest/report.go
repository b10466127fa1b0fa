package contest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// target is what the project promises of one figure.
type target struct {
	what       string
	shape      string
	contestant string
	figure     string
	// base, when set, is the contestant to compare with: the value is then a
	// ratio of medians.
	base            string
	must, ambitious float64
	atMost          bool // smaller is better
}

// verdict is a target held against what was measured.
type verdict struct {
	target
	value    float64
	measured bool
	why      string // it was not measured
}

func (v verdict) met(goal float64) bool {
	if v.atMost {
		return v.value <= goal
	}
	return v.value >= goal
}

// word is the verdict in a word or two.
func (v verdict) word() string {
	switch {
	case !v.measured:
		return "not measured: " + v.why
	case !v.met(v.must):
		return "FAIL"
	case v.met(v.ambitious):
		return "PASS, ambitious"
	}
	return "PASS"
}

// ok reports whether the target is known to be met.
func (v verdict) ok() bool { return v.measured && v.met(v.must) }

// judge holds every target against the table.
func judge(t *table, targets []target) []verdict {
	verdicts := make([]verdict, 0, len(targets))
	for _, goal := range targets {
		v := verdict{target: goal}
		own, ok := t.median(cell{goal.shape, goal.contestant}, goal.figure)
		if !ok {
			v.why = t.whyNot(cell{goal.shape, goal.contestant})
			verdicts = append(verdicts, v)
			continue
		}
		v.value, v.measured = own, true
		if goal.base != "" {
			base, ok := t.median(cell{goal.shape, goal.base}, goal.figure)
			v.measured = ok && base != 0
			v.why = t.whyNot(cell{goal.shape, goal.base})
			if v.measured {
				v.value = own / base
			}
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

func (t *table) whyNot(at cell) string {
	switch {
	case t.missing[at.contestant] != "":
		return t.missing[at.contestant]
	case t.failures[at] != nil:
		line, _, _ := strings.Cut(t.failures[at].Error(), "\n")
		return at.contestant + " failed: " + line
	}
	return "no run of " + at.contestant
}

// column is a figure to show, with the digits after its point.
type column struct {
	figure, title string
	digits        int
}

// render writes the table and the verdicts as Markdown.
func render(title string, t *table, shapes []shape, contestants []contestant, columns []column, verdicts []verdict) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n", title)
	for _, s := range shapes {
		rows := [][]string{header(columns)}
		for _, c := range contestants {
			if row := t.row(cell{s.name, c.name}, columns); row != nil {
				rows = append(rows, row)
			}
		}
		if len(rows) > 1 {
			fmt.Fprintf(&b, "\n### %s\n\n%s", s.name, grid(rows))
		}
	}
	if len(t.disturbed) > 0 {
		fmt.Fprintf(&b, "\n\\* disturbed: other processes used more than %.2f cores in most runs; measure again on a quiet machine.\n", t.limit)
	}
	for _, name := range slices.Sorted(maps.Keys(t.missing)) {
		fmt.Fprintf(&b, "\nLeft out: %s (%s).\n", name, t.missing[name])
	}
	rows := [][]string{{"target", "measured", "must", "ambitious", "verdict"}}
	for _, v := range verdicts {
		sign := ">= "
		if v.atMost {
			sign = "<= "
		}
		measured := "-"
		if v.measured {
			measured = number(v.value, 3)
		}
		rows = append(rows, []string{v.what, measured, sign + number(v.must, 3), sign + number(v.ambitious, 3), v.word()})
	}
	fmt.Fprintf(&b, "\n### Targets\n\n%s", grid(rows))
	return b.String()
}

func header(columns []column) []string {
	row := []string{"", "runs"}
	for _, c := range columns {
		row = append(row, c.title)
	}
	return row
}

func (t *table) row(at cell, columns []column) []string {
	if err := t.failures[at]; err != nil {
		return append([]string{at.contestant + " (failed)", "0"}, make([]string, len(columns))...)
	}
	if len(t.samples[at]) == 0 {
		return nil
	}
	row := []string{at.contestant, fmt.Sprint(len(t.clean(at)))}
	for _, c := range columns {
		value := ""
		if v, ok := t.median(at, c.figure); ok {
			value = number(v, c.digits)
		}
		row = append(row, value)
	}
	if t.disturbed[at] {
		row[0] += " *"
		row[1] = fmt.Sprint(len(t.samples[at]))
	}
	return row
}

// number writes a value with at most so many digits after the point.
func number(v float64, digits int) string {
	text := fmt.Sprintf("%.*f", digits, v)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// grid aligns rows as a Markdown table whose first row is the header.
func grid(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, text := range row {
			widths[i] = max(widths[i], len(text), 3)
		}
	}
	var b strings.Builder
	write := func(row []string) {
		for i, text := range row {
			fmt.Fprintf(&b, "| %-*s ", widths[i], text)
		}
		b.WriteString("|\n")
	}
	write(rows[0])
	rule := make([]string, len(widths))
	for i, width := range widths {
		rule[i] = strings.Repeat("-", width)
	}
	write(rule)
	for _, row := range rows[1:] {
		write(row)
	}
	return b.String()
}

// figures is a sample on one line, for progress.
func figures(f map[string]float64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(f)) {
		parts = append(parts, name+" "+number(f[name], 2))
	}
	return strings.Join(parts, ", ")
}
