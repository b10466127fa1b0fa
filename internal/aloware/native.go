package aloware

import "github.com/df-middleware/dfm/internal/payload"

// CameFromGHL reports whether a delivery is about a contact that Aloware's own
// integration with GHL brought in. Aloware says so in intake_source for as long as
// the contact lives, so it proves that the integration was on when the contact
// was made, and no more.
func CameFromGHL(raw []byte) bool {
	root, err := parseRecord(raw)
	if err != nil {
		return false
	}
	p := split(root)
	for _, holder := range [...]record{p.contact, p.body} {
		if payload.Fold(holder.text("intakesource")) == "gohighlevel" {
			return true
		}
	}
	return false
}
