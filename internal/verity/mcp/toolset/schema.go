package toolset

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/verity/catalogue"
)

// input is the schema of a tool's arguments and what is said about it.
type input struct {
	raw      json.RawMessage
	flat     bool
	required []string // "path.id", "body"
	example  string
}

// The sizes at which a schema is slimmed: texts in its components go first.
const (
	slimAbove  = 16 << 10
	maxExample = 400
)

// inputSchema builds the schema of an operation's arguments: one group for each
// place that takes some, and with them the components they lead to.
func inputSchema(c *catalogue.Catalogue, op *catalogue.Operation) (input, error) {
	b := &builder{c: c, defs: map[string]any{}}
	var in input
	var root map[string]any
	var err error
	if in.flat = isFlat(op); in.flat {
		root, err = b.flat(op)
	} else {
		root, in.required, err = b.grouped(op)
	}
	if err != nil {
		return in, err
	}
	b.prune(root)
	in.example = exampleOf(root, b.defs)
	if in.raw, err = b.marshal(root); err != nil {
		return in, err
	}
	if len(in.raw) > slimAbove {
		for _, def := range b.defs {
			walkSchema(def, dropTexts)
		}
		in.raw, err = b.marshal(root)
	}
	return in, err
}

// isFlat reports whether the document wants the arguments to be the body
// itself, which is possible where there is nothing else to give.
func isFlat(op *catalogue.Operation) bool {
	var form string
	wanted := json.Unmarshal(op.Extensions[ArgumentsExtension], &form) == nil && form == groupBody
	return wanted && len(op.Parameters) == 0 && op.Body.JSON() != nil
}

type builder struct {
	c    *catalogue.Catalogue
	defs map[string]any
}

func (b *builder) flat(op *catalogue.Operation) (map[string]any, error) {
	schema, err := b.piece(op.Body.JSON().Schema, true)
	if err != nil {
		return nil, err
	}
	if kind, given := schema["type"]; given && kind != "object" {
		return nil, fmt.Errorf("%s: only an object can be the arguments", ArgumentsExtension)
	}
	schema["type"] = "object"
	return schema, nil
}

func (b *builder) grouped(op *catalogue.Operation) (root map[string]any, required []string, err error) {
	groups := map[string]any{}
	var needed []any
	for _, place := range []struct{ in, group string }{{"path", groupPath}, {"query", groupQuery}, {"header", groupHeader}} {
		schema, names, err := b.parameters(op, place.in)
		if err != nil {
			return nil, nil, err
		}
		if schema == nil {
			continue
		}
		groups[place.group] = schema
		if len(names) > 0 {
			needed = append(needed, place.group)
		}
		for _, name := range names {
			required = append(required, place.group+"."+name)
		}
	}
	if takesBody(op) {
		body, err := b.body(op)
		if err != nil {
			return nil, nil, err
		}
		groups[groupBody] = body
		if op.Body.Required {
			needed = append(needed, groupBody)
			required = append(required, bodyRequired(body)...)
		}
	}
	if op.Method == "GET" {
		groups[argFields] = map[string]any{
			"type": "array", "items": map[string]any{"type": "string"},
			"description": "Return only these fields, as paths such as data.id",
		}
	}
	root = map[string]any{"type": "object", "properties": groups, "additionalProperties": false}
	if len(needed) > 0 {
		root["required"] = needed
	}
	return root, required, nil
}

func bodyRequired(body map[string]any) []string {
	names, _ := body["required"].([]any)
	if len(names) == 0 {
		return []string{groupBody}
	}
	var list []string
	for _, name := range names {
		if text, ok := name.(string); ok {
			list = append(list, groupBody+"."+text)
		}
	}
	return list
}

// takesBody reports whether the operation's request has a body that is sent.
func takesBody(op *catalogue.Operation) bool {
	return op.Method != "GET" && op.Body != nil && len(op.Body.Contents) > 0
}

// refusedHeaders are never taken from a model: they say who is asking, or how
// the message is framed.
var refusedHeaders = []string{"authorization", "cookie", "host", "content-type", "content-length", "accept", "x-api-key"}

