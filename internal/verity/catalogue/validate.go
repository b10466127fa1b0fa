package catalogue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// Violation is one way in which a request does not fit its operation's schema.
type Violation struct {
	Place   string `json:"place"` // "body/zone", "query.limit", "path.palletId"
	Message string `json:"message"`
}

// maxViolations is how many violations an answer lists.
const maxViolations = 20

// validator holds the compiled schemas of one operation.
type validator struct {
	once   sync.Once
	body   *jsonschema.Schema
	params []*jsonschema.Schema // beside Operation.Parameters, nil where not checkable
	faults []string
}

// Validate compares a request with its operation's schemas: the concrete path,
// the query, and the body (nil when there is none). A schema that does not
// compile checks nothing; CheckSchemas reports it.
func (c *Catalogue) Validate(op *Operation, path string, query url.Values, body []byte) []Violation {
	v := c.compiled(op)
	var found []Violation
	values := c.pathValues(op, path)
	for i, p := range op.Parameters {
		switch p.In {
		case "path":
			found = append(found, checkParameter(p, v.params[i], values[p.Name])...)
		case "query":
			found = append(found, checkParameter(p, v.params[i], query[p.Name])...)
		}
	}
	found = append(found, checkBody(op, v.body, body)...)
	return found[:min(len(found), maxViolations)]
}

// CheckSchemas compiles every schema and reports those that cannot be used to
// check requests. It takes a while for large documents.
func (c *Catalogue) CheckSchemas() []Problem {
	var problems []Problem
	for _, op := range c.Operations {
		for _, fault := range c.compiled(op).faults {
			place, reason, _ := strings.Cut(fault, ": ")
			problems = append(problems, Problem{Warning, op.Method + " " + op.Path, place, "requests cannot be checked against it: " + reason})
		}
	}
	return problems
}

func (c *Catalogue) compiled(op *Operation) *validator {
	stored, found := c.validator.Load(op)
	if !found {
		stored, _ = c.validator.LoadOrStore(op, &validator{})
	}
	v := stored.(*validator)
	v.once.Do(func() {
		v.params = make([]*jsonschema.Schema, len(op.Parameters))
		for i, p := range op.Parameters {
			if p.In != "header" {
				v.params[i] = c.compile(v, "parameter "+p.Name, p.Schema)
			}
		}
		if content := op.Body.JSON(); content != nil && len(content.Schema) > 0 {
			v.body = c.compile(v, "request body", content.Schema)
		}
	})
	return v
}

// noLoader refuses to fetch: a schema must not make us read files or URLs.
type noLoader struct{}

// Load refuses.
func (noLoader) Load(string) (any, error) { return nil, errors.New("other documents are not read") }

func (c *Catalogue) compile(v *validator, place string, raw json.RawMessage) *jsonschema.Schema {
	schema, err := c.compileSchema(raw)
	if err != nil {
		v.faults = append(v.faults, fmt.Sprintf("%s: %v", place, err))
		return nil
	}
	return schema
}

func (c *Catalogue) compileSchema(raw json.RawMessage) (*jsonschema.Schema, error) {
	bundled, err := c.Schema(raw)
	if err != nil {
		return nil, err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(bundled))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.UseLoader(noLoader{})
	if err := compiler.AddResource("catalogue:///schema", document); err != nil {
		return nil, err
	}
	return compiler.Compile("catalogue:///schema")
}

func checkBody(op *Operation, schema *jsonschema.Schema, body []byte) []Violation {
	if len(body) == 0 {
		if op.Body != nil && op.Body.Required {
			return []Violation{{"body", "is missing"}}
		}
		return nil
	}
	if schema == nil {
		return nil
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return []Violation{{"body", "is not JSON"}}
	}
	return violations("body", "/", schema.Validate(value))
}

func checkParameter(p Parameter, schema *jsonschema.Schema, values []string) []Violation {
	place := p.In + "." + p.Name
	if len(values) == 0 {
		if p.Required {
			return []Violation{{place, "is missing"}}
		}
		return nil
	}
	if schema == nil {
		return nil
	}
	// Text on the wire has no type, so a value is right if any reading of it is.
	var first error
	for _, reading := range readings(values) {
		err := schema.Validate(reading)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return violations(place, "/", first)
}

// readings returns what the texts of a parameter may mean: text, a JSON scalar,
// or a list of either.
func readings(values []string) []any {
	texts, scalars := make([]any, len(values)), make([]any, len(values))
	for i, value := range values {
		texts[i] = value
		scalars[i] = scalar(value)
	}
	if len(values) == 1 {
		return []any{scalars[0], texts[0], scalars, texts}
	}
	return []any{scalars, texts}
}

func scalar(value string) any {
	switch value {
	case "true":
		return true
	case "false":
		return false
	}
	if number := json.Number(value); value != "" && json.Valid([]byte(value)) && strings.Trim(value, "0123456789+-.eE") == "" {
		return number
	}
	return value
}

func violations(place, separator string, err error) []Violation {
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return nil
	}
	printer := message.NewPrinter(language.English)
	var list []Violation
	var walk func(*jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		if len(e.Causes) == 0 && len(list) < maxViolations {
			at := strings.Join(append([]string{place}, e.InstanceLocation...), separator)
			list = append(list, Violation{at, e.ErrorKind.LocalizedString(printer)})
		}
		for _, cause := range e.Causes {
			walk(cause)
		}
	}
	walk(invalid)
	return list
}

// pathValues reads the parameters out of a concrete path that matched op.
func (c *Catalogue) pathValues(op *Operation, path string) map[string][]string {
	t := c.templates[op]
	values := make(map[string][]string, len(t.params))
	segments := strings.Split(strings.Trim(path, "/"), "/")
	for i, segment := range t.segments {
		if i < len(segments) {
			capture(segment, segments[i], func(name, value string) {
				if decoded, err := url.PathUnescape(value); err == nil {
					values[name] = []string{decoded}
				}
			})
		}
	}
	return values
}
