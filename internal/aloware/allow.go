package aloware

import "strings"

// AllowedEvents is ALOWARE_WEBHOOK_ALLOWED_EVENTS. An empty one allows all.
type AllowedEvents []string

// ParseAllowedEvents reads a comma-separated list; empty entries are left out.
func ParseAllowedEvents(list string) AllowedEvents {
	var allowed AllowedEvents
	for entry := range strings.SplitSeq(list, ",") {
		if entry = strings.TrimSpace(entry); entry != "" {
			allowed = append(allowed, entry)
		}
	}
	return allowed
}

// Allows reports whether an event of that name is wanted. Names are compared
// whole, without regard to case. As in the original, one entry that starts with
// OutboundPhoneCall- or InboundPhoneCall- lets every ending of that call through.
func (a AllowedEvents) Allows(event string) bool {
	if len(a) == 0 {
		return true
	}
	for _, entry := range a {
		if strings.EqualFold(entry, event) {
			return true
		}
		for _, prefix := range [...]string{"OutboundPhoneCall-", "InboundPhoneCall-"} {
			if hasPrefixFold(entry, prefix) && hasPrefixFold(event, prefix) {
				return true
			}
		}
	}
	return false
}

func hasPrefixFold(text, prefix string) bool {
	return len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix)
}
