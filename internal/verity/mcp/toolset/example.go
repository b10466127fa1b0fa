package toolset

import (
	"bytes"
	"encoding/json"
	"slices"
)

// exampleDepth is how deep an example goes into required objects.
const exampleDepth = 4

// exampleOf returns arguments that give what is required and nothing else, or
// "" when nothing is, or when they would be long.
func exampleOf(root map[string]any, defs map[string]any) string {
	value, ok := sample(root, defs, exampleDepth).(map[string]any)
	if !ok || len(value) == 0 {
		return ""
	}
	text, err := json.Marshal(value)
	if err != nil || len(text) > maxExample {
		return ""
	}
	return string(text)
}

// sample returns a value of the kind that the schema asks for, taken from the
// document where it has one.
func sample(value any, defs map[string]any, depth int) any {
	schema, _ := value.(map[string]any)
	if name, isRef := defName(schema); isRef {
		if depth == 0 {
			return nil
		}
		return sample(defs[name], defs, depth-1)
	}
	if given, ok := givenSample(schema); ok {
		return given
	}
	for _, keyword := range []string{"allOf", "oneOf", "anyOf"} {
		if list, _ := schema[keyword].([]any); len(list) > 0 && schema["properties"] == nil {
			return sample(list[0], defs, depth)
		}
	}
	switch kindOf(schema) {
	case "object":
		return sampleObject(schema, defs, depth)
	case "array":
		if depth == 0 {
			return []any{}
		}
		return []any{sample(schema["items"], defs, depth-1)}
	case "integer", "number":
		if least, ok := schema["minimum"].(json.Number); ok {
			return least
		}
		return 1
	case "boolean":
		return true
	}
	return sampleText(schema)
}

func givenSample(schema map[string]any) (any, bool) {
	for _, keyword := range []string{"const", "example", "default"} {
		if value, ok := schema[keyword]; ok && value != nil {
			return value, true
		}
	}
	for _, keyword := range []string{"examples", "enum"} {
		if list, _ := schema[keyword].([]any); len(list) > 0 {
			return list[0], true
		}
	}
	return nil, false
}

func sampleObject(schema, defs map[string]any, depth int) any {
	out := map[string]any{}
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if text, ok := name.(string); ok && depth > 0 {
			out[text] = sample(properties[text], defs, depth-1)
		}
	}
	return out
}

func sampleText(schema map[string]any) string {
	switch schema["format"] {
	case "date-time":
		return "2026-01-31T09:00:00Z"
	case "date":
		return "2026-01-31"
	case "email":
		return "ada@example.test"
	case "uuid":
		return "3f2b7c1e-0000-4000-8000-000000000001"
	case "uri", "url":
		return "https://example.test"
	}
	return "text"
}

// kindOf returns the first type that is not null.
func kindOf(schema map[string]any) string {
	switch kind := schema["type"].(type) {
	case string:
		return kind
	case []any:
		i := slices.IndexFunc(kind, func(k any) bool { return k != "null" })
		if i >= 0 {
			text, _ := kind[i].(string)
			return text
		}
	}
	if schema["properties"] != nil {
		return "object"
	}
	return ""
}

// Sample returns arguments for the tool to begin with: made-up values for what it
// needs, and a whole body, if it takes one.
func (t *Tool) Sample() map[string]any {
	var root map[string]any
	decoder := json.NewDecoder(bytes.NewReader(t.InputSchema))
	decoder.UseNumber()
	if decoder.Decode(&root) != nil {
		return map[string]any{}
	}
	defs, _ := root["$defs"].(map[string]any)
	if t.flat {
		out, _ := wholeSample(root, defs).(map[string]any)
		return out
	}
	out, _ := sample(root, defs, exampleDepth).(map[string]any)
	properties, _ := root["properties"].(map[string]any)
	if body, takes := properties[groupBody]; takes {
		out[groupBody] = wholeSample(body, defs)
	}
	return out
}

// wholeSample is a sample with every member of an object that requires none.
func wholeSample(value any, defs map[string]any) any {
	schema, _ := value.(map[string]any)
	if name, isRef := defName(schema); isRef {
		schema, _ = defs[name].(map[string]any)
	}
	properties, _ := schema["properties"].(map[string]any)
	if _, given := givenSample(schema); given || schema["required"] != nil || len(properties) == 0 {
		return sample(value, defs, exampleDepth)
	}
	out := map[string]any{}
	for name, one := range properties {
		out[name] = sample(one, defs, exampleDepth-1)
	}
	return out
}

// Flat reports whether the tool's arguments are the body itself.
func (t *Tool) Flat() bool { return t.flat }
