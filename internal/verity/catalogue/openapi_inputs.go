package catalogue

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/verity/strictjson"
)

// readInputs reads parameters (those of the path first, an operation's own
// replace them) and the request body. It returns where the trouble is.
func (o *openapi) readInputs(op *Operation, t template, found map[string]json.RawMessage, shared json.RawMessage) (string, error) {
	for _, list := range []json.RawMessage{shared, found["parameters"]} {
		err := strictjson.Elements(list, func(i int, raw []byte) error {
			if err := o.readParameter(op, raw); err != nil {
				return fmt.Errorf("[%d]: %w", i, err)
			}
			return nil
		})
		if err != nil {
			return ".parameters", err
		}
	}
	if err := completePath(op, t); err != nil {
		return ".parameters", err
	}
	if raw := found["requestBody"]; raw != nil {
		if err := o.readBody(op, raw); err != nil {
			return ".requestBody", err
		}
	}
	return "", nil
}

// completePath refuses a path parameter that the template lacks, and declares
// those of the template that the document forgot.
func completePath(op *Operation, t template) error {
	for _, p := range op.Parameters {
		if p.In == "path" && !slices.Contains(t.params, p.Name) {
			return fmt.Errorf("path parameter %q is not in the path", p.Name)
		}
	}
	for _, name := range t.params {
		if !slices.ContainsFunc(op.Parameters, func(p Parameter) bool { return p.In == "path" && p.Name == name }) {
			op.Parameters = append(op.Parameters, Parameter{Name: name, In: "path", Required: true, Style: "simple", Schema: json.RawMessage(`{"type":"string"}`)})
		}
	}
	return nil
}

func (o *openapi) readParameter(op *Operation, raw json.RawMessage) error {
	found, err := o.follow(raw, "parameters")
	if err != nil {
		return err
	}
	p := Parameter{
		Name: text(found["name"]), In: text(found["in"]), Description: text(found["description"]),
		Required: truth(found["required"]), Deprecated: truth(found["deprecated"]), Style: text(found["style"]),
		Schema: found["schema"],
	}
	switch p.In {
	case "path", "query", "header":
	case "cookie":
		return nil // cookies never go upstream
	default:
		return fmt.Errorf("%q is no place for a parameter", p.In)
	}
	if p.Name == "" {
		return errors.New("a parameter has no name")
	}
	p.Required = p.Required || p.In == "path"
	if p.Style == "" {
		p.Style = "simple"
		if p.In == "query" {
			p.Style = "form"
		}
	}
	p.Explode = p.Style == "form"
	if raw := found["explode"]; raw != nil {
		p.Explode = truth(raw)
	}
	if p.Schema == nil {
		p.Schema = firstContent(found["content"]).Schema
	}
	if p.Schema == nil {
		p.Schema = json.RawMessage(`{}`)
	}
	if err := o.references(p.Schema); err != nil {
		return fmt.Errorf("%s parameter %q: %w", p.In, p.Name, err)
	}
	op.Parameters = slices.DeleteFunc(op.Parameters, func(old Parameter) bool { return old.Name == p.Name && old.In == p.In })
	op.Parameters = append(op.Parameters, p)
	return nil
}

func (o *openapi) readBody(op *Operation, raw json.RawMessage) error {
	found, err := o.follow(raw, "requestBodies")
	if err != nil {
		return err
	}
	op.Body = &Body{Required: truth(found["required"]), Description: text(found["description"]), Contents: contents(found["content"])}
	for _, content := range op.Body.Contents {
		if err := o.references(content.Schema); err != nil {
			return fmt.Errorf("%s: %w", content.Type, err)
		}
	}
	return nil
}

