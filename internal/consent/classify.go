package consent

import (
	"regexp"
	"strings"
	"unicode"
)

// Kind is what an act does to a number's standing.
type Kind string

// The kinds of acts. A Stop takes consent away and a Start gives it back. Help
// and Note change nothing: a Note is evidence that somebody may ask for later,
// as when a flag at GHL or Aloware turned false, which never opts anybody in.
const (
	None  Kind = ""
	Stop  Kind = "stop"
	Start Kind = "start"
	Help  Kind = "help"
	Note  Kind = "note"
)

// Verdict is what a text means for consent.
type Verdict struct {
	Act Kind // Stop, Start, Help or None
	// Certain is true for exact keywords. A Stop that is not certain was read
	// out of free wording: it counts all the same, and a person looks at it.
	Certain bool
	Rule    string // which rule decided, stable
	Matched string // the words it went by, as the rule saw them
}

// maxText bounds what is read of a text, and kept of it as evidence, in bytes:
// more than carriers deliver as one message. Of a longer one the beginning and
// the end are read, where a request stands.
const maxText = 4 << 10

// Classify reads an inbound text. outByText says whether the sender's number is
// opted out of texts by its own words, which is when a YES asks to be let in
// again; to anybody else YES is an answer to an ordinary question. The package
// comment tells the rules.
func Classify(text string, outByText bool) Verdict {
	if len(text) > maxText {
		text = text[:maxText/2] + "\n" + text[len(text)-maxText/2:]
	}
	if tapback.MatchString(text) {
		return Verdict{Rule: "tapback"}
	}
	if found := signed.FindStringSubmatch(text); found != nil {
		return Verdict{Act: Stop, Rule: "signed", Matched: words(found[1])}
	}
	said := words(stretched(text))
	plain := strings.Join(strings.FieldsFunc(said, func(r rune) bool { return r == ' ' || r == '|' }), " ")
	if verdict, ok := byKeyword(plain, outByText); ok {
		verdict.Certain = verdict.Certain && strings.ContainsFunc(text, unicode.IsLetter) // not by a stop sign alone
		return verdict
	}
	for _, s := range steps() {
		found := s.pattern.FindStringSubmatchIndex(said)
		switch {
		case found == nil:
		case s.innocent:
			said = strings.Join(strings.Fields(s.pattern.ReplaceAllString(said, " ~ ")), " ")
		default:
			return Verdict{Act: Stop, Rule: s.rule, Matched: strings.Trim(said[found[0]:found[1]], " |~")}
		}
	}
	if found := afterComma(text); found != "" {
		return Verdict{Act: Stop, Rule: "after_comma", Matched: found}
	}
	return bySentence(said)
}

// afterComma finds a keyword that ends a sentence behind a comma: "I don't like
// it, stop". Nowhere else do commas count.
func afterComma(text string) string {
	if !strings.ContainsAny(text, ",\uFF0C") {
		return ""
	}
	marked := words(strings.NewReplacer(",", " xcommax ", "\uFF0C", " xcommax ").Replace(text))
	found := commaStop.FindStringSubmatch(marked)
	if found == nil {
		return ""
	}
	return found[1]
}

var commaStop = regexp.MustCompile(`(?:^| )xcommax (?:please |pls |por favor )*(stop|unsubscribe|basta)(?: \||$)`)

// signed is a keyword with a name under it: "STOP - Kim".
var signed = regexp.MustCompile(`(?i)^\s*(stop|stopall|unsubscribe|remove me|opt[ -]?out)\s+[-–—~]+\s*\pL[\pL .]{0,30}$`)

// stretch is a keyword whose letters somebody leant on: "STOPPPP", "stooop".
var stretch = regexp.MustCompile(`(?i)\bs+t+o+p{3,}\b|\bs+t+o{3,}p+\b`)

func stretched(text string) string {
	return stretch.ReplaceAllString(text, "stop")
}

// tapback is what phones send for a reaction to our own message, which they
// quote whole, with the "Reply STOP" at its end.
var tapback = regexp.MustCompile(`(?is)^\s*(?:liked|loved|disliked|laughed at|emphasi[sz]ed|questioned|reacted .{1,16} to|` +
	`removed an? .{1,20} from|(?:le|te) gust[oó]|(?:le|te) encant[oó]|reaccion[oó] .{1,16} a)\s+["“«].*["”»]\s*$`)

// byKeyword decides a text that is nothing but keywords.
func byKeyword(plain string, outByText bool) (Verdict, bool) {
	if plain == "" {
		return Verdict{}, false
	}
	act, known := keywords[plain]
	switch {
	case known:
		return Verdict{Act: act, Certain: true, Rule: "keyword", Matched: plain}, true
	case plain == "yes" && outByText:
		return Verdict{Act: Start, Certain: true, Rule: "yes_while_out", Matched: plain}, true
	case onlyStops(plain):
		return Verdict{Act: Stop, Certain: true, Rule: "keywords", Matched: plain}, true
	case misspelt[plain]:
		return Verdict{Act: Stop, Rule: "misspelt", Matched: plain}, true
	case spelledOut(plain):
		return Verdict{Act: Stop, Rule: "spelled_out", Matched: plain}, true
	}
	return Verdict{}, false
}

// onlyStops reports whether every word is a keyword to stop: "STOP STOP", "STOP END".
func onlyStops(plain string) bool {
	for word := range strings.FieldsSeq(plain) {
		if keywords[word] != Stop {
			return false
		}
	}
	return true
}

// spelledOut reports whether the text is an unmistakable keyword written letter
// by letter, as in "S.T.O.P".
func spelledOut(plain string) bool {
	var joined strings.Builder
	for word := range strings.FieldsSeq(plain) {
		if len(word) > 1 {
			return false
		}
		joined.WriteString(word)
	}
	return unmistakable[joined.String()]
}

// bySentence finds a sentence of its own that says no more than an unmistakable
// keyword and a courtesy: "Who is this? Please stop."
func bySentence(said string) Verdict {
	for sentence := range strings.SplitSeq(said, "|") {
		kept := make([]string, 0, 4)
		for word := range strings.FieldsSeq(sentence) {
			if !courtesy[word] {
				kept = append(kept, word)
			}
		}
		if bare := strings.Join(kept, " "); unmistakable[bare] {
			return Verdict{Act: Stop, Rule: "sentence", Matched: strings.TrimSpace(sentence)}
		}
	}
	return Verdict{}
}
