package console

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/df-middleware/dfm/internal/converge"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// functions are what templates may call.
func functions(clock df.Clock) template.FuncMap {
	return template.FuncMap{
		"when":      when,
		"timed":     timed,
		"ago":       func(t any) template.HTML { return ago(t, clock()) },
		"tone":      tone,
		"word":      word,
		"system":    system,
		"direction": direction,
		"number":    number[int64],
		"count":     number[int],
		"many":      many,
		"pretty":    pretty,
		"exact":     exact,
		"decisions": decisions,
		"reason":    reasonKept,
		"add":       func(a, b int) int { return a + b },
		"short":     short,
		"segment":   url.PathEscape,
		"side":      func(name string) df.Side { return df.Side(name) },
		"draw":      draw,
		"fact":      factOf,
		"brief":     brief,
		"named":     func(names map[string]string, id string) named { return named{id, names[id]} },
		"way":       wayOf,
		"evidence":  evidencePath,
		"statuses":  func() []string { return []string{"success", "error", "skipped"} },
		"moves":     namedMoves,
		"line":      func(mine bool) SpokenLine { return SpokenLine{Mine: mine} },
		"blankCall": func() SpokenCall { return SpokenCall{State: "open"} },
		"money":     func(micros int64) string { return strconv.FormatFloat(float64(micros)/1e6, 'f', 4, 64) },
		"newAgent":  func() store.Agent { return store.Agent{Active: true} },
	}
}

// named is a person by id, with the name when there is one.
type named struct{ ID, Name string }

// instant reads a time or an optional one.
func instant(t any) time.Time {
	switch v := t.(type) {
	case time.Time:
		return v.UTC()
	case *time.Time:
		if v != nil {
			return v.UTC()
		}
	}
	return time.Time{}
}

const shownTime = "2006-01-02 15:04:05"

// when shows a time in UTC; the script turns it into the viewer's zone and
// leaves UTC for hovering.
func when(t any) template.HTML {
	at := instant(t)
	if at.IsZero() {
		return `<span class="none">never</span>`
	}
	utc := at.Format(shownTime) + " UTC"
	return template.HTML(`<time datetime="` + at.Format(time.RFC3339Nano) + `" title="` + utc + `">` + utc + `</time>`)
}

