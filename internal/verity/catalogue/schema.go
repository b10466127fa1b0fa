package catalogue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Schema returns a raw schema of this catalogue as one self-contained JSON
// Schema of the 2020-12 dialect: components it leads to are in "$defs", each
// once, and what OpenAPI 3.0 spells differently (nullable, boolean
// exclusiveMinimum) is translated. Recursion stays recursion. Numbers are exact.
func (c *Catalogue) Schema(raw json.RawMessage) (json.RawMessage, error) {
	b := bundle{c: c, defs: make(map[string]any)}
	root, err := b.read(raw)
	if err != nil {
		return nil, err
	}
	for len(b.todo) > 0 {
		name := b.todo[0]
		b.todo = b.todo[1:]
		component, found := c.schemas[name]
		if !found {
			return nil, fmt.Errorf("schema %q does not exist", name)
		}
		if b.defs[name], err = b.read(component); err != nil {
			return nil, fmt.Errorf("schema %q: %w", name, err)
		}
	}
	if len(b.defs) > 0 {
		object, ok := root.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("a schema with references is no object")
		}
		if own, ok := object["$defs"].(map[string]any); ok {
			for name, def := range own {
				b.defs[name] = def
			}
		}
		object["$defs"] = b.defs
	}
	return json.Marshal(root)
}

// bundle collects the components that a schema leads to.
type bundle struct {
	c    *Catalogue
	defs map[string]any
	todo []string
}

func (b *bundle) read(raw json.RawMessage) (any, error) {
	if len(raw) == 0 {
		return map[string]any{}, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var schema any
	if err := decoder.Decode(&schema); err != nil {
		return nil, err
	}
	return schema, b.schema(schema, false)
}

// schema rewrites a schema in place, or with named an object of named schemas.
func (b *bundle) schema(value any, named bool) error {
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			if err := b.schema(item, false); err != nil {
				return err
			}
		}
	case map[string]any:
		if !named {
			if err := b.keywords(value); err != nil {
				return err
			}
		}
		for name, child := range value {
			if !named && holdsData(name) {
				continue
			}
			if err := b.schema(child, !named && holdsNames(name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bundle) keywords(schema map[string]any) error {
	old := b.c.Format == "openapi 3.0"
	if ref, isRef := schema["$ref"].(string); isRef {
		rewritten, err := b.reference(ref)
		if err != nil {
			return err
		}
		if old { // OpenAPI 3.0 ignores what stands beside a reference
			clear(schema)
		}
		schema["$ref"] = rewritten
		return nil
	}
	if old {
		exclusive(schema, "minimum", "exclusiveMinimum")
		exclusive(schema, "maximum", "exclusiveMaximum")
		nullable(schema)
	}
	return nil
}

func (b *bundle) reference(ref string) (string, error) {
	if strings.HasPrefix(ref, "#/$defs/") {
		return ref, nil
	}
	name, err := schemaName(ref)
	if err != nil {
		return "", err
	}
	if _, queued := b.defs[name]; !queued {
		b.defs[name] = nil
		b.todo = append(b.todo, name)
	}
	return "#/$defs/" + strings.TrimPrefix(ref, schemaPrefix), nil
}

func exclusive(schema map[string]any, bound, keyword string) {
	flag, isFlag := schema[keyword].(bool)
	if !isFlag {
		return
	}
	delete(schema, keyword)
	if limit, given := schema[bound]; flag && given {
		schema[keyword] = limit
		delete(schema, bound)
	}
}

func nullable(schema map[string]any) {
	flag, _ := schema["nullable"].(bool)
	delete(schema, "nullable")
	kind, named := schema["type"].(string)
	if !flag || !named {
		return
	}
	schema["type"] = []any{kind, "null"}
	if values, listed := schema["enum"].([]any); listed && !slices.Contains(values, nil) {
		schema["enum"] = append(slices.Clone(values), nil)
	}
}
