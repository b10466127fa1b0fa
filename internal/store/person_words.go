package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/df-middleware/dfm/internal/df"
)

// Who looks for a person types a part of a name, a town, a number, an address or an
// id. All of that stands in one short line for each person, in small letters, so
// that a search reads some megabytes and not everything that was ever agreed.

// wordsOf is the line of one person. Between the words are line breaks, which no
// search holds.
func wordsOf(p Person, agreed []Agreement) string {
	values := []string{p.ID, p.GHLContactID, p.AlowareContactID, p.Email, digits(string(p.Phone))}
	for _, phone := range p.OtherPhones {
		values = append(values, digits(string(phone)))
	}
	for _, a := range agreed {
		for _, field := range slices.Sorted(maps.Keys(a.Fields)) {
			if field != df.PhoneNumber { // that is the person's own
				values = append(values, a.Fields[field])
			}
		}
	}
	words := make([]string, 0, len(values))
	for _, value := range values {
		value = strings.ToLower(strings.Join(strings.Fields(clean(value)), " "))
		if value != "" && !slices.Contains(words, value) {
			words = append(words, value)
		}
	}
	return strings.Join(words, "\n")
}

func digits(text string) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return r
		}
		return -1
	}, text)
}

// searched are the words of a search, the longest first: it is on the fewest lines,
// and the others are looked for on these alone. What is written as phone numbers
// are, with brackets and dashes, is one word of digits.
func searched(text string) []string {
	number := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsDigit(r) && !strings.ContainsRune("+-.() ", r) }) < 0
	if d := digits(text); number && len(d) >= 7 {
		return []string{d}
	}
	words := strings.Fields(strings.ToLower(clean(text)))
	slices.SortStableFunc(words, func(a, b string) int { return len(b) - len(a) })
	return words
}

// searchedMost bounds the words of one search.
const searchedMost = 10

// foundBy adds to the terms and arguments of a query on people that a person's line
// holds every word of a search. With a page, which is a condition, an order and a
// limit on person_id, only the lines are read in its order: a planner that does not
// know how rare a word is would else look a line up for each person.
func foundBy(text string, terms []string, args []any, page string) ([]string, []any) {
	words := searched(text)
	if len(words) == 0 {
		return terms, args
	}
	conditions := make([]string, 0, len(words))
	for _, word := range words[:min(len(words), searchedMost)] {
		args = append(args, "%"+likeEscape(word)+"%")
		conditions = append(conditions, `words COLLATE "C" LIKE $`+strconv.Itoa(len(args))+` ESCAPE '\'`)
	}
	lines := `SELECT person_id FROM person_words WHERE ` + strings.Join(conditions, " AND ")
	if page != "" {
		lines = `SELECT person_id FROM (` + lines + page + `) AS found`
	}
	return append(terms, `id IN (`+lines+`)`), args
}

// saveWords makes the line of a person anew from what the transaction holds.
func saveWords(ctx context.Context, tx Tx, p Person) error {
	agreed, err := agreementsIn(ctx, tx, []string{p.ID})
	if err == nil {
		err = putWords(ctx, tx, []Person{p}, agreed)
	}
	if err != nil {
		return fmt.Errorf("save words of a person: %w", err)
	}
	return nil
}

func putWords(ctx context.Context, q Querier, people []Person, agreed map[string][]Agreement) error {
	args := make([]any, 0, 2*len(people))
	for _, p := range people {
		args = append(args, p.ID, wordsOf(p, agreed[p.ID]))
	}
	_, err := q.Exec(ctx, `INSERT INTO person_words (person_id, words) VALUES `+tuples(len(people), 2, 0)+`
		ON CONFLICT (person_id) DO UPDATE SET words = excluded.words WHERE person_words.words <> excluded.words`, args...)
	return err
}

// wordsChunk is how many people's lines are made in one go.
const wordsChunk = 500

// FillWords makes the lines of people who have none: those of before there were
// any, and those whom a release added that knew of none. It returns how many.
func (s *Store) FillWords(ctx context.Context) (int, error) {
	filled, after := 0, ""
	for {
		var done []Person
		err := s.InTx(ctx, func(tx Tx) (err error) {
			done, err = fillWords(ctx, tx, after)
			return err
		})
		if filled += len(done); err != nil || len(done) < wordsChunk {
			return filled, err
		}
		after = done[len(done)-1].ID
	}
}

// fillWords makes the next lines that are missing, by id.
func fillWords(ctx context.Context, tx Tx, after string) ([]Person, error) {
	people, err := selectPeople(ctx, tx, `WHERE id > $1 AND NOT EXISTS (SELECT 1 FROM person_words w WHERE w.person_id = contact_mappings.id)
		ORDER BY id LIMIT $2`, after, wordsChunk)
	if err != nil || len(people) == 0 {
		return nil, err
	}
	ids := make([]string, len(people))
	for i, p := range people {
		ids[i] = p.ID
	}
	agreed, err := agreementsIn(ctx, tx, ids)
	if err == nil {
		err = putWords(ctx, tx, people, agreed)
	}
	if err != nil {
		return nil, fmt.Errorf("fill words of people: %w", err)
	}
	return people, nil
}
