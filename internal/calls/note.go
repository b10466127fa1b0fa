package calls

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// textMost is how many characters of each long text a note holds. GHL documents no
// limit of notes, so one that no reader misses is kept.
const textMost = 20_000

// View is what a note shows beside the call itself.
type View struct {
	Agent     string         // the agent's name; empty when none took part
	Zone      *time.Location // of the location
	Recording Link           // zero when there is none to offer
	Voicemail Link
}

// Link is an address for listening, and when it ends.
type Link struct {
	URL   string
	Until time.Time
}

// Marker is the last line of a call's note, by which the note is found again.
func Marker(callID string) string { return "[Aloware call " + callID + "]" }

// Marked reports whether the note is the call's: its last line is the marker.
func Marked(note, callID string) bool {
	lines := strings.Split(strings.TrimSpace(note), "\n")
	return strings.TrimSpace(lines[len(lines)-1]) == Marker(callID)
}

// Note is the call as a note for people. The same call and view make the same
// note.
func Note(c Call, v View) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s call: %s\n", words(string(c.Direction.Value)), strings.ToLower(words(c.Outcome())))
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, oneLine(value))
		}
	}
	zone := v.Zone
	if zone == nil {
		zone = time.UTC
	}
	if !c.StartedAt.IsZero() {
		line("When", c.StartedAt.In(zone).Format("Mon 2 Jan 2006, 15:04 MST"))
	}
	line("Agent", v.Agent)
	line("Customer", string(c.Customer.Value))
	line("Our number", string(c.Line.Value))
	line("Duration", lasted(c.Seconds.Value))
	line("Talked", lasted(c.TalkSeconds.Value))
	line("Disposition", c.Disposition.Value)
	line("Recording", heard(v.Recording, c.Recorded, zone))
	line("Voicemail", heard(v.Voicemail, c.VoicemailLeft, zone))
	line("Outcomes", strings.Join(c.Outcomes, ", "))
	section(&b, "Notes", c.Notes.Value)
	section(&b, "Summary", c.Summary.Value)
	section(&b, "Transcript", c.Transcript.Value)
	b.WriteString("\n" + Marker(c.ID))
	return b.String()
}

// heard says where something can be listened to.
func heard(link Link, exists bool, zone *time.Location) string {
	switch {
	case link.URL != "":
		return link.URL + " (until " + link.Until.In(zone).Format("2 Jan 2006") + ")"
	case exists:
		return "in Aloware"
	}
	return ""
}

func lasted(seconds int64) string {
	switch {
	case seconds <= 0:
		return ""
	case seconds < 60:
		return fmt.Sprintf("%d s", seconds)
	}
	return fmt.Sprintf("%d min %d s", seconds/60, seconds%60)
}

func section(b *strings.Builder, name, text string) {
	text = strings.TrimSpace(text)
	if text == "" {
		return
	}
	if utf8.RuneCountInString(text) > textMost {
		text = string([]rune(text)[:textMost]) + "\n… the rest is in df-middleware."
	}
	fmt.Fprintf(b, "\n%s:\n%s\n", name, text)
}

// oneLine keeps a value from looking like a further line of the note.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
