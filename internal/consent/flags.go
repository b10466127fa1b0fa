package consent

import (
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Flags is what is known of the do-not-contact flags of one contact at one side:
// what it showed last, and what we asked it to hold and have not seen there yet.
// Nil is unknown.
type Flags struct {
	Side      df.Side
	ContactID string
	Text      *bool
	Call      *bool
	AskedText *bool
	AskedCall *bool
	At        time.Time // of the notice that showed them last
}

// flag is one of a contact's two flags.
type flag struct {
	now, was, asked *bool
	rule            string
	scopes          []Scope
	holder          Holder
}

// FromFlags compares the flags that a notice carries, whatever the event's name,
// with what is known, and returns the acts they amount to and what is known from
// now on. Only a change matters:
//
//   - A flag that turned true is a Stop. A text flag covers what an opt-out by
//     text covers (LC-Phone sets GHL's SMS DND on a STOP), GHL's call flag
//     calls only, and Aloware's is_dnc, which means do-not-contact and stops
//     texts there too (its code 11), both. Aloware's is_opted_out is the
//     person's own STOP; anything else is a no of the side's.
//   - A flag that turned false is a Note: no data update opts anybody in.
//   - What we asked the side to hold is our own echo when it shows, and no act.
//
// A notice older than what is known teaches no new state; a no that it carries
// still counts, at its own time.
func FromFlags(side df.Side, n df.Notice, known Flags) (acts []Act, next Flags) {
	next = known
	if n.Contact == nil {
		return nil, next
	}
	_, phone := contactOf(n)
	calls, texts := []Scope{Call}, Holder(side)
	if side == df.SideAloware {
		calls, texts = Scopes(), Text
	}
	stale := !n.OccurredAt.IsZero() && n.OccurredAt.Before(known.At)
	for _, f := range []flag{
		{n.Contact.DoNotText, known.Text, known.AskedText, "do_not_text", nil, texts},
		{n.Contact.DoNotCall, known.Call, known.AskedCall, "do_not_call", calls, Holder(side)},
	} {
		kind := f.means(stale)
		if kind == None {
			continue
		}
		words := f.rule + " turned true"
		if kind == Note {
			words = f.rule + " turned false"
		}
		acts = append(acts, Act{Kind: kind, Phone: phone, Holder: f.holder, Scopes: f.scopes, Actor: string(side),
			At: n.OccurredAt, Source: string(side), Words: words, Rule: f.rule, Certain: true})
	}
	if !stale {
		next.Text, next.AskedText = seen(n.Contact.DoNotText, known.Text, known.AskedText)
		next.Call, next.AskedCall = seen(n.Contact.DoNotCall, known.Call, known.AskedCall)
		next.At = later(known.At, n.OccurredAt)
	}
	return acts, next
}

func (f flag) means(stale bool) Kind {
	switch {
	case f.now == nil, f.was != nil && *f.was == *f.now, f.asked != nil && *f.asked == *f.now:
		return None
	case *f.now:
		return Stop
	case f.was != nil && !stale:
		return Note
	}
	return None
}

// seen returns the flag as it is known from now on, and what is still awaited:
// a side that shows what it was asked for has answered.
func seen(now, was, asked *bool) (known, awaited *bool) {
	if now == nil {
		return was, asked
	}
	if asked != nil && *asked == *now {
		asked = nil
	}
	return now, asked
}
