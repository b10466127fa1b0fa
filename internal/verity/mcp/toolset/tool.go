package toolset

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/df-middleware/dfm/internal/verity/catalogue"
)

// Tool is one operation as a model sees it.
type Tool struct {
	Name        string
	Title       string
	Description string
	InputSchema json.RawMessage // an object; of the 2020-12 dialect
	ReadOnly    bool            // changes nothing
	Destructive bool            // a hint: may overwrite or delete
	Idempotent  bool            // a second call does no more than the first
	OpenWorld   bool            // reaches people outside, as a text does
	Confirm     bool            // deletes: a person has to agree before it runs
	Operation   *catalogue.Operation

	flat     bool // the arguments are the body itself
	paging   []string
	required []string
	words    map[string]int // what Search looks at, with weights

	once   sync.Once
	schema *jsonschema.Schema
}

// The groups in which arguments stand. Keeping them apart makes it impossible
// for a query parameter and a field of the body to clash.
const (
	groupPath   = "path"
	groupQuery  = "query"
	groupHeader = "headers"
	groupBody   = "body"
	argFields   = "fields"
)

// The members of an OpenAPI operation that correct what we would guess.
const (
	ConfirmExtension   = "x-mcp-confirm"   // true, false: does it need a person's yes
	ArgumentsExtension = "x-mcp-arguments" // "body": the arguments are the body itself
)

// deletingWords are whole path segments that say what an operation does where
// its method does not. Only whole words count: removed-items removes nothing.
var deletingWords = []string{"delete", "remove", "purge", "destroy", "wipe", "erase"}

// sendingWords are path segments of operations that reach people outside.
var sendingWords = []string{"sms", "send-sms", "send-message", "send-text", "send", "call", "calls", "broadcasts", "test-call"}

func newTool(c *catalogue.Catalogue, op *catalogue.Operation, name string) (*Tool, error) {
	t := &Tool{Name: name, Operation: op, paging: pagingOf(op)}
	t.hints()
	input, err := inputSchema(c, op)
	if err != nil {
		return nil, err
	}
	t.InputSchema, t.flat, t.required = input.raw, input.flat, input.required
	t.Title = titleOf(op)
	t.Description = t.describe(input.example)
	t.words = searchWords(t)
	return t, nil
}

// hints derives what clients are told about the effect. They are hints; what
// the server enforces is Confirm.
func (t *Tool) hints() {
	op := t.Operation
	deletes := op.Method == "DELETE" || hasSegment(op.Path, deletingWords)
	t.ReadOnly = op.Method == "GET" && !deletes
	t.Confirm = deletes
	if raw, given := op.Extensions[ConfirmExtension]; given {
		t.Confirm = string(raw) == "true"
		t.ReadOnly = t.ReadOnly && !t.Confirm
	}
	t.Destructive = t.Confirm || op.Method == "PUT" || op.Method == "PATCH" || op.Method == "DELETE"
	t.Idempotent = t.ReadOnly || op.Method == "PUT" || op.Method == "DELETE"
	t.OpenWorld = !t.ReadOnly && (op.SendsText != "" || op.Path == catalogue.TextPath || hasSegment(op.Path, sendingWords))
}

func hasSegment(path string, words []string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if slices.ContainsFunc(words, func(word string) bool { return strings.EqualFold(segment, word) }) {
			return true
		}
	}
	return false
}

func titleOf(op *catalogue.Operation) string {
	if title := oneLine(op.Summary); title != "" {
		return cut(title, 80)
	}
	return op.Method + " " + op.Path
}

// maxDescription is how many bytes of the document's own text a tool carries:
// a catalogue of a thousand operations has to fit in a model's context.
const maxDescription = 800

// describe writes what a model needs to choose and use the tool: what it does,
// what it changes, what it must be given, and an example.
func (t *Tool) describe(example string) string {
	op := t.Operation
	var b strings.Builder
	what := oneLine(op.Summary)
	if more := strings.TrimSpace(op.Description); more != "" && !strings.EqualFold(oneLine(more), what) {
		if what != "" {
			what += ". "
		}
		what += more
	}
	if what == "" {
		what = "Calls " + op.Method + " " + op.Path
	}
	b.WriteString(strings.TrimRight(cut(what, maxDescription), ". ") + ".\n" + t.effect())
	if len(t.required) > 0 {
		b.WriteString("\nRequired: " + strings.Join(t.required, ", ") + ".")
	}
	if len(t.paging) > 0 {
		b.WriteString("\nPages: " + strings.Join(t.paging, ", ") + ".")
	}
	if example != "" {
		b.WriteString("\nExample: " + example)
	}
	return b.String()
}

func (t *Tool) effect() string {
	text := "(" + t.Operation.Method + " " + t.Operation.Path + ") "
	switch {
	case t.ReadOnly:
		text += "Only reads."
	case t.Confirm:
		text += "Deletes or cannot be undone: the user is asked first."
	case t.OpenWorld:
		text += "Reaches people outside: use it only when the user asked for it."
	case t.Destructive:
		text += "Changes what is there."
	default:
		text += "Creates or starts something."
	}
	if t.Operation.Deprecated {
		text += " Deprecated: prefer another tool."
	}
	return text
}

// pagingNames are the query parameters by which APIs let one page through.
var pagingNames = []string{
	"limit", "page", "offset", "cursor", "after", "before", "per_page", "perpage", "pagesize", "page_size", "skip",
	"take", "pagetoken", "page_token", "starting_after", "startafter",
}

func pagingOf(op *catalogue.Operation) []string {
	var names []string
	for _, p := range op.Parameters {
		if p.In == "query" && slices.Contains(pagingNames, strings.ToLower(p.Name)) {
			names = append(names, "query."+p.Name)
		}
	}
	return names
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// cut shortens text to so many bytes without breaking a character.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}
