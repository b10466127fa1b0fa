package app

import (
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/consent"
)

// consentPolicy reads what an operator decides about consent.
func (s *settings) consentPolicy() consent.Policy {
	p := consent.Policy{
		TextOnly:   s.oneOf("DFM_OPTOUT_SCOPE", "sms+call", "sms+call", "sms") == "sms",
		TextTags:   s.list("DFM_OPTOUT_SMS_TAGS"),
		CallTags:   s.list("DFM_OPTOUT_CALL_TAGS"),
		AlertAfter: s.duration("DFM_OPTOUT_ALERT_AFTER", consent.DefaultAlert, time.Minute),
		Grace:      s.duration("DFM_OPTOUT_GRACE", consent.DefaultGrace, time.Second),
		Quiet:      s.quietHours(),
	}
	cleared := map[string]bool{}
	for _, name := range s.listOr("DFM_OPTIN_CLEARS", "ghl_dnd", "ghl_tags") {
		switch name = strings.ToLower(name); name {
		case "ghl_dnd", "ghl_tags", "aloware_dnc", "none":
			cleared[name] = true
		default:
			s.wrong("DFM_OPTIN_CLEARS", "must be a comma list of ghl_dnd, ghl_tags, aloware_dnc, or none")
		}
	}
	p.KeepDND, p.KeepTags, p.ClearDNC = !cleared["ghl_dnd"], !cleared["ghl_tags"], cleared["aloware_dnc"]
	return p
}

// listOr reads a comma list that is not empty by default.
func (s *settings) listOr(name string, otherwise ...string) []string {
	if s.raw(name) == "" {
		s.open(name, strings.Join(otherwise, ", "))
		return otherwise
	}
	return s.list(name)
}

// quietHours reads "21:00-08:00"; nothing is off.
func (s *settings) quietHours() *consent.QuietHours {
	const name, zones = "DFM_QUIET_HOURS", "DFM_QUIET_ZONES"
	text, elsewhere := s.text(name, ""), s.list(zones)
	quiet := &consent.QuietHours{}
	for _, zone := range elsewhere {
		place, err := time.LoadLocation(zone)
		if err != nil || zone == "Local" {
			s.wrong(zones, "must be a comma list of IANA time zones such as America/New_York")
			return nil
		}
		quiet.Elsewhere = append(quiet.Elsewhere, place)
	}
	if text == "" {
		if len(elsewhere) > 0 {
			s.wrong(zones, "is for quiet hours; set "+name+" too")
		}
		return nil
	}
	from, until, ok := strings.Cut(text, "-")
	begin, err := time.Parse("15:04", strings.TrimSpace(from))
	end, err2 := time.Parse("15:04", strings.TrimSpace(until))
	if !ok || err != nil || err2 != nil || begin.Equal(end) {
		s.wrong(name, "must be two times of the day such as 21:00-08:00")
		return nil
	}
	midnight := time.Date(begin.Year(), begin.Month(), begin.Day(), 0, 0, 0, 0, time.UTC)
	quiet.From, quiet.Until = begin.Sub(midnight), end.Sub(midnight)
	return quiet
}
