package consent

import (
	"bufio"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// sentence is one labelled line of the table.
type sentence struct {
	text, label string
	outByText   bool
}

func (s sentence) wants(v Verdict) bool {
	switch s.label {
	case "stop!", "start!", "help!":
		return v.Act == Kind(strings.TrimSuffix(s.label, "!")) && v.Certain
	case "stop?":
		return v.Act == Stop && !v.Certain
	}
	return v.Act == None
}

func sentences(t testing.TB) []sentence {
	t.Helper()
	file, err := os.Open("testdata/sentences.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var table []sentence
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		label, text, found := strings.Cut(lines.Text(), "\t")
		if !found {
			continue
		}
		bare, out := strings.CutPrefix(label, "out:")
		table = append(table, sentence{text, bare, out})
	}
	if lines.Err() != nil {
		t.Fatal(lines.Err())
	}
	return table
}

func TestEverySentenceOfTheTableIsReadAsAPersonWould(t *testing.T) {
	t.Parallel()
	table := sentences(t)
	innocent := 0
	for _, s := range table {
		if s.label == "none" {
			innocent++
		}
		if v := Classify(s.text, s.outByText); !s.wants(v) {
			t.Errorf("%q (out %v): got %q certain=%v by %s on %q, want %s", s.text, s.outByText, v.Act, v.Certain, v.Rule, v.Matched, s.label)
		}
	}
	if len(table) < 300 || innocent < len(table)/2 {
		t.Errorf("the table has %d sentences, %d of them innocent", len(table), innocent)
	}
}

// D-27: a substring match opted out whoever wrote send, weekend or dividend.
func TestAKeywordInsideALongerWordMeansNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		keyword := rapid.SampledFrom([]string{"stop", "end", "quit", "cancel", "alto", "baja", "remove", "unsubscribe", "optout", "stopall"}).Draw(t, "keyword")
		before := rapid.StringMatching(`[a-zж]{0,3}`).Draw(t, "before")
		after := rapid.StringMatching(`[a-zé]{0,3}`).Draw(t, "after")
		word := before + keyword + after
		if _, known := keywords[words(word)]; known || misspelt[words(word)] || words(word) == keyword {
			return
		}
		if v := Classify("We talked about "+word+" on Monday", false); v.Act != None {
			t.Fatalf("%q reads as %+v", word, v)
		}
	})
}

func TestTheVerdictDoesNotDependOnCaseSpaceAccentOrPunctuation(t *testing.T) {
	t.Parallel()
	table := sentences(t)
	wrap := []string{"", " ", "\t", "  ", "\u200b", "\n"}
	tail := []string{"", ".", "!", "!!!", " \u2764\ufe0f", "...", " \U0001F600", "\u00a0"}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(table).Draw(t, "sentence")
		if tapback.MatchString(s.text) {
			return // a quotation is known by its marks
		}
		text := rapid.SampledFrom([]func(string) string{strings.ToUpper, strings.ToLower, wide, func(s string) string { return s }}).Draw(t, "case")(s.text)
		text = strings.ReplaceAll(text, " ", rapid.SampledFrom([]string{" ", "  ", " \u00a0", "\t"}).Draw(t, "space"))
		text = rapid.SampledFrom(wrap).Draw(t, "wrap") + text + rapid.SampledFrom(tail).Draw(t, "tail")
		if v := Classify(text, s.outByText); !s.wants(v) {
			t.Fatalf("%q became %q: %+v", s.text, text, v)
		}
	})
}

// wide writes ASCII letters in their full-width forms.
func wide(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r + 0xFEE0
		}
		return r
	}, text)
}

func TestOrdinarySentencesAroundARequestDoNotHideIt(t *testing.T) {
	t.Parallel()
	table := sentences(t)
	filler := []string{"Hi there", "Good morning Kim", "I am at work", "Thank you", "We already bought a house", "Buenos días", "God bless"}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(table).Draw(t, "sentence")
		if s.label != "stop?" || misspelt[words(s.text)] || spelledOut(words(s.text)) || strings.Contains(words(s.text), "|") {
			return
		}
		before, after := rapid.SampledFrom(filler).Draw(t, "before"), rapid.SampledFrom(filler).Draw(t, "after")
		if v := Classify(before+". "+s.text+". "+after+".", false); v.Act != Stop || v.Certain {
			t.Fatalf("%q among others: %+v", s.text, v)
		}
	})
}

func TestInnocentSentencesStayInnocentTogether(t *testing.T) {
	t.Parallel()
	var innocent []string
	for _, s := range sentences(t) {
		if s.label == "none" && !s.outByText && !tapback.MatchString(s.text) {
			innocent = append(innocent, s.text)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(innocent), 2, 4).Draw(t, "sentences"), ". ")
		if v := Classify(text, false); v.Act != None {
			t.Fatalf("%q reads as %+v", text, v)
		}
	})
}

// D-28: YES, START and UNSTOP were never understood. YES must not let in
// anybody who did not opt out by text: it answers ordinary questions.
func TestYesIsAStartOnlyForWhoeverOptedOutByText(t *testing.T) {
	t.Parallel()
	if v := Classify("YES", false); v.Act != None {
		t.Errorf("YES of somebody who is in: %+v", v)
	}
	if v := Classify(" Yes! ", true); v.Act != Start || !v.Certain {
		t.Errorf("YES of somebody who is out: %+v", v)
	}
	if v := Classify("yes, Tuesday works", true); v.Act != None {
		t.Errorf("a sentence with yes: %+v", v)
	}
	for _, text := range []string{"start", "UNSTOP"} {
		if v := Classify(text, false); v.Act != Start {
			t.Errorf("%q: %+v", text, v)
		}
	}
}

func FuzzClassify(f *testing.F) {
	for _, s := range sentences(f) {
		f.Add(s.text, s.outByText)
	}
	f.Add("\xff\xfestop\x00", false)
	f.Add(strings.Repeat("stop ", 9000), false)
	f.Fuzz(func(t *testing.T, text string, outByText bool) {
		v := Classify(text, outByText)
		if v.Act != None && (v.Rule == "" || v.Matched == "") {
			t.Errorf("%q: a verdict without a reason: %+v", text, v)
		}
		if v.Certain && v.Act == None || v.Act == Start && !v.Certain {
			t.Errorf("%q: %+v", text, v)
		}
		if again := Classify(words(text), outByText); v.Certain && again.Act != v.Act {
			t.Errorf("%q read again: %+v, was %+v", words(text), again, v)
		}
	})
}
