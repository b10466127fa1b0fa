package catalogue

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
)

// listing is the whole catalogue in its outward form, made when first asked for.
type listing struct {
	once sync.Once
	body []byte
	etag string
}

// Listing returns the catalogue in the shape of the native format, whatever the
// document's own is, with an entity tag for it. A domain keeps only its
// operations; of text every word must occur in an operation's path, id, summary
// or description. Case makes no difference.
func (c *Catalogue) Listing(domain, query string) (body []byte, etag string) {
	if domain != "" || query != "" {
		body := c.render(c.filter(domain, query))
		return body, tagOf(body)
	}
	c.listing.once.Do(func() {
		c.listing.body = c.render(c.Operations)
		c.listing.etag = tagOf(c.listing.body)
	})
	return c.listing.body, c.listing.etag
}

func tagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}

func (c *Catalogue) filter(domain, query string) []*Operation {
	words := strings.Fields(strings.ToLower(query))
	var kept []*Operation
	for _, op := range c.Operations {
		if domain != "" && !strings.EqualFold(op.Domain, domain) {
			continue
		}
		haystack := strings.ToLower(strings.Join([]string{op.Path, op.ID, op.Summary, op.Description}, " "))
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(haystack, word) }) {
			kept = append(kept, op)
		}
	}
	return kept
}

type listed struct {
	Version     string              `json:"version"`
	GeneratedAt string              `json:"generatedAt,omitempty"`
	Endpoints   []json.RawMessage   `json:"endpoints"`
	Domains     map[string][]string `json:"domains"`
	Statistics  statistics          `json:"statistics"`
	Components  map[string]any      `json:"components,omitempty"`
}

type statistics struct {
	TotalEndpoints int            `json:"totalEndpoints"`
	Methods        map[string]int `json:"methods"`
	Domains        map[string]int `json:"domains"`
}

func (c *Catalogue) render(ops []*Operation) []byte {
	out := listed{
		Version: c.Version, GeneratedAt: c.GeneratedAt, Endpoints: []json.RawMessage{},
		Domains:    map[string][]string{},
		Statistics: statistics{Methods: map[string]int{}, Domains: map[string]int{}},
	}
	seen := make(map[*byte]bool) // a native endpoint has one entry for all its methods
	schemas := make(map[string]json.RawMessage)
	for _, op := range ops {
		out.Statistics.Methods[op.Method]++
		if paths := out.Domains[op.Domain]; len(paths) == 0 || paths[len(paths)-1] != op.Path {
			out.Domains[op.Domain] = append(paths, op.Path)
		}
		raw := c.native[op]
		if raw == nil {
			raw = c.endpoint(op, schemas)
		} else if seen[&raw[0]] {
			continue
		}
		seen[&raw[0]] = true
		out.Statistics.Domains[op.Domain]++
		out.Endpoints = append(out.Endpoints, raw)
	}
	out.Statistics.TotalEndpoints = len(out.Endpoints)
	if len(schemas) > 0 {
		out.Components = map[string]any{"schemas": schemas}
	}
	body, err := json.Marshal(out)
	if err != nil {
		return []byte("{}")
	}
	return body
}

// endpoint writes an operation as an endpoint of the native format.
func (c *Catalogue) endpoint(op *Operation, schemas map[string]json.RawMessage) json.RawMessage {
	e := map[string]any{
		"operationId": op.ID, "path": op.Path, "methods": []string{op.Method}, "domain": op.Domain,
		"description": firstText(op.Description, op.Summary), "authType": op.Auth, "authRequired": op.Auth != NoAuth,
	}
	if op.Summary != "" {
		e["summary"] = op.Summary
	}
	if op.Deprecated {
		e["deprecated"] = true
	}
	parameters := map[string]map[string]json.RawMessage{}
	for _, p := range op.Parameters {
		if parameters[p.In] == nil {
			parameters[p.In] = map[string]json.RawMessage{}
		}
		parameters[p.In][p.Name] = p.Schema
		c.closure(p.Schema, schemas)
	}
	if len(parameters) > 0 {
		e["parameters"] = parameters
	}
	schema := map[string]json.RawMessage{}
	if content := op.Body.JSON(); content != nil && content.Schema != nil {
		schema["request"] = content.Schema
	}
	if op.Response != nil && op.Response.Schema != nil {
		schema["response"] = op.Response.Schema
	}
	for _, raw := range schema {
		c.closure(raw, schemas)
	}
	if len(schema) > 0 {
		e["schema"] = schema
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return json.RawMessage("{}")
	}
	return raw
}

// closure adds the components that a schema leads to.
func (c *Catalogue) closure(raw json.RawMessage, schemas map[string]json.RawMessage) {
	_ = eachRef(raw, func(ref string) error {
		name, err := schemaName(ref)
		if component, found := c.schemas[name]; err == nil && found && schemas[name] == nil {
			schemas[name] = component
			c.closure(component, schemas)
		}
		return nil
	})
}

// Components returns the names of the document's component schemas, sorted.
func (c *Catalogue) Components() []string { return slices.Sorted(maps.Keys(c.schemas)) }

// Component returns one component schema as it stands in the document.
func (c *Catalogue) Component(name string) (json.RawMessage, bool) {
	raw, found := c.schemas[name]
	return raw, found
}

func firstText(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// Domains returns how many operations each domain has.
func (c *Catalogue) Domains() map[string]int {
	counts := make(map[string]int)
	for _, op := range c.Operations {
		counts[op.Domain]++
	}
	return counts
}
