package calls

import (
	"fmt"
	"strings"
	"time"
)

// Readable is what a note needs besides what is known of the call.
type Readable struct {
	ID    string // of the call
	Agent string // the agent's name, "" when nobody's
	Zone  *time.Location
	Link  string // to the recording, "" when there is none
}

// The longest parts of a note, in bytes. GHL's limit is not documented; notes of
// this size were taken.
const (
	longestSummary    = 4000
	longestTranscript = 8000
	longestRemarks    = 2000
)

// Marker is the line of a note by which it is found again after an answer that
// was lost.
func Marker(id string) string { return "[Aloware call " + id + "]" }

// Note writes the note about a call. It is a pure function: the same facts make
// the same note, so an update that would change nothing is seen for one.
func Note(f Facts, r Readable) string {
	var b strings.Builder
	line := func(label, text string) {
		if text != "" {
			b.WriteString(label + ": " + strings.Join(strings.Fields(unmarked(text)), " ") + "\n")
		}
	}
	b.WriteString(title(f, r.Zone) + "\n")
	line("Agent", r.Agent)
	line("Our line", f.Get(Line))
	line("Outcome", outcome(f))
	line("Disposition", clip(f.Get(Disposition), longestRemarks))
	line("Remarks", clip(f.Get(Remarks), longestRemarks))
	line(recordingName(f), r.Link)
	line("Outcomes", clip(strings.ReplaceAll(f.Get(Outcomes), "\n", ", "), longestRemarks))
	paragraph(&b, "Summary", f.Get(Summary), longestSummary)
	paragraph(&b, "Transcript", f.Get(Transcript), longestTranscript)
	b.WriteString("\n" + Marker(r.ID))
	return b.String()
}

func title(f Facts, zone *time.Location) string {
	name := "Call"
	switch f.Get(Direction) {
	case Inbound:
		name = "Inbound call"
	case Outbound:
		name = "Outbound call"
	}
	if at := f.Time(Started); !at.IsZero() {
		name += " on " + at.In(zone).Format("Mon, 2 Jan 2006 at 15:04 MST")
	}
	return name
}

func outcome(f Facts) string {
	text := f.Outcome()
	if talked := f.Seconds(Talked); talked > 0 {
		text += ", talked " + spell(talked)
	} else if lasted := f.Seconds(Duration); lasted > 0 {
		text += ", lasted " + spell(lasted)
	}
	return strings.TrimPrefix(text, ", ")
}

// spell writes a duration for people: "4 min 10 s".
func spell(d time.Duration) string {
	hours, minutes, seconds := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case hours > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%d min %d s", minutes, seconds)
	}
	return fmt.Sprintf("%d s", seconds)
}

func recordingName(f Facts) string {
	if f.Get(Voicemail) != "" {
		return "Voicemail"
	}
	return "Recording"
}

func paragraph(b *strings.Builder, label, text string, most int) {
	if text = strings.TrimSpace(text); text == "" {
		return
	}
	short := clip(text, most)
	if len(short) < len(text) {
		short += " …"
	}
	b.WriteString("\n" + label + ":\n" + unmarked(short) + "\n")
}

// unmarked keeps what was said or typed from passing for another call's marker.
func unmarked(text string) string {
	return strings.ReplaceAll(text, "[Aloware call ", "(Aloware call ")
}

// LogStatus is how GHL calls the way a call went, in a call log.
func LogStatus(f Facts) string {
	switch f.Outcome() {
	case "Completed":
		return "completed"
	case "Voicemail":
		return "voicemail"
	case "Failed":
		return "failed"
	case "Canceled":
		return "canceled"
	}
	return "no-answer"
}

// clip cuts a text to the most bytes, between two characters.
func clip(text string, most int) string {
	if len(text) > most {
		text = text[:most]
	}
	return strings.ToValidUTF8(text, "")
}
