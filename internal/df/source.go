package df

import "time"

// Clock tells the time. Rooms take one instead of calling time.Now, so that
// tests decide what time it is. time.Now itself is a Clock.
type Clock func() time.Time

// Source is a system that sends us webhooks.
type Source string

// The sources that df-middleware listens to.
const (
	SourceGHL       Source = "ghl"
	SourceAloware   Source = "aloware"
	SourceTexting   Source = "texting"
	SourceBroadcast Source = "broadcast"
)

// Side is a system that holds contacts and is kept in agreement with the others.
type Side string

// The sides between which contacts converge.
const (
	SideGHL     Side = "ghl"
	SideAloware Side = "aloware"
)

// Other returns the opposite side of the pair.
func (s Side) Other() Side {
	if s == SideGHL {
		return SideAloware
	}
	return SideGHL
}

// Direction says, in the words of sync_log.direction, from where to where
// something flowed.
type Direction string

// The directions of the external contract, §5.
const (
	GHLToAloware     Direction = "ghl_to_aloware"
	AlowareToGHL     Direction = "aloware_to_ghl"
	TextingToGHL     Direction = "texting_to_ghl"
	TextingToAloware Direction = "texting_to_aloware"
	GHLToTexting     Direction = "ghl_to_texting"
	VerityToGHL      Direction = "verity_to_ghl"
)

// Directions lists them.
func Directions() []Direction {
	return []Direction{GHLToAloware, AlowareToGHL, TextingToGHL, TextingToAloware, GHLToTexting, VerityToGHL}
}

// DirectionTo returns the direction of a write to the given side that was
// caused by the other one.
func DirectionTo(side Side) Direction {
	if side == SideAloware {
		return GHLToAloware
	}
	return AlowareToGHL
}
