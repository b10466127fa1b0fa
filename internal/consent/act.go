package consent

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Scope is what consent is given or refused for.
type Scope string

// The scopes. A number can be out of one and in the other when the policy
// keeps them apart.
const (
	SMS  Scope = "sms"
	Call Scope = "call"
)

// Scopes lists every scope.
func Scopes() []Scope { return []Scope{SMS, Call} }

// Holder says whose no it is, and with that, whose yes can take it back.
type Holder string

// The holders. Text is the person's own words, by text or as reported by a
// carrier (Twilio 21610, Telnyx 40300, Aloware 11 and 32); a text START answers
// it. GHL and Aloware are flags that turned true there; a text START does not
// answer those, and the flag's turning false does not either. Operator is a
// person at our console, whose yes, given with evidence, answers every no.
const (
	Text     Holder = "text"
	GHL      Holder = "ghl"
	Aloware  Holder = "aloware"
	Operator Holder = "operator"
)

// Act is something that somebody said or did about being contacted.
type Act struct {
	Kind   Kind // Stop, Start, Help or Note
	Phone  df.Phone
	Holder Holder
	// Scopes is what the act covers. Empty means what the policy says an
	// opt-out by text covers.
	Scopes    []Scope
	Actor     string    // who: "customer", an operator's name, a system
	At        time.Time // when it happened; zero means when it was heard
	HeardAt   time.Time // when we heard
	Source    string    // which system told us
	Words     string    // in which words
	Rule      string    // which rule read them so
	Certain   bool
	MessageID string // on which message, the source's id
	EventID   string // in which webhook event of ours
	PersonID  string
	// Key names the act, so that it is kept once however often it is told.
	// Empty means that this telling is an act of its own.
	Key    string
	Review string // why a person should look at it; empty for no need

	// again are targets that must be told once more though nothing changed.
	again []Target
}

// Errors of acts that are not kept.
var (
	// ErrPhone is returned for an act without a number in E.164: it is never
	// guessed whom an opt-out is about.
	ErrPhone = errors.New("consent: the act has no phone number in E.164")
	// ErrNoEvidence is returned for an operator's opt-in that does not say who
	// it was and what it rests on.
	ErrNoEvidence = errors.New("consent: an opt-in by an operator needs a name and its evidence")
	// ErrKind is returned for an act of no known kind.
	ErrKind = errors.New("consent: unknown kind of act")
)

// settled returns the act as it will be kept: checked, in UTC and microseconds,
// with its scopes. What claims to come from the future happened when it was
// heard; a wrong clock must not make a START that no STOP can ever answer.
func (a Act) settled(policy Policy) (Act, error) {
	phone, err := df.ParsePhone(string(a.Phone), "")
	if err != nil || phone != a.Phone || !strings.HasPrefix(string(phone), "+") {
		return a, ErrPhone
	}
	if !slices.Contains([]Kind{Stop, Start, Help, Note}, a.Kind) {
		return a, ErrKind
	}
	if a.Kind == Start && a.Holder == Operator && (strings.TrimSpace(a.Words) == "" || strings.TrimSpace(a.Actor) == "") {
		return a, ErrNoEvidence
	}
	a.HeardAt = a.HeardAt.UTC().Truncate(time.Microsecond)
	a.At = a.At.UTC().Truncate(time.Microsecond)
	if a.At.IsZero() || a.At.After(a.HeardAt) {
		a.At = a.HeardAt
	}
	if len(a.Scopes) == 0 {
		a.Scopes = policy.ByText()
	}
	for _, text := range []*string{&a.Actor, &a.Source, &a.Words, &a.Rule, &a.MessageID, &a.EventID, &a.PersonID, &a.Key} {
		*text = kept(*text)
	}
	return a, nil
}

// kept returns a text as every database can hold it, since what is hashed must
// read back the same.
func kept(text string) string {
	if len(text) > maxText {
		text = text[:maxText]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
}

// binds reports whether the act changes a number's standing.
func (a Act) binds() bool { return a.Kind == Stop || a.Kind == Start }

// matters reports whether the number's row must be locked for the act.
func (a Act) matters() bool { return a.binds() || len(a.again) > 0 }