// parameters returns the schema of one group, and the names that must be given.
func (b *builder) parameters(op *catalogue.Operation, in string) (schema map[string]any, required []string, err error) {
	properties := map[string]any{}
	for _, p := range op.Parameters {
		if p.In != in || in == "header" && slices.Contains(refusedHeaders, strings.ToLower(p.Name)) {
			continue
		}
		one, err := b.piece(p.Schema, false)
		if err != nil {
			return nil, nil, fmt.Errorf("%s parameter %q: %w", in, p.Name, err)
		}
		if _, has := one["description"]; !has && p.Description != "" {
			one["description"] = cut(p.Description, maxDescription)
		}
		if p.Deprecated {
			one["deprecated"] = true
		}
		properties[p.Name] = one
		if p.Required {
			required = append(required, p.Name)
		}
	}
	if len(properties) == 0 {
		return nil, nil, nil
	}
	schema = map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		schema["required"] = anyList(required)
	}
	return schema, required, nil
}

// body returns the schema of the body that a model writes. A form is an object
// of its fields; other bytes come as text or in base64.
func (b *builder) body(op *catalogue.Operation) (map[string]any, error) {
	content := chosenContent(op)
	var schema map[string]any
	var err error
	switch formOf(content.Type) {
	case bodyBytes:
		schema = map[string]any{"type": "string", "contentEncoding": "base64", "description": "The bytes (" + content.Type + ") in base64"}
	case bodyText:
		schema = map[string]any{"type": "string", "description": "The text, sent as " + content.Type}
	default:
		if schema, err = b.piece(content.Schema, true); err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
	}
	if _, has := schema["description"]; !has && op.Body.Description != "" {
		schema["description"] = cut(op.Body.Description, maxDescription)
	}
	return schema, nil
}

// piece returns one raw schema, ready to stand inside the tool's: its
// components go to the shared ones, what models cannot use is dropped.
func (b *builder) piece(raw json.RawMessage, body bool) (map[string]any, error) {
	bundled, err := b.c.Schema(raw)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(bundled))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	schema, ok := value.(map[string]any)
	if !ok { // true and false are schemas as well
		schema = map[string]any{}
		if value == false {
			schema["not"] = map[string]any{}
		}
	}
	defs, _ := schema["$defs"].(map[string]any)
	delete(schema, "$defs")
	if body {
		dropReadOnly(schema, defs)
		for _, def := range defs {
			dropReadOnly(def, defs)
		}
	}
	walkSchema(schema, tidy)
	for _, def := range defs {
		walkSchema(def, tidy)
	}
	b.adopt(schema, defs)
	return schema, nil
}

// adopt adds a piece's components to the tool's. A name that means something
// else already gets another one.
func (b *builder) adopt(schema map[string]any, defs map[string]any) {
	renamed := map[string]string{}
	for name, def := range defs {
		if known, taken := b.defs[name]; taken && !reflect.DeepEqual(known, def) {
			renamed["#/$defs/"+name] = fmt.Sprintf("%s_%d", name, len(b.defs))
		}
	}
	if len(renamed) > 0 {
		rename := func(s map[string]any) {
			if ref, ok := s["$ref"].(string); ok && renamed[ref] != "" {
				s["$ref"] = "#/$defs/" + renamed[ref]
			}
		}
		walkSchema(schema, rename)
		for _, def := range defs {
			walkSchema(def, rename)
		}
	}
	for name, def := range defs {
		if other := renamed["#/$defs/"+name]; other != "" {
			name = other
		}
		b.defs[name] = def
	}
}

// prune drops the components to which nothing leads.
func (b *builder) prune(root any) {
	used := map[string]bool{}
	var visit func(any)
	follow := func(s map[string]any) {
		name, ok := defName(s)
		if !ok || used[name] {
			return
		}
		used[name] = true
		visit(b.defs[name])
	}
	visit = func(value any) { walkSchema(value, follow) }
	visit(root)
	maps.DeleteFunc(b.defs, func(name string, _ any) bool { return !used[name] })
}

// defName returns the component to which a schema refers.
func defName(schema map[string]any) (string, bool) {
	ref, _ := schema["$ref"].(string)
	rest, ok := strings.CutPrefix(ref, "#/$defs/")
	if !ok {
		return "", false
	}
	name, _, _ := strings.Cut(rest, "/")
	return strings.NewReplacer("~1", "/", "~0", "~", "%20", " ").Replace(name), true
}

func (b *builder) marshal(root map[string]any) (json.RawMessage, error) {
	if len(b.defs) > 0 {
		root["$defs"] = b.defs
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(root); err != nil {
		return nil, err
	}
	return json.RawMessage(bytes.TrimSpace(out.Bytes())), nil
}

func anyList(names []string) []any {
	list := make([]any, len(names))
	for i, name := range names {
		list[i] = name
	}
	return list
}
