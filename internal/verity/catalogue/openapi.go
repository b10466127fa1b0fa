package catalogue

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/df-middleware/dfm/internal/verity/strictjson"
)

// openapi reads one OpenAPI document into a catalogue. Nothing is inlined: the
// values it keeps are slices of the document's bytes.
type openapi struct {
	c          *Catalogue
	components map[string]map[string]json.RawMessage
	base       string // path of the first server, without a slash at the end
	security   json.RawMessage
	broken     map[string]string // component schema → why its references do not resolve
}

func (c *Catalogue) readOpenAPI(top map[string]json.RawMessage) error {
	version := text(top["openapi"])
	switch {
	case strings.HasPrefix(version, "3.0"):
		c.Format = "openapi 3.0"
	case strings.HasPrefix(version, "3.1"), strings.HasPrefix(version, "3.2"):
		c.Format = "openapi 3.1"
	default:
		return fmt.Errorf("openapi %q is not read, only 3.0 and 3.1", version)
	}
	if info, err := members(top["info"]); err == nil {
		c.Title, c.Version = text(info["title"]), text(info["version"])
	}
	if strictjson.KindOf(top["paths"]) != strictjson.Object {
		return errors.New("paths is missing or no object")
	}
	o := &openapi{c: c, components: map[string]map[string]json.RawMessage{}, security: top["security"], broken: map[string]string{}}
	o.readComponents(top["components"])
	o.base = serverPath(top["servers"])
	c.schemas = o.components["schemas"]
	return strictjson.Members(top["paths"], func(path string, item []byte) error {
		if !strings.HasPrefix(path, "x-") {
			o.readPath(path, item)
		}
		return nil
	})
}

func (o *openapi) readComponents(raw json.RawMessage) {
	_ = strictjson.Members(raw, func(section string, value []byte) error {
		if found, err := members(value); err == nil {
			o.components[section] = found
		} else if !strings.HasPrefix(section, "x-") {
			o.c.problem(Warning, "", "components."+section, err.Error())
		}
		return nil
	})
}

// serverPath returns the path of the first server's URL: paths are relative to it.
func serverPath(raw json.RawMessage) (base string) {
	_ = strictjson.Elements(raw, func(i int, server []byte) error {
		found, err := members(server)
		if i > 0 || err != nil {
			return nil
		}
		if u, err := url.Parse(text(found["url"])); err == nil && !strings.Contains(u.Path, "{") {
			base = strings.TrimSuffix(u.Path, "/")
		}
		return nil
	})
	return base
}

func (o *openapi) readPath(path string, raw json.RawMessage) {
	place := "paths." + path
	item, err := o.follow(raw, "pathItems")
	if err != nil {
		o.c.problem(Error, path, place, err.Error())
		return
	}
	t, err := parseTemplate(o.base + path)
	if err != nil {
		o.c.problem(Error, path, place, err.Error())
		return
	}
	for _, method := range Methods() {
		if operation := item[strings.ToLower(method)]; operation != nil {
			at := place + "." + strings.ToLower(method)
			o.readOperation(at, method, t, operation, item["parameters"])
		}
	}
	for _, method := range []string{"head", "options", "trace", "query"} {
		if item[method] != nil {
			o.c.problem(Warning, strings.ToUpper(method)+" "+t.path, place+"."+method, "the gateway does not pass this method on")
		}
	}
}

func (o *openapi) readOperation(place, method string, t template, raw, shared json.RawMessage) {
	name := method + " " + t.path
	fail := func(at, message string) { o.c.problem(Error, name, place+at, message) }
	found, err := members(raw)
	if err != nil {
		fail("", err.Error())
		return
	}
	op := &Operation{
		ID: text(found["operationId"]), Method: method, Path: t.path, Domain: domainOf(t.path),
		Summary: text(found["summary"]), Description: text(found["description"]),
		Deprecated: truth(found["deprecated"]), SendsText: text(found["x-sends-text"]),
	}
	_ = strictjson.Elements(found["tags"], func(_ int, tag []byte) error {
		op.Tags = append(op.Tags, text(tag))
		return nil
	})
	if len(op.Tags) > 0 && op.Tags[0] != "" {
		op.Domain = op.Tags[0]
	}
	if op.Auth, err = o.auth(found); err != nil {
		fail(".x-auth-type", err.Error())
		return
	}
	if at, err := o.readInputs(op, t, found, shared); err != nil {
		fail(at, err.Error())
		return
	}
	if err := o.readResponse(op, found["responses"]); err != nil {
		o.c.problem(Warning, name, place+".responses", err.Error())
	}
	op.Extensions = extensions(found)
	o.c.add(op, t, place)
}

func extensions(found map[string]json.RawMessage) map[string]json.RawMessage {
	var list map[string]json.RawMessage
	for name, value := range found {
		if strings.HasPrefix(name, "x-") {
			if list == nil {
				list = make(map[string]json.RawMessage)
			}
			list[name] = value
		}
	}
	return list
}

// auth reads x-auth-type, the native catalogue's word, and else the security
// requirements: any that has no empty alternative wants a verified caller.
func (o *openapi) auth(found map[string]json.RawMessage) (Auth, error) {
	if raw := found["x-auth-type"]; raw != nil {
		return nativeAuth(map[string]json.RawMessage{"authType": raw})
	}
	security, own := found["security"]
	if !own {
		security = o.security
	}
	required := false
	_ = strictjson.Elements(security, func(i int, alternative []byte) error {
		required = (required || i == 0) && !emptyObject(alternative)
		return nil
	})
	if required {
		return RequireAuth, nil
	}
	return NoAuth, nil
}

// maxHops bounds chains of references from component to component.
const maxHops = 16

// follow returns the members of a value that may be a reference to a component
// of the given section. References to other documents are refused: reading them
// would let a description make us fetch what it likes.
func (o *openapi) follow(raw json.RawMessage, section string) (map[string]json.RawMessage, error) {
	for range maxHops {
		found, err := members(raw)
		if err != nil {
			return nil, err
		}
		ref, isRef := strictjson.String(found["$ref"])
		if !isRef {
			return found, nil
		}
		name, ok := strings.CutPrefix(ref, "#/components/"+section+"/")
		if !ok {
			return nil, fmt.Errorf("reference %q does not lead to components/%s of this document", ref, section)
		}
		if raw = o.components[section][unescapePointer(name)]; raw == nil {
			return nil, fmt.Errorf("reference %q leads nowhere", ref)
		}
	}
	return nil, errors.New("a chain of references has no end")
}

func unescapePointer(token string) string {
	if decoded, err := url.PathUnescape(token); err == nil {
		token = decoded
	}
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}
