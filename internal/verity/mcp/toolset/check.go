package toolset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/df-middleware/dfm/internal/verity/strictjson"
)

// The limits of a tool's arguments.
const (
	MaxArguments = 1 << 20 // bytes, the gateway's limit of a request
	maxDepth     = 64
	maxFaults    = 12
)

// ArgumentError says what is wrong with a tool's arguments, in words that tell
// the model what to change.
type ArgumentError struct{ Faults []string }

// Error lists the faults.
func (e *ArgumentError) Error() string { return strings.Join(e.Faults, "; ") }

func badArgument(format string, args ...any) *ArgumentError {
	return &ArgumentError{[]string{fmt.Sprintf(format, args...)}}
}

// Check compares arguments with the tool's schema. The error is an
// *ArgumentError.
func (t *Tool) Check(arguments json.RawMessage) error {
	if err := wellFormed(arguments); err != nil {
		return err
	}
	return fits(t.compiled(), arguments)
}

// Checker compares arguments with a schema that belongs to no operation.
type Checker struct{ schema *jsonschema.Schema }

// NewChecker compiles a schema of the 2020-12 dialect.
func NewChecker(schema json.RawMessage) (Checker, error) {
	compiled, err := compile(schema)
	return Checker{compiled}, err
}

// Check is as Tool's.
func (c Checker) Check(arguments json.RawMessage) error {
	if err := wellFormed(arguments); err != nil {
		return err
	}
	return fits(c.schema, arguments)
}

func fits(schema *jsonschema.Schema, arguments json.RawMessage) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(arguments))
	if err != nil {
		return badArgument("the arguments are not valid JSON")
	}
	return asArgumentError(schema.Validate(value))
}

// wellFormed refuses what must not be looked at more closely.
func wellFormed(arguments json.RawMessage) error {
	if len(arguments) > MaxArguments {
		return badArgument("the arguments are larger than %d bytes: send less in one call", MaxArguments)
	}
	err := strictjson.Check(arguments, maxDepth)
	var twice *strictjson.DuplicateError
	switch {
	case errors.As(err, &twice):
		return badArgument("the key %q is given twice", twice.Key)
	case errors.Is(err, strictjson.ErrDepth):
		return badArgument("the arguments are nested more than %d deep", maxDepth)
	case err != nil:
		return badArgument("the arguments are not valid JSON")
	case strictjson.KindOf(arguments) != strictjson.Object:
		return badArgument("the arguments must be a JSON object")
	}
	return nil
}

// compiled returns the schema in executable form. One that cannot be compiled is
// replaced by its outline: groups and names still count, values do not.
func (t *Tool) compiled() *jsonschema.Schema {
	t.once.Do(func() {
		schema, err := compile(t.InputSchema)
		if err != nil {
			schema, err = compile(outline(t.InputSchema))
		}
		if err != nil {
			schema, _ = compile([]byte(`{"type":"object"}`))
		}
		t.schema = schema
	})
	return t.schema
}

// outline keeps of a schema the names of its groups and of what is in them.
func outline(raw json.RawMessage) json.RawMessage {
	var root struct {
		Type       string                     `json:"type"`
		Properties map[string]json.RawMessage `json:"properties"`
		Required   []string                   `json:"required,omitempty"`
		Additional any                        `json:"additionalProperties,omitempty"`
	}
	if json.Unmarshal(raw, &root) != nil {
		return []byte(`{"type":"object"}`)
	}
	for name, group := range root.Properties {
		var inner struct {
			Type       string         `json:"type,omitempty"`
			Properties map[string]any `json:"properties,omitempty"`
			Required   []string       `json:"required,omitempty"`
			Additional any            `json:"additionalProperties,omitempty"`
		}
		if name == groupBody || json.Unmarshal(group, &inner) != nil {
			root.Properties[name] = []byte(`{}`)
			continue
		}
		for property := range inner.Properties {
			inner.Properties[property] = true
		}
		if plain, err := json.Marshal(inner); err == nil {
			root.Properties[name] = plain
		}
	}
	plain, err := json.Marshal(root)
	if err != nil {
		return []byte(`{"type":"object"}`)
	}
	return plain
}

// noLoader refuses to fetch: a schema must not make us read files or URLs.
type noLoader struct{}

// Load refuses.
func (noLoader) Load(string) (any, error) { return nil, errors.New("other documents are not read") }

const schemaURL = "tool:///arguments"

func compile(raw json.RawMessage) (*jsonschema.Schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.UseLoader(noLoader{})
	compiler.UseRegexpEngine(leniently)
	if err := compiler.AddResource(schemaURL, document); err != nil {
		return nil, err
	}
	return compiler.Compile(schemaURL)
}

// anyText is a pattern of JavaScript's that Go cannot read, such as one with a
// look-ahead. It matches everything: Verity judges such values itself.
type anyText string

// MatchString reports true.
func (anyText) MatchString(string) bool { return true }

// String returns the pattern.
func (p anyText) String() string { return string(p) }

func leniently(pattern string) (jsonschema.Regexp, error) {
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		return anyText(pattern), nil
	}
	return compiled, nil
}

func asArgumentError(err error) error {
	var invalid *jsonschema.ValidationError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &invalid):
		return badArgument("the arguments do not fit the schema")
	}
	printer := message.NewPrinter(language.English)
	found := &ArgumentError{}
	var visit func(*jsonschema.ValidationError)
	visit = func(e *jsonschema.ValidationError) {
		if len(e.Causes) == 0 && len(found.Faults) < maxFaults {
			place := strings.Join(e.InstanceLocation, ".")
			if place == "" {
				place = "arguments"
			}
			found.Faults = append(found.Faults, cut(place, 120)+": "+cut(e.ErrorKind.LocalizedString(printer), 200))
		}
		for _, cause := range e.Causes {
			visit(cause)
		}
	}
	visit(invalid)
	return found
}
