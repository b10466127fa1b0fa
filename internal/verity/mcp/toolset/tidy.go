package toolset

import (
	"slices"
	"strings"
)

// walkSchema calls visit for each schema in value, from the outside in.
func walkSchema(value any, visit func(map[string]any)) { walk(value, false, visit) }

func walk(value any, named bool, visit func(map[string]any)) {
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			walk(item, false, visit)
		}
	case map[string]any:
		if !named {
			visit(value)
		}
		for keyword, child := range value {
			if named || !holdsData(keyword) {
				walk(child, !named && holdsNames(keyword), visit)
			}
		}
	}
}

func holdsNames(keyword string) bool {
	switch keyword {
	case "properties", "patternProperties", "$defs", "definitions", "dependentSchemas":
		return true
	}
	return false
}

func holdsData(keyword string) bool {
	switch keyword {
	case "example", "examples", "default", "enum", "const", "required", "discriminator":
		return true
	}
	return false
}

// tidy drops what only tools for people use, and mends what model providers
// refuse: OpenAI wants every array to say what is in it.
func tidy(schema map[string]any) {
	for _, keyword := range []string{"xml", "externalDocs", "discriminator", "$id", "$comment"} {
		delete(schema, keyword)
	}
	for keyword := range schema {
		if strings.HasPrefix(keyword, "x-") && keyword != paramHeader {
			delete(schema, keyword)
		}
	}
	if header, given := schema[paramHeader]; given && !goodParamHeader(header, schema["type"]) {
		delete(schema, paramHeader)
	}
	if schema["type"] == "array" && schema["items"] == nil && schema["prefixItems"] == nil {
		schema["items"] = map[string]any{}
	}
}

// paramHeader asks clients to repeat an argument in a header of the request.
const paramHeader = "x-mcp-header"

func goodParamHeader(header, kind any) bool {
	name, isText := header.(string)
	scalar := kind == "string" || kind == "integer" || kind == "boolean"
	return isText && scalar && name != "" && clean(name) == name
}

func dropTexts(schema map[string]any) {
	for _, keyword := range []string{"description", "title", "example", "examples"} {
		if _, isText := schema[keyword].(string); isText || keyword[0] == 'e' {
			delete(schema, keyword)
		}
	}
}

// dropReadOnly takes what only answers hold out of a body: a model that sees
// such properties fills them in.
func dropReadOnly(value any, defs map[string]any) {
	walkSchema(value, func(schema map[string]any) {
		properties, _ := schema["properties"].(map[string]any)
		for name, property := range properties {
			if !isReadOnly(property, defs) {
				continue
			}
			delete(properties, name)
			if required, ok := schema["required"].([]any); ok {
				if required = slices.DeleteFunc(slices.Clone(required), func(r any) bool { return r == name }); len(required) > 0 {
					schema["required"] = required
				} else {
					delete(schema, "required")
				}
			}
		}
	})
}

func isReadOnly(value any, defs map[string]any) bool {
	schema, _ := value.(map[string]any)
	if schema["readOnly"] == true {
		return true
	}
	name, ok := defName(schema)
	target, _ := defs[name].(map[string]any)
	return ok && target["readOnly"] == true
}
