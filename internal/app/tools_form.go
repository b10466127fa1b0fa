package app

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/verity/catalogue"
	"github.com/df-middleware/dfm/internal/verity/mcp/toolset"
)

// toolField is one field of the form that makes a call.
type toolField struct {
	Name, Label, About, Value, Kind string // Kind is text, select or json
	Required                        bool
	Options                         []string
}

// groups are the places where arguments stand, and the parameters' words for them.
var groups = []struct{ in, group string }{{"path", "path"}, {"query", "query"}, {"header", "headers"}}

const bodyField = "body"

// fieldsOf makes the form for a tool's arguments, filled with what was sent, or
// with a sample.
func fieldsOf(t *toolset.Tool, sent url.Values) []toolField {
	var fields []toolField
	sample := t.Sample()
	for _, g := range groups {
		made, _ := sample[g.group].(map[string]any)
		for _, parameter := range t.Operation.Parameters {
			if parameter.In != g.in {
				continue
			}
			f := toolField{Name: g.group + "." + parameter.Name, Label: parameter.Name + ", " + g.in, About: parameter.Description,
				Required: parameter.Required || g.in == "path", Kind: "text"}
			var schema struct{ Enum []any }
			if json.Unmarshal(parameter.Schema, &schema) == nil && len(schema.Enum) > 0 {
				f.Kind = "select"
				for _, one := range schema.Enum {
					f.Options = append(f.Options, textOf(one))
				}
			}
			if value, there := made[parameter.Name]; there {
				f.Value = textOf(value)
			}
			fields = append(fields, f)
		}
	}
	if t.Operation.Body != nil {
		body, takes := sample[bodyField]
		if t.Flat() {
			body, takes = sample, true
		}
		f := toolField{Name: bodyField, Label: "Body, JSON", Required: t.Operation.Body.Required, Kind: "json"}
		if takes {
			f.Value = indented(body)
		}
		fields = append(fields, f)
	}
	if sent != nil {
		for i, f := range fields {
			fields[i].Value = sent.Get(f.Name)
		}
	}
	return fields
}

func textOf(value any) string {
	if text, isText := value.(string); isText {
		return text
	}
	data, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(data)
}

func indented(value any) string {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return ""
	}
	return string(data)
}

// argumentsIn makes a tool's arguments of a form. What is left empty is not sent.
func argumentsIn(t *toolset.Tool, form url.Values) (json.RawMessage, error) {
	arguments := map[string]any{}
	body := strings.TrimSpace(form.Get(bodyField))
	if body != "" {
		if !json.Valid([]byte(body)) {
			return nil, badRequest("the body is not JSON")
		}
		if t.Flat() {
			return json.RawMessage(body), nil
		}
		arguments[bodyField] = json.RawMessage(body)
	}
	for _, g := range groups {
		values := map[string]any{}
		for _, parameter := range t.Operation.Parameters {
			if text := form.Get(g.group + "." + parameter.Name); parameter.In == g.in && text != "" {
				values[parameter.Name] = valueOf(parameter, text)
			}
		}
		if len(values) > 0 {
			arguments[g.group] = values
		}
	}
	return json.Marshal(arguments)
}

// valueOf reads a field as its parameter's schema has it: lists as JSON, or with a
// comma between their elements. What does not fit is left to the check of the call.
func valueOf(p catalogue.Parameter, text string) any {
	var schema struct{ Type any }
	_ = json.Unmarshal(p.Schema, &schema)
	kinds, several := schema.Type.([]any)
	if !several {
		kinds = []any{schema.Type}
	}
	has := func(kind string) bool { return slices.Contains(kinds, any(kind)) }
	switch {
	case has("string"):
		return text
	case has("array") && !strings.HasPrefix(strings.TrimSpace(text), "["):
		var items []any
		for item := range strings.SplitSeq(text, ",") {
			items = append(items, scalarOf(strings.TrimSpace(item)))
		}
		return items
	}
	return scalarOf(text)
}

// scalarOf is the JSON that a text is, or the text.
func scalarOf(text string) any {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	return text
}
