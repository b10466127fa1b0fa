package openapi

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// expand writes out the shorthands of an operation.
func expand(path string, op object, p part) object {
	op["tags"] = []string{p.Tag}
	if op["security"] == nil {
		op["security"] = p.Security
	}
	parameters, _ := op["parameters"].([]any)
	if parameters = append(parameters, missing(path, parameters)...); len(parameters) > 0 {
		op["parameters"] = parameters
	}
	if body, given := op["x-body"].(object); given {
		op["requestBody"] = jsonBody(body)
	}
	responses, _ := op["responses"].(object)
	if responses == nil {
		responses = object{}
	}
	switch {
	case op["x-list"] != nil:
		responses["200"] = answer("What was asked for", object{"data": object{"type": "array", "items": schemaOf(op["x-list"])},
			"nextCursor": object{"type": []string{"string", "null"}, "description": "Goes into ?cursor= for what follows; null at the end."}})
		if more, given := op["x-more"].(object); given {
			schema := responses["200"].(object)["content"].(object)["application/json"].(object)["schema"].(object)
			maps.Copy(schema["properties"].(object), more)
		}
	case op["x-data"] != nil:
		responses["200"] = answer("What was asked for", object{"data": schemaOf(op["x-data"])})
	}
	for _, status := range errorsOf(op, parameters) {
		if responses[status] == nil {
			responses[status] = object{"$ref": "#/components/responses/" + errorNames[status]}
		}
	}
	op["responses"] = responses
	for _, name := range []string{"x-body", "x-list", "x-more", "x-data", "x-errors"} {
		delete(op, name)
	}
	closeSchemas(op)
	return op
}

// errorNames are the shared answers of refusals.
var errorNames = map[string]string{
	"400": "Invalid", "401": "Unauthorized", "403": "Forbidden", "404": "NotFound", "405": "NotAllowed", "409": "Conflict", "410": "Gone",
	"413": "TooLarge", "429": "TooMany", "500": "Failed", "502": "Upstream", "503": "Unavailable",
}

// errorsOf are the ways in which an operation may be refused: those that it names,
// and those that follow from what it takes and whom it asks.
func errorsOf(op object, parameters []any) []string {
	var statuses []string
	listed, _ := op["x-errors"].([]any)
	for _, status := range listed {
		if number, isNumber := status.(int); isNumber {
			statuses = append(statuses, strconv.Itoa(number))
		}
	}
	if security, _ := op["security"].([]object); len(security) > 0 {
		statuses = append(statuses, "401", "403", "429", "500")
	}
	if len(parameters) > 0 || op["requestBody"] != nil {
		statuses = append(statuses, "400")
	}
	slices.Sort(statuses)
	return slices.Compact(statuses)
}

// missing are the parameters in braces that have no entry.
func missing(path string, given []any) []any {
	var found []any
	for segment := range strings.SplitSeq(path, "/") {
		name, inBraces := strings.CutPrefix(segment, "{")
		name = strings.TrimSuffix(name, "}")
		said := slices.ContainsFunc(given, func(p any) bool { one, _ := p.(object); return one["name"] == name })
		if inBraces && !said {
			found = append(found, object{"name": name, "in": "path", "required": true, "schema": object{"type": "string"}})
		}
	}
	return found
}

// schemaOf is a schema: by its name, or as it stands.
func schemaOf(value any) any {
	if name, isName := value.(string); isName {
		return object{"$ref": "#/components/schemas/" + name}
	}
	return value
}

func jsonBody(body object) object {
	content := object{"schema": schemaOf(body["schema"])}
	if body["example"] != nil {
		content["example"] = body["example"]
	}
	required, _ := body["required"].(bool)
	return object{"required": required, "content": object{"application/json": content}}
}

// answer is the envelope of everything that succeeds.
func answer(what string, members object) object {
	members["success"] = object{"const": true}
	return object{"description": what, "content": object{"application/json": object{"schema": object{
		"type": "object", "required": sortedKeys(members), "properties": members,
	}}}}
}
