package openapi

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	yaml "github.com/pb33f/go-yaml"
)

//go:embed web gateway.yaml
var files embed.FS

// About is what only the running program knows.
type About struct {
	Version string
	URL     string // where it is served; "" for the address that the document was read from
}

// Web describes the web app.
func Web(about About) ([]byte, error) {
	names, err := fs.Glob(files, "web/*.yaml")
	if err != nil {
		return nil, err
	}
	return build(about, names...)
}

// Gateway describes the gateway.
func Gateway(about About) ([]byte, error) { return build(about, "gateway.yaml") }

type object = map[string]any

// part is one file.
type part struct {
	Info       object                       `yaml:"info"` // of the frame, which is in one file only
	Tag        string                       `yaml:"tag"`
	About      string                       `yaml:"about"` // the tag
	Security   []object                     `yaml:"security"`
	Paths      map[string]map[string]object `yaml:"paths"`
	Schemas    object                       `yaml:"schemas"`
	Components map[string]object            `yaml:"components"` // all but schemas
}

// build makes one document of some files.
func build(about About, names ...string) ([]byte, error) {
	d := document{paths: object{}, components: map[string]object{"schemas": {}}}
	for _, name := range names {
		data, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var p part
		if err := yaml.Unmarshal(data, &p); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		if err := d.add(p); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
	}
	d.info["version"] = about.Version
	if about.Version == "" {
		d.info["version"] = "unknown"
	}
	if about.URL == "" {
		about.URL = "/"
	}
	return json.Marshal(object{
		"openapi": "3.1.1", "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema", "info": d.info,
		"servers": []object{{"url": about.URL}}, "tags": d.tags, "paths": d.paths, "components": d.components,
	})
}

// document is what has been read so far.
type document struct {
	info       object
	tags       []object
	paths      object
	components map[string]object
}

func (d *document) add(p part) error {
	if p.Info != nil {
		d.info = p.Info
	}
	if p.Tag != "" {
		d.tags = append(d.tags, object{"name": p.Tag, "description": p.About})
	}
	p.Components = maps.Clone(p.Components)
	if p.Components == nil {
		p.Components = map[string]object{}
	}
	p.Components["schemas"] = p.Schemas
	for kind, named := range p.Components {
		if d.components[kind] == nil {
			d.components[kind] = object{}
		}
		for name, one := range named {
			if d.components[kind][name] != nil {
				return fmt.Errorf("%s of %s are there twice", name, kind)
			}
			closeSchemas(one)
			d.components[kind][name] = one
		}
	}
	for path, methods := range p.Paths {
		if d.paths[path] != nil {
			return fmt.Errorf("the path %s is there twice", path)
		}
		whole := object{}
		for method, operation := range methods {
			whole[method] = expand(path, operation, p)
		}
		d.paths[path] = whole
	}
	return nil
}

// closeSchemas forbids members that a schema does not name, wherever it names
// some and says nothing else about others.
func closeSchemas(value any) {
	switch value := value.(type) {
	case object:
		_, named := value["properties"].(object)
		if _, said := value["additionalProperties"]; named && !said {
			value["additionalProperties"] = false
		}
		for _, inner := range value {
			closeSchemas(inner)
		}
	case []any:
		for _, inner := range value {
			closeSchemas(inner)
		}
	}
}

// sortedKeys are the keys of a map in their order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
