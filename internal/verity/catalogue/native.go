package catalogue

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/verity/strictjson"
)

// readNative reads the catalogue format of the external contract, §3.
func (c *Catalogue) readNative(top map[string]json.RawMessage) {
	c.Format = "native"
	c.Title = "Verity"
	c.Version = text(top["version"])
	c.GeneratedAt = text(top["generatedAt"])
	domains := c.nativeDomains(top["domains"])
	_ = strictjson.Elements(top["endpoints"], func(i int, raw []byte) error {
		c.readEndpoint(fmt.Sprintf("endpoints[%d]", i), raw, domains)
		return nil
	})
}

// nativeDomains returns the domain of each path that the document lists by domain.
func (c *Catalogue) nativeDomains(raw json.RawMessage) map[string]string {
	byPath := make(map[string]string)
	_ = strictjson.Members(raw, func(domain string, paths []byte) error {
		return strictjson.Elements(paths, func(_ int, path []byte) error {
			byPath[text(path)] = domain
			return nil
		})
	})
	return byPath
}

func (c *Catalogue) readEndpoint(place string, raw []byte, domains map[string]string) {
	endpoint, err := members(raw)
	if err != nil {
		c.problem(Error, "", place, err.Error())
		return
	}
	path := text(endpoint["path"])
	t, err := parseTemplate(path)
	if err != nil {
		c.problem(Error, path, place+".path", err.Error())
		return
	}
	shared := Operation{
		Path:        t.path,
		Domain:      domains[path],
		Description: text(endpoint["description"]),
		Summary:     text(endpoint["summary"]),
		Deprecated:  truth(endpoint["deprecated"]),
		SendsText:   text(endpoint["sendsText"]),
	}
	if shared.Domain == "" {
		shared.Domain = domainOf(t.path)
	}
	shared.Tags = []string{shared.Domain}
	if shared.Auth, err = nativeAuth(endpoint); err != nil {
		c.problem(Error, path, place+".authType", err.Error())
		return
	}
	if err := shared.nativeInputs(endpoint, t); err != nil {
		c.problem(Error, path, place+".parameters", err.Error())
		return
	}
	c.readMethods(place, endpoint, shared, t, raw)
}

func (c *Catalogue) readMethods(place string, endpoint map[string]json.RawMessage, shared Operation, t template, raw []byte) {
	count := 0
	_ = strictjson.Elements(endpoint["methods"], func(i int, value []byte) error {
		count++
		method := strings.ToUpper(text(value))
		at := fmt.Sprintf("%s.methods[%d]", place, i)
		if !KnownMethod(method) {
			c.problem(Error, shared.Path, at, fmt.Sprintf("%q is no method that the gateway knows", method))
			return nil
		}
		op := shared
		op.Method = method
		if method == "GET" {
			op.Body = nil // an endpoint's body belongs to its writing methods
		}
		if c.add(&op, t, at) {
			c.native[&op] = raw
		}
		return nil
	})
	if count == 0 {
		c.problem(Error, shared.Path, place+".methods", "no method is given")
	}
}

// nativeAuth reads authType, and authRequired where that is all there is. An
// unknown level is refused: guessing a lower one would open the operation.
func nativeAuth(endpoint map[string]json.RawMessage) (Auth, error) {
	raw, given := endpoint["authType"]
	if !given || string(raw) == "null" {
		if truth(endpoint["authRequired"]) {
			return RequireAuth, nil
		}
		return NoAuth, nil
	}
	level := Auth(text(raw))
	if !slices.Contains([]Auth{NoAuth, RequireAuth, RequireUser, RequireAdmin}, level) {
		return "", fmt.Errorf("%s is not one of none, requireAuth, requireUser, requireAdmin", clip(raw))
	}
	return level, nil
}