// readResponse keeps the first 2xx answer that has a body, or else the default.
func (o *openapi) readResponse(op *Operation, raw json.RawMessage) error {
	responses, err := optionalMembers(raw)
	if err != nil {
		return err
	}
	codes := make([]string, 0, len(responses))
	for code := range responses {
		if strings.HasPrefix(code, "2") || code == "default" {
			codes = append(codes, code)
		}
	}
	slices.Sort(codes)
	for _, code := range codes {
		found, err := o.follow(responses[code], "responses")
		if err != nil {
			return fmt.Errorf("%s: %w", code, err)
		}
		content := firstContent(found["content"])
		if content.Type == "" {
			continue
		}
		if err := o.references(content.Schema); err != nil {
			return fmt.Errorf("%s: %w", code, err)
		}
		op.Response = &content
		return nil
	}
	return nil
}

func contents(raw json.RawMessage) []Content {
	var list []Content
	_ = strictjson.Members(raw, func(mediaType string, value []byte) error {
		if found, err := members(value); err == nil {
			list = append(list, Content{Type: mediaType, Schema: found["schema"]})
		}
		return nil
	})
	return list
}

// firstContent returns the JSON content, or the first one when there is none.
func firstContent(raw json.RawMessage) Content {
	list := contents(raw)
	for _, content := range list {
		if isJSON(content.Type) {
			return content
		}
	}
	if len(list) > 0 {
		return list[0]
	}
	return Content{}
}

// references reports a reference in the schema, or in a schema that it leads
// to, that cannot be resolved. What is known of a component is remembered.
func (o *openapi) references(raw json.RawMessage) error {
	return eachRef(raw, func(ref string) error {
		name, err := schemaName(ref)
		if err != nil {
			return err
		}
		why, known := o.broken[name]
		if !known {
			o.broken[name] = "" // a cycle that comes back here is no fault
			if err := o.component(name); err != nil {
				why = err.Error()
			}
			o.broken[name] = why
		}
		if why != "" {
			return errors.New(why)
		}
		return nil
	})
}

func (o *openapi) component(name string) error {
	raw, found := o.components["schemas"][name]
	if !found {
		return fmt.Errorf("schema %q does not exist", name)
	}
	return o.references(raw)
}

const schemaPrefix = "#/components/schemas/"

// schemaName returns the component that a reference in a schema leads into.
func schemaName(ref string) (string, error) {
	rest, ok := strings.CutPrefix(ref, schemaPrefix)
	if !ok {
		return "", fmt.Errorf("reference %q does not lead to components/schemas of this document", ref)
	}
	name, _, _ := strings.Cut(rest, "/")
	return unescapePointer(name), nil
}

// eachRef calls visit for each "$ref" with a text value anywhere in the schema.
func eachRef(raw json.RawMessage, visit func(ref string) error) error {
	return walkRefs(raw, false, visit)
}

// walkRefs walks a schema, or with named an object whose names are somebody's
// own ("properties") and whose values are schemas.
func walkRefs(raw json.RawMessage, named bool, visit func(ref string) error) error {
	switch strictjson.KindOf(raw) {
	case strictjson.Object:
		return strictjson.Members(raw, func(name string, value []byte) error {
			if named {
				return walkRefs(value, false, visit)
			}
			if ref, isText := strictjson.String(value); isText && name == "$ref" {
				return visit(ref)
			}
			if holdsData(name) {
				return nil
			}
			return walkRefs(value, holdsNames(name), visit)
		})
	case strictjson.Array:
		return strictjson.Elements(raw, func(_ int, value []byte) error { return walkRefs(value, false, visit) })
	}
	return nil
}

// holdsNames reports whether the keyword's value is an object of named schemas.
func holdsNames(keyword string) bool {
	switch keyword {
	case "properties", "patternProperties", "$defs", "definitions", "dependentSchemas":
		return true
	}
	return false
}

// holdsData reports whether the keyword's value is data and no schema.
func holdsData(keyword string) bool {
	switch keyword {
	case "example", "examples", "default", "enum", "const", "required", "discriminator":
		return true
	}
	return false
}
