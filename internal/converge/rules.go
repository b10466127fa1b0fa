package converge

import (
	"fmt"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Policy is the setting CONTACT_SOURCE_OF_TRUTH. It is the rule of every field
// that has none of its own.
type Policy string

// Merge moves what changed, whichever side it changed on, and prefers GHL where
// both did. FromGHL makes Aloware a copy of GHL, FromAloware the reverse; both
// fill what their source leaves empty when the sides first meet.
const (
	Merge       Policy = "merge"
	FromGHL     Policy = "ghl"
	FromAloware Policy = "aloware"
)

// ParsePolicy reads the setting; empty means Merge.
func ParsePolicy(text string) (Policy, error) {
	switch p := Policy(text); p {
	case "":
		return Merge, nil
	case Merge, FromGHL, FromAloware:
		return p, nil
	}
	return "", fmt.Errorf("%q is none of merge, ghl, aloware", text)
}

// FieldRule says what moves for one field.
type FieldRule string

// The rules of a field. Prefer… moves changes both ways and names who wins when
// both changed; Mirror… makes one side a copy of the other; Never leaves the
// field alone on both.
const (
	PreferGHL     FieldRule = "prefer_ghl"
	PreferAloware FieldRule = "prefer_aloware"
	MirrorGHL     FieldRule = "mirror_ghl"
	MirrorAloware FieldRule = "mirror_aloware"
	Never         FieldRule = "never"
)

// winner returns the side whose value is chosen where the values conflict.
func (r FieldRule) winner() df.Side {
	if r == PreferAloware || r == MirrorAloware {
		return df.SideAloware
	}
	return df.SideGHL
}

// mirrors reports whether the side only copies the other one under this rule.
func (r FieldRule) mirrors(side df.Side) bool {
	return r == MirrorGHL && side == df.SideAloware || r == MirrorAloware && side == df.SideGHL
}

// TagsField names the set of tags where rules and records need a field's name.
const TagsField df.Field = "tags"

// Ability says what a side can take. The zero Ability takes nothing.
type Ability struct {
	Holds      func(df.Field) bool
	Writable   func(df.Field) bool
	RemoveTags bool
}

func (a Ability) holds(f df.Field) bool    { return a.Holds != nil && a.Holds(f) }
func (a Ability) writable(f df.Field) bool { return a.holds(f) && a.Writable != nil && a.Writable(f) }

// AbilityOf asks a side what it can take.
func AbilityOf(s Side) Ability {
	return Ability{Holds: s.Holds, Writable: s.Writable, RemoveTags: s.CanRemoveTags()}
}

// Rules decide what Plan does.
type Rules struct {
	Policy Policy                 // empty means Merge
	Fields map[df.Field]FieldRule // overrides the policy; TagsField stands for tags
	Can    map[df.Side]Ability
}

// For returns the rule of a field.
func (r Rules) For(field df.Field) FieldRule {
	if rule, ok := r.Fields[field]; ok {
		return rule
	}
	switch r.Policy {
	case FromGHL:
		return MirrorGHL
	case FromAloware:
		return MirrorAloware
	}
	return PreferGHL
}

// Limits bound what one run and one person may cost.
type Limits struct {
	Rounds       int           // plans within one run, when somebody edits meanwhile
	Tries        int           // writes of one value that a side accepts and does not keep
	RetryAfter   time.Duration // before the next of these tries
	UnclearAfter time.Duration // before an unanswered call is looked up
	MissingGrace time.Duration // how long a GHL contact must be gone, unannounced, to count as deleted
	Breaker      Breaker
}

// DefaultLimits returns the limits that production uses.
func DefaultLimits() Limits {
	return Limits{
		Rounds: 3, Tries: 3, RetryAfter: 30 * time.Second, UnclearAfter: 30 * time.Second,
		MissingGrace: 24 * time.Hour,
		Breaker:      Breaker{Window: time.Hour, Cap: 6, Hold: 6 * time.Hour},
	}
}
