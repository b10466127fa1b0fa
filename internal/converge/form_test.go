package converge

import (
	"testing"

	"github.com/df-middleware/dfm/internal/df"
)

func TestFormsMakeTheSameValueCompareEqual(t *testing.T) {
	tests := []struct {
		field df.Field
		a, b  string
		same  bool
	}{
		{df.Email, " Ann@Example.TEST", "ann@example.test", true},
		{df.PhoneNumber, "(202) 555-0101", "+12025550101", true},
		{df.PhoneNumber, "+1 202-555-0101", "202.555.0101", true},
		{df.PhoneNumber, "+12025550101", "+12025550102", false},
		{df.PhoneNumber, "ask Bob", "ask  Bob", true},
		{df.Country, "us", "United States", true},
		{df.Country, "USA", "US", true},
		{df.Country, "GB", "uk", true},
		{df.Country, "US", "CA", false},
		{df.Country, "Narnia", "narnia", true},
		{df.DateOfBirth, "1990/05/01", "05/01/1990", true},
		{df.DateOfBirth, "05.01.1990", "1990-05-01", true},
		{df.DateOfBirth, "1990_5_1", "May 1, 1990", true},
		{df.DateOfBirth, "1990-05-01T00:00:00.000Z", "1990-05-01", true},
		{df.DateOfBirth, "25/12/1990", "1990-12-25", true},
		{df.DateOfBirth, "1990-05-01", "1990-05-02", false},
		{df.DateOfBirth, "soon", "later", false},
		{df.FirstName, " Ann  Marie ", "Ann Marie", true},
		{df.FirstName, "Zoe\u0308", "Zoë", true},
		{df.FirstName, "ann", "Ann", false}, // a person may have meant it
		{df.PostalCode, "sw1a 1aa", "SW1A  1AA", true},
		{df.Website, "https://Example.test/", "https://example.test", true},
		{df.Website, "https://example.test/A", "https://example.test/a", false},
		{df.City, "", "  ", true},
	}
	for _, test := range tests {
		if got := Same(test.field, test.a, test.b); got != test.same {
			t.Errorf("%s: %q and %q same: %v (forms %q, %q)", test.field, test.a, test.b, got,
				Form(test.field, test.a), Form(test.field, test.b))
		}
	}
}

func TestRewriteKnowsSpellingsFromOtherValues(t *testing.T) {
	tests := []struct {
		field       df.Field
		given, held string
		change      Change
		ok          bool
	}{
		{df.LastName, "o'neil", "O'Neil", LetterCase, true},
		{df.LastName, "mc donald", "McDonald", Spacing, true},
		{df.LastName, "Núñez", "NUNEZ", Accents, true},
		{df.LastName, "O'Neil", "Oneil", Punctuation, true},
		{df.Address, "12-3 Main St", "123 Main St", "", false},
		{df.FirstName, "Anna", "Ann", "", false},
		{df.FirstName, "!!", "??", "", false},
		{df.FirstName, "Ann", "", "", false},
		{df.Email, "a.b@example.test", "ab@example.test", "", false},
		{df.Owner, "BOB", "bob", "", false},
		{df.PhoneNumber, "(202) 555-0101", "+12025550101", Notation, true},
	}
	for _, test := range tests {
		if change, ok := Rewrite(test.field, test.given, test.held); change != test.change || ok != test.ok {
			t.Errorf("%s: %q kept as %q: %q, %v", test.field, test.given, test.held, change, ok)
		}
	}
	long := "1600 Pennsylvania Avenue North West"
	if !Cut(df.Address, long, "1600 Pennsylvania Av") || Cut(df.FirstName, "Anna", "Ann") || Cut(df.Address, long, long) {
		t.Error("a truncated value is a long beginning of the value, nothing else")
	}
}

func FuzzFormIsStable(f *testing.F) {
	for _, seed := range []string{"", " Ann ", "+1 (202) 555-0101", "+6 (2000 000 0000", "1990/05/01", "https://Ex.test/", "uk", "\u0308e", "İ", "ẞ", "a\xffb"} {
		for i := range df.Fields() {
			f.Add(i, seed)
		}
	}
	f.Fuzz(func(t *testing.T, i int, value string) {
		field := df.Fields()[uint(i)%uint(len(df.Fields()))]
		once := Form(field, value)
		if twice := Form(field, once); twice != once {
			t.Errorf("%s: %q becomes %q, then %q", field, value, once, twice)
		}
		if _, ok := Rewrite(field, value, once); !ok {
			t.Errorf("%s: %q is no spelling of %q", field, once, value)
		}
	})
}
