package console

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Chart is a picture of numbers, drawn as inline SVG by the template "chart". It
// says every number exactly: when pointed at, and in a table below it.
type Chart struct {
	Title  string
	Kind   string      // line, bar or stacked
	Times  []time.Time // what each point stands for, when it is time; the beginning of it
	Labels []string    // what each point stands for otherwise
	Series []Series
	Unit   string // said behind each number: "events"
	// Format shows one number; nil shows it exactly, with its thousands apart.
	Format func(float64) string
}

// Series is one line, or one colour of the bars.
type Series struct {
	Name   string
	Tone   string    // accent, good, warn, bad, busy or idle
	Values []float64 // one for each point; NaN where there is none
}

// drawing is a chart with its places worked out, in units of the view box.
type drawing struct {
	Chart
	Width, Height int
	Empty         bool
	Summary       string
	Ticks         []string // from the top down
	Ends          []any    // labels of the first, the middle and the last point
	Columns       []column
	Paths         []path2d
}

// column is one point of all series: where the pointer finds it, what it says.
type column struct {
	X, W  string
	Says  string
	Label any
	Cells []string // the numbers, exactly
	Bars  []bar2d
}

type bar2d struct{ Tone, X, Y, W, H string }

// path2d is one line: its way, and a dot where a point stands alone.
type path2d struct {
	Tone, Way string
	Dots      []point2d
}

type point2d struct{ X, Y string }

const chartWidth, chartHeight = 720, 160

// draw works out where everything is. The template calls it.
func draw(c Chart) drawing {
	d := drawing{Chart: c, Width: chartWidth, Height: chartHeight}
	n := len(c.Times) + len(c.Labels)
	top, sums := c.extent(n)
	d.Empty = n == 0 || top == 0
	top = nice(top)
	for _, part := range []float64{1, 0.5, 0} {
		d.Ticks = append(d.Ticks, c.say(top*part))
	}
	d.Summary = c.summary(sums)
	if n == 0 {
		return d
	}
	step := float64(chartWidth) / float64(n)
	for i := range n {
		d.Columns = append(d.Columns, c.column(i, step, top))
	}
	for _, i := range []int{0, n / 2, n - 1} {
		d.Ends = append(d.Ends, c.label(i))
	}
	if c.Kind == "line" {
		for _, s := range c.Series {
			d.Paths = append(d.Paths, s.path(step, top))
		}
	}
	return d
}

// extent returns the largest height of the chart and the sum of each series.
func (c Chart) extent(n int) (top float64, sums []float64) {
	sums = make([]float64, len(c.Series))
	for i := range n {
		stack := 0.0
		for j, s := range c.Series {
			v := s.at(i)
			if math.IsNaN(v) {
				continue
			}
			sums[j] += v
			stack += v
			top = max(top, v)
		}
		if c.Kind == "stacked" {
			top = max(top, stack)
		}
	}
	return top, sums
}

func (c Chart) column(i int, step, top float64) column {
	col := column{X: at(float64(i) * step), W: at(step), Label: c.label(i)}
	says := make([]string, 0, len(c.Series))
	below := 0.0
	width := step * 0.72
	if c.Kind == "bar" {
		width /= float64(max(1, len(c.Series)))
	}
	for j, s := range c.Series {
		v := s.at(i)
		if math.IsNaN(v) {
			col.Cells = append(col.Cells, "–")
			continue
		}
		col.Cells = append(col.Cells, c.say(v))
		says = append(says, s.Name+" "+c.say(v))
		x, high := float64(i)*step+step*0.14, v/top*chartHeight
		if v > 0 {
			high = max(high, 1.5)
		}
		switch c.Kind {
		case "bar":
			col.Bars = append(col.Bars, bar2d{tint(s.Tone), at(x + float64(j)*width), at(chartHeight - high), at(width), at(high)})
		case "stacked":
			col.Bars = append(col.Bars, bar2d{tint(s.Tone), at(x), at(chartHeight - below - high), at(width), at(high)})
			below += high
		}
	}
	label := fmt.Sprint(col.Label)
	if i < len(c.Times) {
		label = c.Times[i].UTC().Format("2006-01-02 15:04") + " UTC"
	}
	col.Says = label + ": " + strings.Join(says, ", ")
	return col
}

func (s Series) at(i int) float64 {
	if i >= len(s.Values) {
		return math.NaN()
	}
	return s.Values[i]
}

// path draws the series as lines from point to point; where there is no number
// there is no line.
func (s Series) path(step, top float64) path2d {
	p := path2d{Tone: tint(s.Tone)}
	var way strings.Builder
	run := 0
	for i := 0; i <= len(s.Values); i++ {
		v := s.at(i)
		if math.IsNaN(v) {
			if run == 1 {
				p.Dots = append(p.Dots, point2d{at((float64(i) - 0.5) * step), at(chartHeight - s.at(i-1)/top*chartHeight)})
			}
			run = 0
			continue
		}
		letter := "L"
		if run == 0 {
			letter = "M"
		}
		run++
		way.WriteString(letter + at((float64(i)+0.5)*step) + " " + at(chartHeight-v/top*chartHeight))
	}
	p.Way = way.String()
	return p
}

func (c Chart) label(i int) any {
	if i < len(c.Times) {
		return c.Times[i]
	}
	return c.Labels[i-len(c.Times)]
}

// say shows one number.
func (c Chart) say(v float64) string {
	text := ""
	switch {
	case c.Format != nil:
		return c.Format(v)
	case v == math.Trunc(v) && math.Abs(v) < 1<<53:
		text = number(int64(v))
	default:
		text = strconv.FormatFloat(v, 'f', -1, 64)
	}
	if c.Unit != "" {
		return text + " " + c.Unit
	}
	return text
}

// summary is the chart in one sentence, for who does not see it.
func (c Chart) summary(sums []float64) string {
	parts := make([]string, len(c.Series))
	for i, s := range c.Series {
		most, seen := 0.0, false
		for _, v := range s.Values {
			if !math.IsNaN(v) {
				most, seen = max(most, v), true
			}
		}
		switch {
		case !seen:
			parts[i] = s.Name + ": no numbers"
		case c.Kind == "line":
			parts[i] = s.Name + ": " + c.say(most) + " at most"
		default:
			parts[i] = s.Name + ": " + c.say(sums[i]) + " in all, " + c.say(most) + " at most"
		}
	}
	return c.Title + ". " + strings.Join(parts, "; ") + "."
}

// nice returns the next round number, so that the scale can be read.
func nice(top float64) float64 {
	if top <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(top)))
	for _, times := range []float64{1, 2, 4, 6, 8, 10} {
		if top <= unit*times {
			return unit * times
		}
	}
	return unit * 10
}

func tint(tone string) string {
	if tone == "" {
		return "accent"
	}
	return tone
}

// at writes a place in the picture with two digits after the point at most.
func at(v float64) string { return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64) }