func (op *Operation) nativeInputs(endpoint map[string]json.RawMessage, t template) error {
	parameters, err := optionalMembers(endpoint["parameters"])
	if err != nil {
		return err
	}
	schemas, err := optionalMembers(endpoint["schema"])
	if err != nil {
		return err
	}
	types, err := optionalMembers(parameters["path"])
	if err != nil {
		return fmt.Errorf("path: %w", err)
	}
	for _, name := range t.params {
		op.Parameters = append(op.Parameters, Parameter{Name: name, In: "path", Required: true, Style: "simple", Schema: typeSchema(types[name])})
	}
	err = strictjson.Members(parameters["query"], func(name string, value []byte) error {
		optional := strings.HasSuffix(name, "?")
		op.Parameters = append(op.Parameters, Parameter{
			Name: strings.TrimSuffix(name, "?"), In: "query", Required: !optional && requires(value),
			Style: "form", Explode: true, Schema: typeSchema(value),
		})
		return nil
	})
	if body := firstOf(schemas["request"], parameters["body"]); body != nil {
		op.Body = &Body{Contents: []Content{{Type: "application/json", Schema: bodySchema(body)}}}
	}
	if response := firstOf(schemas["response"]); response != nil {
		op.Response = &Content{Type: "application/json", Schema: bodySchema(response)}
	}
	return err
}

// requires reports whether a parameter given as an object says "required": true.
// One given as a bare type name says nothing, so it is optional.
func requires(value json.RawMessage) bool {
	object, err := members(value)
	return err == nil && truth(object["required"])
}

func optionalMembers(raw json.RawMessage) (map[string]json.RawMessage, error) {
	if raw == nil || string(raw) == "null" {
		return nil, nil
	}
	return members(raw)
}

// firstOf returns the first value that is there and says anything.
func firstOf(values ...json.RawMessage) json.RawMessage {
	for _, v := range values {
		if kind := strictjson.KindOf(v); kind == strictjson.Object && !emptyObject(v) || kind == strictjson.Text {
			return v
		}
	}
	return nil
}

func emptyObject(raw json.RawMessage) bool {
	object, err := members(raw)
	return err == nil && len(object) == 0
}

// bodySchema returns a schema for a body that is either one already or the
// original's short form, {"zone":"string","weightKg":"number"}.
func bodySchema(raw json.RawMessage) json.RawMessage {
	object, err := members(raw)
	if err != nil || looksLikeSchema(object) {
		return typeSchema(raw)
	}
	out := []byte(`{"type":"object","properties":{`)
	first := true
	_ = strictjson.Members(raw, func(name string, value []byte) error {
		if !first {
			out = append(out, ',')
		}
		first = false
		out = append(strictjson.AppendString(out, strings.TrimSuffix(name, "?")), ':')
		out = append(out, bodySchemaOf(value)...)
		return nil
	})
	return append(out, "}}"...)
}

func bodySchemaOf(value json.RawMessage) json.RawMessage {
	if strictjson.KindOf(value) == strictjson.Object {
		return bodySchema(value)
	}
	return typeSchema(value)
}

func looksLikeSchema(object map[string]json.RawMessage) bool {
	for _, keyword := range []string{"$ref", "properties", "allOf", "anyOf", "oneOf", "items", "enum", "const"} {
		if _, found := object[keyword]; found {
			return true
		}
	}
	return len(object) > 0 && slices.Contains([]string{"object", "array"}, text(object["type"]))
}

// typeSchema returns the schema of a type's name, such as "number" or
// "string[]". A schema stays as it is; what is no known name may be anything.
func typeSchema(raw json.RawMessage) json.RawMessage {
	if strictjson.KindOf(raw) == strictjson.Object {
		return raw
	}
	name := strings.ToLower(strings.TrimSuffix(text(raw), "?"))
	if item, isList := strings.CutSuffix(name, "[]"); isList {
		return json.RawMessage(`{"type":"array","items":` + string(namedType(item)) + `}`)
	}
	return namedType(name)
}

func namedType(name string) json.RawMessage {
	switch name {
	case "string", "number", "integer", "boolean", "object", "array":
		return json.RawMessage(`{"type":"` + name + `"}`)
	case "int":
		return json.RawMessage(`{"type":"integer"}`)
	case "bool":
		return json.RawMessage(`{"type":"boolean"}`)
	case "date", "datetime", "date-time":
		return json.RawMessage(`{"type":"string"}`)
	}
	return json.RawMessage(`{}`)
}

func clip(raw json.RawMessage) string {
	if len(raw) > 60 {
		return string(raw[:60]) + "…"
	}
	return string(raw)
}
