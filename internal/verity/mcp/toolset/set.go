package toolset

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/verity/catalogue"
)

// Filter says which operations become tools. Empty lists let everything
// through; letter case makes no difference.
type Filter struct {
	ReadOnly bool     // only what changes nothing
	Domains  []string // of the catalogue
	Tags     []string
	Methods  []string
}

// Allows reports whether the tool passes.
func (f Filter) Allows(t *Tool) bool {
	op := t.Operation
	if f.ReadOnly && !t.ReadOnly {
		return false
	}
	return among(f.Domains, op.Domain) && among(f.Methods, op.Method) && among(f.Tags, op.Tags...)
}

func among(wanted []string, values ...string) bool {
	if len(wanted) == 0 {
		return true
	}
	return slices.ContainsFunc(values, func(value string) bool {
		return slices.ContainsFunc(wanted, func(w string) bool { return strings.EqualFold(w, value) })
	})
}

// Set is the tools of one catalogue. It does not change and may be used by many
// goroutines.
type Set struct {
	Tools []*Tool // by name
	Bytes int     // of all names, descriptions and schemas together

	byName    map[string]*Tool
	catalogue *catalogue.Catalogue
}

// New makes the tools of a catalogue. The names are given before the filter
// looks, so that a tool is called the same whatever is filtered; reserved names
// are left free. An operation whose schema cannot be read keeps its tool, with
// a schema that says less. A nil catalogue makes an empty set.
func New(c *catalogue.Catalogue, filter Filter, reserved ...string) *Set {
	s := &Set{byName: map[string]*Tool{}, catalogue: c}
	if c == nil {
		return s
	}
	names := namesOf(c.Operations, reserved)
	for i, op := range c.Operations {
		t, err := newTool(c, op, names[i])
		if err != nil {
			t = plainTool(c, op, names[i], err)
		}
		if !filter.Allows(t) {
			continue
		}
		s.Tools = append(s.Tools, t)
		s.byName[t.Name] = t
		s.Bytes += len(t.Name) + len(t.Title) + len(t.Description) + len(t.InputSchema)
	}
	slices.SortFunc(s.Tools, func(a, b *Tool) int { return cmp.Compare(a.Name, b.Name) })
	return s
}

// plainTool is what an operation gets whose schemas cannot be used: its groups
// and their names are known, the values are not described.
func plainTool(c *catalogue.Catalogue, op *catalogue.Operation, name string, why error) *Tool {
	plain := *op
	plain.Description = strings.TrimSpace(fmt.Sprintf("%s\nIts schema cannot be read (%v), so values are not described.", op.Description, why))
	plain.Extensions = nil
	plain.Parameters = slices.Clone(op.Parameters)
	for i := range plain.Parameters {
		plain.Parameters[i].Schema = []byte(`{}`)
	}
	if op.Body != nil {
		body := *op.Body
		body.Contents = slices.Clone(op.Body.Contents)
		for i := range body.Contents {
			body.Contents[i].Schema = []byte(`{}`)
		}
		plain.Body = &body
	}
	t := &Tool{Name: name, Operation: op, paging: pagingOf(op)}
	t.hints()
	if in, err := inputSchema(c, &plain); err == nil {
		t.InputSchema, t.required = in.raw, in.required
	} else {
		t.InputSchema = []byte(`{"type":"object"}`)
	}
	described := &Tool{Name: name, Operation: &plain, ReadOnly: t.ReadOnly, Confirm: t.Confirm, OpenWorld: t.OpenWorld,
		Destructive: t.Destructive, paging: t.paging, required: t.required}
	t.Title, t.Description = titleOf(op), described.describe("")
	t.words = searchWords(t)
	return t
}

// Tool returns the tool of that name.
func (s *Set) Tool(name string) (*Tool, bool) {
	t, found := s.byName[name]
	return t, found
}

// Query is what Search looks for.
type Query struct {
	Text   string
	Domain string
	Method string
	Limit  int                // at most 50; 0 means 10
	Allow  func(t *Tool) bool // nil allows every tool
}

// Search returns the tools that fit a query best, and how many fit at all. Every
// tool that holds one of the words fits; names and paths count more than prose,
// rare words more than common ones. Without text it lists by name.
func (s *Set) Search(q Query) (found []*Tool, total int) {
	words := splitWords(q.Text)
	rarity := s.rarity(words)
	type hit struct {
		tool  *Tool
		score float64
	}
	var hits []hit
	for _, t := range s.Tools {
		if q.Allow != nil && !q.Allow(t) || q.Domain != "" && !strings.EqualFold(q.Domain, t.Operation.Domain) ||
			q.Method != "" && !strings.EqualFold(q.Method, t.Operation.Method) {
			continue
		}
		score := 0.0
		for i, word := range words {
			score += float64(t.weight(word)) * rarity[i]
		}
		if score > 0 || len(words) == 0 {
			hits = append(hits, hit{t, score})
		}
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Compare(b.score, a.score) })
	limit := min(max(q.Limit, 1), 50)
	if q.Limit == 0 {
		limit = 10
	}
	for _, h := range hits[:min(limit, len(hits))] {
		found = append(found, h.tool)
	}
	return found, len(hits)
}

// rarity returns how much each word tells: less, the more tools have it.
func (s *Set) rarity(words []string) []float64 {
	values := make([]float64, len(words))
	for i, word := range words {
		having := 0
		for _, t := range s.Tools {
			if t.weight(word) > 0 {
				having++
			}
		}
		values[i] = 1 / float64(1+having)
	}
	return values
}

// The weights of the places where a word may stand.
const (
	weightName   = 8
	weightDomain = 6
	weightTitle  = 4
	weightProse  = 1
)

func searchWords(t *Tool) map[string]int {
	words := map[string]int{}
	add := func(text string, weight int) {
		for _, word := range splitWords(text) {
			words[word] = max(words[word], weight)
		}
	}
	op := t.Operation
	add(op.Description, weightProse)
	for _, p := range op.Parameters {
		add(p.Name, weightProse)
	}
	add(op.Summary, weightTitle)
	add(op.ID, weightTitle)
	add(strings.Join(op.Tags, " ")+" "+op.Domain, weightDomain)
	add(t.Name+" "+op.Path+" "+op.Method, weightName)
	return words
}

// weight returns how well the tool fits a word: whole words best, then plurals
// and singulars.
func (t *Tool) weight(word string) int {
	if w := t.words[word]; w > 0 {
		return 2 * w
	}
	if short, plural := strings.CutSuffix(word, "s"); plural && len(short) > 2 {
		return t.words[short]
	}
	return t.words[word+"s"]
}

// splitWords returns the words of a text in lower case: what stands between
// other characters, and the parts of camelCase.
func splitWords(text string) []string {
	var words []string
	var word strings.Builder
	flush := func() {
		if word.Len() > 1 {
			words = append(words, strings.ToLower(word.String()))
		}
		word.Reset()
	}
	lower := false
	for _, r := range text {
		letter := r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 0x7f
		upper := r >= 'A' && r <= 'Z'
		if upper && lower || !letter && !upper {
			flush()
		}
		if letter || upper {
			word.WriteRune(r)
		}
		lower = letter
	}
	flush()
	return words
}
