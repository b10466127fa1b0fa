package ghl

import (
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// normalise brings a field's text to the form in which sides are compared:
// e-mails in lower case, phones in E.164, countries as upper-case alpha-2, dates
// of birth as YYYY-MM-DD, everything without space around it. It is false for
// text that is no such thing; empty text is always fine.
func normalise(field df.Field, text, region string) (string, bool) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", true
	}
	switch field {
	case df.Email:
		return strings.ToLower(text), true
	case df.PhoneNumber:
		phone, err := df.ParsePhone(text, region)
		return string(phone), err == nil
	case df.Country:
		return country(text)
	case df.DateOfBirth:
		return date(text)
	}
	return text, true
}

func country(text string) (string, bool) {
	text = strings.ToUpper(text)
	if len(text) != 2 || text[0] < 'A' || text[0] > 'Z' || text[1] < 'A' || text[1] > 'Z' {
		return "", false
	}
	return text, true
}

// dateForms are the ways in which GHL takes and shows a date of birth, after
// its separators / . _ became dashes.
var dateForms = []string{"2006-1-2", "1-2-2006"}

// date returns the day that text means, without moving it to another zone: GHL
// shows a date of birth as midnight UTC in webhooks and as a plain date elsewhere.
func date(text string) (string, bool) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t.Format(time.DateOnly), true
	}
	day, _, _ := strings.Cut(text, " ")
	day = strings.NewReplacer("/", "-", ".", "-", "_", "-").Replace(day)
	for _, form := range dateForms {
		if t, err := time.Parse(form, day); err == nil {
			return t.Format(time.DateOnly), true
		}
	}
	return "", false
}
