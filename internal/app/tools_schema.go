package app

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/df-middleware/dfm/internal/verity/catalogue"
	"github.com/df-middleware/dfm/internal/verity/mcp/toolset"
)

// schemaNode is one member of a schema, for reading.
type schemaNode struct {
	Name, Type, About string
	Required          bool
	Inside            []schemaNode
}

// schemaDepth is how deep a tree is shown, and schemaNodes how large it may grow.
const (
	schemaDepth = 6
	schemaNodes = 600
)

// argumentsTree shows what a tool takes.
func argumentsTree(t *toolset.Tool) []schemaNode {
	var root map[string]any
	if json.Unmarshal(t.InputSchema, &root) != nil {
		return nil
	}
	defs, _ := root["$defs"].(map[string]any)
	w := treeWriter{left: schemaNodes, resolve: func(ref string) any { return defs[strings.TrimPrefix(ref, "#/$defs/")] }}
	return w.inside(root, schemaDepth)
}

// responseTree shows what an operation answers, as far as the catalogue says.
func responseTree(c *catalogue.Catalogue, op *catalogue.Operation) []schemaNode {
	var schema any
	if op.Response == nil || json.Unmarshal(op.Response.Schema, &schema) != nil {
		return nil
	}
	w := treeWriter{left: schemaNodes, resolve: func(ref string) any {
		raw, _ := c.Component(strings.TrimPrefix(ref, "#/components/schemas/"))
		var component any
		_ = json.Unmarshal(raw, &component) // what cannot be read is shown as nothing
		return component
	}}
	return []schemaNode{w.node("answer", schema, true, schemaDepth)}
}

type treeWriter struct {
	left    int
	resolve func(ref string) any
}

func (w *treeWriter) node(name string, value any, required bool, depth int) schemaNode {
	w.left--
	schema, _ := value.(map[string]any)
	for range schemaDepth { // a reference may lead to another
		ref, isRef := schema["$ref"].(string)
		if !isRef {
			break
		}
		schema, _ = w.resolve(ref).(map[string]any)
	}
	about, _ := schema["description"].(string)
	return schemaNode{Name: name, Type: typeOf(schema), About: about, Required: required, Inside: w.inside(schema, depth-1)}
}

// inside are the members of an object, of what a list holds, and of alternatives.
func (w *treeWriter) inside(schema map[string]any, depth int) []schemaNode {
	if depth <= 0 || w.left <= 0 {
		return nil
	}
	var nodes []schemaNode
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if w.left <= 0 {
			break
		}
		nodes = append(nodes, w.node(name, properties[name], slices.Contains(required, any(name)), depth))
	}
	if items, ok := schema["items"].(map[string]any); ok {
		nodes = append(nodes, w.node("each", items, false, depth))
	}
	for _, keyword := range []string{"allOf", "oneOf", "anyOf"} {
		list, _ := schema[keyword].([]any)
		for i, one := range list {
			nodes = append(nodes, w.node(keyword+" "+strconv.Itoa(i+1), one, false, depth))
		}
	}
	return nodes
}

// typeOf says in one line what a value may be.
func typeOf(schema map[string]any) string {
	var words []string
	switch kind := schema["type"].(type) {
	case string:
		words = append(words, kind)
	case []any:
		for _, one := range kind {
			words = append(words, textOf(one))
		}
	}
	text := strings.Join(words, " or ")
	if format, ok := schema["format"].(string); ok {
		text += " (" + format + ")"
	}
	if values, ok := schema["enum"].([]any); ok {
		var shown []string
		for _, one := range values[:min(len(values), 12)] {
			shown = append(shown, textOf(one))
		}
		if text += ": " + strings.Join(shown, ", "); len(values) > len(shown) {
			text += ", …"
		}
	}
	for _, bound := range []string{"minimum", "maximum", "minLength", "maxLength", "pattern", "default"} {
		if value, ok := schema[bound]; ok {
			text += ", " + bound + " " + textOf(value)
		}
	}
	if text = strings.TrimLeft(text, ": ,"); text == "" {
		return "any"
	}
	return text
}
