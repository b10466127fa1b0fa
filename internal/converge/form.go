package converge

import (
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"github.com/df-middleware/dfm/internal/df"
)

// Form returns the form in which values of the field are compared. Two values
// with the same form are the same to us; a difference that a person may have
// meant, such as the case of a name, stays a difference. Form(Form(v)) = Form(v).
func Form(field df.Field, value string) string {
	text := plain(value)
	if text == "" {
		return ""
	}
	switch field {
	case df.Email:
		return plain(strings.ToLower(text))
	case df.PhoneNumber:
		return phoneForm(text)
	case df.Country:
		return countryForm(text)
	case df.DateOfBirth:
		return dateForm(text)
	case df.PostalCode:
		return plain(strings.ToUpper(text))
	case df.Website:
		return websiteForm(text)
	}
	return text
}

// plain composes Unicode (NFC) and collapses white space.
func plain(value string) string {
	return norm.NFC.String(strings.Join(strings.Fields(norm.NFC.String(value)), " "))
}

func phoneForm(text string) string {
	phone, err := df.ParsePhone(text, "")
	if err != nil {
		return text
	}
	return string(phone)
}

// countryNames are the spellings met in practice beside ISO codes. A name that
// is missing here is compared as it is.
var countryNames = map[string]string{
	"UNITED STATES": "US", "UNITED STATES OF AMERICA": "US", "U.S.": "US", "U.S.A.": "US",
	"CANADA": "CA", "MEXICO": "MX", "UNITED KINGDOM": "GB", "GREAT BRITAIN": "GB", "UK": "GB",
}

// countryForm is ISO 3166 alpha-2, which is what GHL takes.
func countryForm(text string) string {
	upper := plain(strings.ToUpper(text))
	if code, ok := countryNames[upper]; ok {
		return code
	}
	if len(upper) != 2 && len(upper) != 3 {
		return upper
	}
	region, err := language.ParseRegion(upper)
	if err != nil || !region.IsCountry() || len(region.String()) != 2 {
		return upper
	}
	return region.String()
}

// dateLayouts are the notations of dates of birth: GHL takes year first and
// month first with any of - / . _ between, Aloware documents month first, and
// people write the rest. Month first is tried before day first.
var dateLayouts = []string{"2006-1-2", "1-2-2006", "2-1-2006", "20060102",
	"Jan 2, 2006", "January 2, 2006", "Jan 2 2006", "January 2 2006", "2 Jan 2006", "2 January 2006"}

// dateForm is the ISO date, or the text itself when it is no date.
func dateForm(text string) string {
	day := text
	if len(day) > 10 && (day[10] == 'T' || day[10] == ' ') && day[4] < '0' {
		day = day[:10] // an ISO time; its clock part means nothing for a birthday
	}
	dashed := strings.NewReplacer("/", "-", ".", "-", "_", "-").Replace(day)
	for _, layout := range dateLayouts {
		for _, candidate := range []string{dashed, day} {
			if at, err := time.Parse(layout, candidate); err == nil && at.Year() > 0 {
				return at.Format(time.DateOnly)
			}
		}
	}
	return text
}

// websiteForm lowers the case of scheme and host and drops the last slashes.
func websiteForm(text string) string {
	text = strings.TrimRight(text, "/ ")
	start := 0
	if scheme := strings.Index(text, "://"); scheme >= 0 {
		start = scheme + len("://")
	}
	end := len(text)
	if slash := strings.IndexAny(text[start:], "/?#"); slash >= 0 {
		end = start + slash
	}
	return plain(strings.ToLower(text[:end]) + text[end:])
}

// Same reports whether two values of the field are the same to us.
func Same(field df.Field, a, b string) bool { return a == b || Form(field, a) == Form(field, b) }

// Change names what a side did to a value that it was given.
type Change string

// The changes that are learned as a side's way of keeping values.
const (
	Notation    Change = "notation"    // the same value, written otherwise
	LetterCase  Change = "case"        // upper, lower or title case
	Spacing     Change = "spacing"     // spaces added or dropped
	Accents     Change = "accents"     // diacritics dropped
	Punctuation Change = "punctuation" // signs dropped
	Truncation  Change = "truncation"  // cut at the end
	Opaque      Change = "opaque"      // something else, but the same each time
)

// truncatedFrom is the length in characters from which a kept beginning counts
// as a truncated value. No upstream is known to cut earlier, and a shorter
// beginning may well be another person's word ("Ann", "Anna").
const truncatedFrom = 16

// Rewrite tells how a side that was given one value came to hold the other, and
// false when the two are not merely spellings of one value. Fields that
// identify somebody or are looked up by their exact text know no looser
// equality than Same.
func Rewrite(field df.Field, given, held string) (Change, bool) {
	if Same(field, given, held) {
		return Notation, true
	}
	a, b := Form(field, given), Form(field, held)
	if a == "" || b == "" || exact(field) {
		return "", false
	}
	steps := []struct {
		change Change
		apply  func(string) string
	}{{LetterCase, fold}, {Spacing, unspaced}, {Accents, unaccented}, {Punctuation, unsigned}}
	for _, step := range steps {
		a, b = step.apply(a), step.apply(b)
		if a == b && a != "" {
			return step.change, true
		}
	}
	return "", false
}

// Cut reports whether held is the truncated beginning of given.
func Cut(field df.Field, given, held string) bool {
	a, b := []rune(fold(Form(field, given))), []rune(fold(Form(field, held)))
	if exact(field) || len(b) < truncatedFrom || len(b) >= len(a) {
		return false
	}
	return string(a[:len(b)]) == string(b)
}

func exact(field df.Field) bool {
	switch field {
	case df.Email, df.PhoneNumber, df.Owner, df.DateOfBirth, df.Country:
		return true
	}
	return false
}

func fold(text string) string { return strings.ToLower(strings.ToUpper(text)) }

func unspaced(text string) string { return strings.ReplaceAll(text, " ", "") }

func unaccented(text string) string {
	return norm.NFC.String(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(text)))
}

// unsigned drops signs, except from text with digits, where "12-3" is not "123".
func unsigned(text string) string {
	if strings.ContainsFunc(text, unicode.IsDigit) {
		return text
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPunct(r) || unicode.IsSymbol(r) {
			return -1
		}
		return r
	}, text)
}
