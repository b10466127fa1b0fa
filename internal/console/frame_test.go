package console

import (
	"bytes"
	"html/template"
	"math"
	"strings"
	"testing"
	"time"
)

// partsPage renders one shared part as a page would.
func partsPage(t *testing.T, name string, data any) string {
	t.Helper()
	base, err := template.New("base.html").Funcs(functions(time.Now)).ParseFS(embedded, "templates/parts.html", "templates/charts.html")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := base.ExecuteTemplate(&out, name, data); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTheMenuShowsRegisteredPagesThatTheRoleMaySee(t *testing.T) {
	b := &Book{see: map[string]Role{"/": Viewer, "/events": Viewer, "/keys": Admin, "/broadcasts": Viewer, "/fleet": Viewer}, extra: map[string][]menuItem{}}
	b.Entry("Flow", "fleet", "/fleet", "Fleet")
	names := func(role Role) string {
		var said []string
		for _, g := range b.menuFor(role, "events", waiting{Quarantined: 3}) {
			for _, e := range g.Entries {
				if e.Name == "Events" && (!e.Current || e.Badge != 3) {
					t.Errorf("the current page is not lit or lacks its number: %+v", e)
				}
				said = append(said, e.Name)
			}
		}
		return strings.Join(said, " ")
	}
	if got := names(Viewer); got != "Overview Events Broadcasts Fleet" {
		t.Errorf("a viewer sees %s", got)
	}
	if got := names(Admin); got != "Overview Events Broadcasts Fleet API keys" {
		t.Errorf("an administrator sees %s", got)
	}
	if got := names("nobody"); got != "" {
		t.Errorf("an unknown role sees %s", got)
	}
}

// A page that two entries lead to is lit twice, and its number counted twice.
func TestNoTwoEntriesOfTheMenuLeadToOnePage(t *testing.T) {
	seen := map[string]string{}
	for _, g := range menu {
		for _, e := range g.items {
			if other, taken := seen[e.link]; taken {
				t.Errorf("%s and %s / %s both lead to %s", other, g.name, e.name, e.link)
			}
			seen[e.link] = g.name + " / " + e.name
		}
	}
}

func TestAChartSaysEveryNumberExactly(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 0, 0, 0, time.UTC)
	for _, kind := range []string{"line", "bar", "stacked"} {
		page := partsPage(t, "chart", Chart{Title: "Received", Kind: kind, Unit: "events", Times: []time.Time{at, at.Add(time.Hour), at.Add(2 * time.Hour)},
			Series: []Series{{Name: "good", Values: []float64{1234567, math.NaN(), 12}}, {Name: "wrong", Tone: "bad", Values: []float64{0, 3, 1.25}}}})
		for _, text := range []string{"1,234,567 events", "2030-01-02 04:00 UTC: wrong 3 events", "1.25 events", "–", `role="img"`, "Received."} {
			if !strings.Contains(page, text) {
				t.Errorf("%s: the chart does not say %q:\n%s", kind, text, page)
			}
		}
		if strings.Contains(page, "NaN") {
			t.Errorf("%s: where there is no number something is drawn", kind)
		}
	}
	if page := partsPage(t, "chart", Chart{Title: "Nothing", Kind: "line"}); !strings.Contains(page, "Nothing to draw") {
		t.Errorf("an empty chart: %s", page)
	}
}

func TestAChartKeepsWithinItsFrame(t *testing.T) {
	d := draw(Chart{Kind: "stacked", Labels: []string{"a", "b"}, Series: []Series{{Values: []float64{60, 1}}, {Values: []float64{41, 0}}}})
	if d.Ticks[0] != "200" {
		t.Errorf("the scale ends at %s", d.Ticks[0])
	}
	if bars := d.Columns[0].Bars; bars[0].Y != "112" || bars[1].Y != "79.2" {
		t.Errorf("bars stand at %+v", bars)
	}
	for top, want := range map[float64]float64{0: 1, 1: 1, 3: 4, 99: 100, 101: 200, 0.03: 0.04} {
		if got := nice(top); math.Abs(got-want) > 1e-12 {
			t.Errorf("the scale for %v ends at %v, want %v", top, got, want)
		}
	}
}

func TestPartsSayWhatTheyAreGivenAndEscapeIt(t *testing.T) {
	const hostile = `<script>x</script>`
	for name, data := range map[string]any{
		"tiles":    []Tile{{Name: hostile, Figure: Number(1234567), More: hostile, Link: "/x", Bad: true}},
		"facts":    []Fact{{Name: "At", Value: time.Unix(0, 0)}, {Name: "Id", Value: hostile, Code: true}, {Name: "State", Value: "done", Chip: true}, {Name: "None", Value: ""}, {Name: "N", Value: int64(1234567)}},
		"empty":    Empty{Title: hostile, Text: "do this", Link: "/x", Label: "Go"},
		"tabs":     []Tab{{Name: hostile, Link: "/x", Current: true, Count: "1,234,567"}},
		"filters":  Filters{Path: "/x", Active: true, Fields: []Filter{{Name: "q", Label: "Text", Value: hostile}, {Name: "s", Label: "S", Kind: "select", Options: []Option{{"a", "A"}}, Value: "a"}}},
		"timeline": []Step{{At: time.Unix(0, 0), Chip: "done", Title: hostile, Link: "/x", Text: "1,234,567"}},
	} {
		page := partsPage(t, name, data)
		if strings.Contains(page, "<script>") || !strings.Contains(page, "&lt;script&gt;") {
			t.Errorf("%s does not escape: %s", name, page)
		}
		if name != "empty" && name != "filters" && !strings.Contains(page, "1,234,567") {
			t.Errorf("%s does not show the number: %s", name, page)
		}
	}
	if page := partsPage(t, "filters", Filters{Fields: []Filter{{Name: "s", Kind: "select", Options: []Option{{"a", "A"}}, Value: "a"}}}); !strings.Contains(page, `value="a" selected`) {
		t.Errorf("the filter forgets its value: %s", page)
	}
}

func TestTimesInSentencesAreShownAsTimesAndTheRestIsEscaped(t *testing.T) {
	const utc = `<time datetime="2030-01-02T20:04:05Z" title="2030-01-02 20:04:05 UTC">2030-01-02 20:04:05 UTC</time>`
	for text, want := range map[string]string{
		"":                                     "",
		"<b>tried again</b>":                   "&lt;b&gt;tried again&lt;/b&gt;",
		"again 2030-01-02T20:04:05Z & later":   "again " + utc + " &amp; later",
		"2030-01-02T15:04:05-05:00 → <x>":      utc + " → &lt;x&gt;",
		"no month: 2030-13-02T20:04:05Z <i>":   "no month: 2030-13-02T20:04:05Z &lt;i&gt;",
		"2030-01-02T20:04:05Z2030-01-02T20:04": utc + "2030-01-02T20:04",
	} {
		if got := string(timed(text)); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}
