package console

import (
	"strings"

	"github.com/df-middleware/dfm/internal/df"
)

// traffic is what went between one system and us.
type traffic struct {
	Name     string // of the system: "ghl"
	Health   string // ok, failed, not_configured, or "checking" before the first answer
	Received int64  // events from it
	Written  int64  // writes to it that took effect
	Failed   int64  // writes to it that did not
	Lately   rates  // the same in the last few minutes
	Writes   bool   // whether we write to it at all
}

// rates is what went along the arrows in the last few minutes.
type rates struct{ In, Out int64 }

// trafficOf adds up, by system, what the figures hold.
func trafficOf(f figures, health []Connection) []traffic {
	systems := []traffic{
		{Name: "ghl", Writes: true}, {Name: "aloware", Writes: true}, {Name: "texting", Writes: true}, {Name: "verity"},
	}
	of := func(name string) *traffic {
		for i := range systems {
			if systems[i].Name == name {
				return &systems[i]
			}
		}
		return nil
	}
	for _, c := range f.Slots {
		name := string(c.Source)
		if c.Source == df.SourceBroadcast {
			name = "verity" // broadcasts are Verity's
		}
		if t := of(name); t != nil {
			t.Received += c.Events
			if c.Slot == lateSlot {
				t.Lately.In += c.Events
			}
		}
	}
	for _, c := range f.Syncs {
		_, to, _ := strings.Cut(string(c.Direction), "_to_")
		t := of(to)
		switch {
		case t == nil:
		case c.Status == "success":
			t.Written += c.Lines
		case c.Status == "error":
			t.Failed += c.Lines
		}
	}
	for _, c := range f.Lately {
		_, to, _ := strings.Cut(string(c.Direction), "_to_")
		if t := of(to); t != nil && c.Status == "success" {
			t.Lately.Out += c.Lines
		}
	}
	for i := range systems {
		systems[i].Health = "not_configured"
		if health == nil {
			systems[i].Health = "checking"
		}
	}
	for _, c := range health {
		if t := of(c.Name); t != nil {
			t.Health = c.Status
		}
	}
	return systems
}

// picture is the flow picture: boxes for the systems beside one for us, arrows
// between. All measures are in the units of its view box.
type picture struct {
	Kind          string // wide or tall
	Width, Height int
	Open          int64 // events that wait here
	Hub           box
	Spokes        []spoke
}

type box struct{ X, Y, W, H int }

// MidX returns the middle of the box.
func (b box) MidX() int { return b.X + b.W/2 }

// MidY returns the middle of the box.
func (b box) MidY() int { return b.Y + b.H/2 }

// spoke is one system and its arrows to and from us.
type spoke struct {
	traffic
	Box     box
	In, Out arrow
}

// arrow is horizontal, from From to To.
type arrow struct{ From, To, Y int }

// Mid returns where the arrow's label stands.
func (a arrow) Mid() int { return (a.From + a.To) / 2 }

// way is an arrow as it is drawn; it moves when something went along it.
type way struct {
	arrow
	Back   int // from the tip to its base
	Moving bool
}

func wayOf(a arrow, traffic int64) way {
	back := -9
	if a.To < a.From {
		back = 9
	}
	return way{a, back, traffic > 0}
}

// wide draws two systems on either side, for desks; tall draws all on one side,
// for phones.
func wide(systems []traffic, open int64) picture {
	const width, height, boxW, boxH, hubW = 940, 270, 180, 104, 190
	p := picture{Kind: "wide", Width: width, Height: height, Open: open, Hub: box{(width - hubW) / 2, 8, hubW, height - 16}}
	for i, t := range systems {
		b := box{1, 14 + (i/2)*(boxH+34), boxW, boxH}
		if i%2 == 1 {
			b.X = width - boxW - 1
		}
		p.Spokes = append(p.Spokes, connect(t, b, p.Hub))
	}
	return p
}

func tall(systems []traffic, open int64) picture {
	const width, boxW, boxH, hubW = 360, 122, 104, 76
	height := len(systems)*(boxH+20) + 6
	p := picture{Kind: "tall", Width: width, Height: height, Open: open, Hub: box{width - hubW - 1, 4, hubW, height - 8}}
	for i, t := range systems {
		p.Spokes = append(p.Spokes, connect(t, box{1, 14 + i*(boxH+20), boxW, boxH}, p.Hub))
	}
	return p
}

// connect draws the arrows between a system's box and ours.
func connect(t traffic, b, hub box) spoke {
	const gap = 8
	inner, outer := b.X+b.W+gap, hub.X-gap
	if b.X > hub.X {
		inner, outer = b.X-gap, hub.X+hub.W+gap
	}
	return spoke{traffic: t, Box: b, In: arrow{inner, outer, b.Y + 34}, Out: arrow{outer, inner, b.Y + 80}}
}