// instants finds the times that sentences and vendors' values hold.
var instants = regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)`)

// timed shows a text as it is, but for the times in it, which are shown as other
// times are.
func timed(text string) template.HTML {
	var shown strings.Builder
	from := 0
	for _, place := range instants.FindAllStringIndex(text, -1) {
		at, err := time.Parse(time.RFC3339, text[place[0]:place[1]])
		if err != nil {
			continue // looks like one, and is none
		}
		shown.WriteString(template.HTMLEscapeString(text[from:place[0]]))
		shown.WriteString(string(when(at)))
		from = place[1]
	}
	shown.WriteString(template.HTMLEscapeString(text[from:]))
	return template.HTML(shown.String())
}

// brief shows a time without its date and seconds where the script can tell that
// they go without saying, and anything else as a fact.
func brief(value any) any {
	at, ok := value.(time.Time)
	if !ok {
		return factOf(value)
	}
	at = at.UTC()
	return template.HTML(`<time data-brief datetime="` + at.Format(time.RFC3339) + `" title="` + at.Format(shownTime) + ` UTC">` +
		at.Format("2006-01-02 15:04") + ` UTC</time>`)
}

// ago shows how long ago something was, with the time itself for hovering.
func ago(t any, now time.Time) template.HTML {
	at := instant(t)
	if at.IsZero() {
		return `<span class="none">never</span>`
	}
	return template.HTML(`<time data-ago datetime="` + at.Format(time.RFC3339Nano) + `" title="` + at.Format(shownTime) + ` UTC">` +
		span(now.Sub(at)) + `</time>`)
}

func span(d time.Duration) string {
	after := " ago"
	if d < 0 {
		d, after = -d, " from now"
	}
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s" + after
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min" + after
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + " h" + after
	default:
		return strconv.Itoa(int(d.Hours()/24)) + " days" + after
	}
}

// tone says how a status is to be looked at: as good, busy, a warning, bad, or
// none of these. The chip's text says the same.
func tone(status any) string {
	switch fmt.Sprint(status) {
	case "done", "success", "ok", "active", "set", "settled", "in_force", "resolved", "yes", "pass", "agreed", "valid", "accepted", "applied", "breaker closed":
		return "good"
	case "pending", "processing", "checking", "acknowledged", "later", "wait", "asked":
		return "busy"
	case "error", "quarantined", "failed", "revoked", "unsigned", "refused", "not_written", "duplicate", "ambiguous", "blocked", "unknown_agent",
		"ambiguous_agent", "unknown_list", "not_applied", "critical", "no", "fail", "stop", "incident", "breaker open":
		return "bad"
	case "held", "ping_pong", "missing", "no_phone", "no_key", "not_retired", "expired", "both_changed", "put_back", "ends", "waiting", "braked",
		"unknown_stage", "unknown_sequence", "warning", "open", "held_back", "conflict", "silent", "overtaken", "breaker half_open":
		return "warn"
	default:
		return "idle"
	}
}

// word turns a name of ours into words: "both_changed" into "both changed".
func word(name any) string { return strings.ReplaceAll(fmt.Sprint(name), "_", " ") }

// system gives a source or side the name that its makers give it.
func system(name any) string {
	known := map[string]string{
		"ghl": "GoHighLevel", "aloware": "Aloware", "texting": "Texting", "broadcast": "Broadcasts", "verity": "Verity",
		"clerk": "Clerk", "database": "Database", "schema": "Database schema", "settings": "Settings", "encryption": "Encryption key",
		"base-url": "Public address", "clock": "Clock", "disk": "Disk", "spill": "Spilled deliveries", "backup": "Backups",
		"ghl-scopes": "GoHighLevel scopes", "ghl-app": "GoHighLevel app", "ghl-provider": "Conversation provider",
		"ghl-webhook-key": "GoHighLevel webhook key", "ghl-broadcasts": "Object for broadcasts", "aloware-writes": "Writes to Aloware",
		"aloware-native": "Aloware's own integration", "verity-catalogue": "Verity's catalogue", "clerk-keys": "Clerk's public keys",
	}
	if full, ok := known[fmt.Sprint(name)]; ok {
		return full
	}
	return fmt.Sprint(name)
}

// direction shows "ghl_to_aloware" as "GoHighLevel → Aloware".
func direction(d any) string {
	from, to, found := strings.Cut(fmt.Sprint(d), "_to_")
	if !found {
		return word(d)
	}
	return system(from) + " → " + system(to)
}

// many is a number with what is counted, by its name for one and for more.
func many(n int64, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + more
}

// number shows a whole number exactly, with its thousands apart.
func number[T int | int64](n T) string {
	text := strconv.FormatInt(int64(n), 10)
	digits := strings.TrimPrefix(text, "-")
	var b strings.Builder
	b.WriteString(text[:len(text)-len(digits)])
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return b.String()
}

// pretty indents JSON without touching a number or a name in it, and leaves
// anything else as it is.
func pretty(raw []byte) string {
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return exact(raw)
	}
	return out.String()
}

// exact shows bytes as they came: as text when they are text, else in hex.
func exact(raw []byte) string {
	if utf8.Valid(raw) {
		return string(raw)
	}
	return hex.Dump(raw)
}

// reasonKept reads the reason out of a line of the audit log.
func reasonKept(details json.RawMessage) string {
	var in struct{ Reason string }
	_ = json.Unmarshal(details, &in) // what is no text is no reason
	return in.Reason
}

// decisions reads what a run decided, by which rule.
func decisions(raw json.RawMessage) []converge.Decision {
	var found []converge.Decision
	if len(raw) == 0 || json.Unmarshal(raw, &found) != nil {
		return nil
	}
	return found
}

// short cuts the middle out of a long id. The whole one stands beside it in a
// title.
func short(id any) string {
	text := fmt.Sprint(id)
	if len(text) <= 13 {
		return text
	}
	return text[:8] + "…" + text[len(text)-4:]
}
