package consent

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// words returns a text as the classifier compares it: compatibility forms made
// plain (full-width STOP), case folded, accents and emoji gone, one space
// between words, and " | " where a sentence ends. Apostrophes inside words
// vanish ("don't" is "dont"); letters of other scripts become x, so that what
// is left of them never looks like a word's edge.
func words(text string) string {
	letters := []rune(norm.NFKD.String(norm.NFKC.String(strings.ToValidUTF8(text, " "))))
	var b strings.Builder
	for i, r := range letters {
		switch {
		case unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Cf, r):
			// Accents, variation selectors, joiners and other invisible marks.
		case r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			b.WriteRune(unicode.ToLower(r))
		case unicode.IsLetter(r):
			b.WriteByte('x')
		case apostrophe(r) && between(letters, i):
		case r == '#':
			b.WriteString(" number ")
		case r == stopSign:
			b.WriteString(" stop ")
		case ender(r):
			b.WriteString(" | ")
		default:
			b.WriteByte(' ')
		}
	}
	return tidy(b.String())
}

// tidy puts single spaces between words and single bars between sentences.
func tidy(text string) string {
	var kept []string
	for _, word := range strings.Fields(text) {
		if word == "|" && (len(kept) == 0 || kept[len(kept)-1] == "|") {
			continue
		}
		kept = append(kept, word)
	}
	if n := len(kept); n > 0 && kept[n-1] == "|" {
		kept = kept[:n-1]
	}
	return strings.Join(kept, " ")
}

// stopSign says what it says.
const stopSign = '\U0001F6D1'

func apostrophe(r rune) bool { return strings.ContainsRune("'’‘ʼ´`", r) }

func ender(r rune) bool { return strings.ContainsRune(".!?;:\n\r¡¿…", r) }

// between reports whether the rune at i stands between two letters, an accent
// on the first of them not counted.
func between(letters []rune, i int) bool {
	before := i - 1
	for before >= 0 && unicode.Is(unicode.Mn, letters[before]) {
		before--
	}
	return before >= 0 && i+1 < len(letters) && unicode.IsLetter(letters[before]) && unicode.IsLetter(letters[i+1])
}
