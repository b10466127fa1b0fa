package catalogue

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/df-middleware/dfm/internal/verity/strictjson"
)

// The limits that keep a hostile or broken document from exhausting us.
const (
	maxDepth      = 200    // containers inside one another
	maxOperations = 20_000 // GitHub's description, the largest we know of, has 1,223
)

// ErrDocument says that a document cannot be used at all: it is neither JSON nor
// YAML, neither a native catalogue nor OpenAPI 3, or has no usable operation.
var ErrDocument = errors.New("not a usable catalogue")

// Catalogue is what one document says. It does not change once it is read and
// may be used by many goroutines.
type Catalogue struct {
	Title       string
	Version     string
	GeneratedAt string
	Format      string       // "native", "openapi 3.0", "openapi 3.1"
	Operations  []*Operation // by path, then method
	Problems    []Problem    // in the document's order

	root      node
	byID      map[string]*Operation
	schemas   map[string]json.RawMessage // components, raw
	templates map[*Operation]template
	native    map[*Operation]json.RawMessage // the native endpoint an operation came from
	validator sync.Map                       // *Operation → *validator
	listing   listing
}

// Parse reads a document. It returns ErrDocument, wrapped with the reason, when
// nothing in it can be used; what is wrong with single operations is in the
// catalogue's Problems.
func Parse(data []byte) (*Catalogue, error) {
	data, err := toJSON(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	top, err := members(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	c := &Catalogue{
		byID:      make(map[string]*Operation),
		templates: make(map[*Operation]template),
		native:    make(map[*Operation]json.RawMessage),
	}
	switch {
	case top["openapi"] != nil:
		err = c.readOpenAPI(top)
	case strictjson.KindOf(top["endpoints"]) == strictjson.Array:
		c.readNative(top)
	case top["swagger"] != nil:
		err = errors.New("OpenAPI 2 is not read, only 3.0 and 3.1")
	default:
		err = errors.New("it has neither endpoints nor openapi at its root")
	}
	if err == nil && len(c.Operations) == 0 {
		err = errors.New("it has no usable operation" + c.firstProblem())
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	c.order()
	return c, nil
}

func (c *Catalogue) firstProblem() string {
	if len(c.Problems) == 0 {
		return ""
	}
	return ": " + c.Problems[0].String()
}

// toJSON checks JSON, and turns anything else from YAML into JSON.
func toJSON(data []byte) ([]byte, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	trimmed := bytes.TrimSpace(data)
	if len(trimmed) == 0 {
		return nil, errors.New("it is empty")
	}
	if trimmed[0] != '{' {
		return yamlToJSON(data)
	}
	err := strictjson.Check(data, maxDepth)
	if errors.Is(err, strictjson.ErrSyntax) {
		if converted, yamlErr := yamlToJSON(data); yamlErr == nil {
			return converted, nil
		}
	}
	return data, err
}

// members returns the members of a JSON object by name.
func members(raw []byte) (map[string]json.RawMessage, error) {
	if kind := strictjson.KindOf(raw); kind != strictjson.Object {
		return nil, fmt.Errorf("it is %s, not an object", kind)
	}
	found := make(map[string]json.RawMessage)
	err := strictjson.Members(raw, func(name string, value []byte) error {
		found[name] = value
		return nil
	})
	return found, err
}

// Match returns the operation for a method and a concrete path in canonical,
// percent-encoded form. One slash at the end makes no difference.
func (c *Catalogue) Match(method, path string) (*Operation, bool) {
	if len(path) < 2 || path[0] != '/' {
		return nil, false
	}
	op := c.root.find(method, strings.TrimSuffix(path[1:], "/"))
	return op, op != nil
}

// Operation returns the operation with the given id.
func (c *Catalogue) Operation(id string) (*Operation, bool) {
	op, ok := c.byID[id]
	return op, ok
}

// add takes an operation in, unless its method and path are there already.
func (c *Catalogue) add(op *Operation, t template, place string) bool {
	name := op.Method + " " + op.Path
	if len(c.Operations) >= maxOperations {
		c.problem(Error, name, place, fmt.Sprintf("more than %d operations", maxOperations))
		return false
	}
	if other := c.root.insert(t.segments, op); other != nil {
		c.problem(Error, name, place, "the same method and path as "+other.Path)
		return false
	}
	if !underAPI(op.Path) {
		c.problem(Warning, name, place, "the path is not under /api, so the gateway will refuse it")
	}
	c.name(op, name, place)
	c.templates[op] = t
	c.Operations = append(c.Operations, op)
	return true
}

// name gives the operation an id of its own.
func (c *Catalogue) name(op *Operation, operation, place string) {
	if op.ID == "" {
		op.ID = madeID(op)
	} else if c.byID[op.ID] != nil {
		c.problem(Warning, operation, place+".operationId", fmt.Sprintf("%q is used twice", op.ID))
	}
	id := op.ID
	for n := 2; c.byID[op.ID] != nil; n++ {
		op.ID = fmt.Sprintf("%s_%d", id, n)
	}
	c.byID[op.ID] = op
}

// madeID builds an id from method and path: get_pallets_by_palletId.
func madeID(op *Operation) string {
	words := []string{strings.ToLower(op.Method)}
	for segment := range strings.SplitSeq(strings.TrimPrefix(op.Path, "/"), "/") {
		if segment == "api" && len(words) == 1 {
			continue
		}
		if name, isParam := strings.CutPrefix(segment, "{"); isParam {
			segment = "by_" + name
		}
		words = append(words, strings.FieldsFunc(segment, func(r rune) bool {
			return !(r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
		})...)
	}
	return strings.Join(words, "_")
}

func (c *Catalogue) problem(severity Severity, operation, place, message string) {
	c.Problems = append(c.Problems, Problem{severity, operation, place, message})
}

func (c *Catalogue) order() {
	slices.SortFunc(c.Operations, func(a, b *Operation) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Method, b.Method))
	})
}

// domainOf returns the first segment after /api: pallets for /api/pallets/{id}.
func domainOf(path string) string {
	path = strings.TrimPrefix(strings.TrimPrefix(path, "/api"), "/")
	segment, _, _ := strings.Cut(path, "/")
	if segment == "" || strings.Contains(segment, "{") {
		return "root"
	}
	return segment
}

func isJSON(mediaType string) bool {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	return mediaType == "application/json" || strings.HasSuffix(mediaType, "+json") || mediaType == "*/*"
}

func text(raw json.RawMessage) string {
	value, _ := strictjson.String(raw)
	return value
}

func truth(raw json.RawMessage) bool { return string(raw) == "true" }
