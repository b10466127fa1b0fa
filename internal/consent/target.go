package consent

import (
	"context"
	"slices"

	"github.com/df-middleware/dfm/internal/df"
)

// Target is one thing at one system that a number's standing must reach.
type Target string

// The targets, in the order in which they are told: what stops messages first.
const (
	GHLDND           Target = "ghl_dnd"
	AlowareDNC       Target = "aloware_dnc"
	AlowareSequences Target = "aloware_sequences"
	AlowareLists     Target = "aloware_lists"
	GHLTag           Target = "ghl_tag"
)

// Targets lists those of the systems that are configured.
func Targets(ghl, aloware bool) []Target {
	var list []Target
	for _, target := range []Target{GHLDND, AlowareDNC, AlowareSequences, AlowareLists, GHLTag} {
		if target.side() == df.SideGHL && ghl || target.side() == df.SideAloware && aloware {
			list = append(list, target)
		}
	}
	return list
}

func (t Target) side() df.Side {
	if t == GHLDND || t == GHLTag {
		return df.SideGHL
	}
	return df.SideAloware
}

func targetsOf(side df.Side, all []Target) []Target {
	return slices.DeleteFunc(slices.Clone(all), func(t Target) bool { return t.side() != side })
}

// Contacts is how a side's contacts are looked up, in the words of converge.Side.
// df.CodeNotFound means that there is none; it is an empty answer of Find.
type Contacts interface {
	Find(ctx context.Context, phone df.Phone, email string) ([]df.Contact, error)
	Read(ctx context.Context, ref df.Ref) (df.Contact, error)
}

// GHLTarget is what the fan-out needs of GHL. Every call may be repeated.
type GHLTarget interface {
	Contacts
	// SetDND turns do-not-disturb of one channel on or off and leaves the other
	// channels alone. Turning off what GHL blocks permanently is refused.
	SetDND(ctx context.Context, contactID string, scope Scope, on bool, reason string) error
	AddTags(ctx context.Context, contactID string, tags []string) error
	RemoveTags(ctx context.Context, contactID string, tags []string) error
}

// AlowareTarget is what the fan-out needs of Aloware. Every call may be
// repeated. There is no call for the text opt-out alone.
type AlowareTarget interface {
	Contacts
	SetDoNotCall(ctx context.Context, phone df.Phone, on bool) error
	Disenroll(ctx context.Context, phone df.Phone) error
	RemoveFromAllLists(ctx context.Context, contactID string) error
}
