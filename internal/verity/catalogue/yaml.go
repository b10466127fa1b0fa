package catalogue

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	yaml "github.com/pb33f/go-yaml"

	"github.com/df-middleware/dfm/internal/verity/strictjson"
)

// yamlToJSON writes a YAML document as JSON, names in their order. Numbers that
// JSON can spell keep their spelling. Aliases are followed, within the same
// bounds of depth and size as the document itself, so that a few lines of
// aliases cannot unfold into gigabytes.
func yamlToJSON(data []byte) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("neither JSON nor YAML: %w", err)
	}
	if document.Kind != yaml.DocumentNode || len(document.Content) != 1 {
		return nil, errors.New("neither JSON nor YAML")
	}
	w := yamlWriter{limit: 8*len(data) + 1<<16}
	if err := w.write(document.Content[0], maxDepth); err != nil {
		return nil, err
	}
	return w.out, strictjson.Check(w.out, maxDepth)
}

type yamlWriter struct {
	out   []byte
	limit int
}

func (w *yamlWriter) write(n *yaml.Node, depth int) error {
	if depth == 0 {
		return fmt.Errorf("line %d: %w", n.Line, strictjson.ErrDepth)
	}
	if len(w.out) > w.limit {
		return fmt.Errorf("line %d: aliases make the document too large", n.Line)
	}
	switch n.Kind {
	case yaml.AliasNode:
		return w.write(n.Alias, depth-1)
	case yaml.MappingNode:
		return w.mapping(n, depth)
	case yaml.SequenceNode:
		w.out = append(w.out, '[')
		for i, item := range n.Content {
			if i > 0 {
				w.out = append(w.out, ',')
			}
			if err := w.write(item, depth-1); err != nil {
				return err
			}
		}
		w.out = append(w.out, ']')
		return nil
	}
	return w.scalar(n)
}

func (w *yamlWriter) mapping(n *yaml.Node, depth int) error {
	w.out = append(w.out, '{')
	for i := 0; i+1 < len(n.Content); i += 2 {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		key := n.Content[i]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" {
			return fmt.Errorf("line %d: a name must be plain text", key.Line)
		}
		w.out = append(strictjson.AppendString(w.out, key.Value), ':')
		if err := w.write(n.Content[i+1], depth-1); err != nil {
			return err
		}
	}
	w.out = append(w.out, '}')
	return nil
}

func (w *yamlWriter) scalar(n *yaml.Node) error {
	switch n.ShortTag() {
	case "!!null":
		w.out = append(w.out, "null"...)
	case "!!bool":
		var value bool
		if err := n.Decode(&value); err != nil {
			return fmt.Errorf("line %d: %w", n.Line, err)
		}
		w.out = strconv.AppendBool(w.out, value)
	case "!!int", "!!float":
		return w.number(n)
	default:
		w.out = strictjson.AppendString(w.out, n.Value)
	}
	return nil
}

func (w *yamlWriter) number(n *yaml.Node) error {
	if json.Valid([]byte(n.Value)) {
		w.out = append(w.out, n.Value...)
		return nil
	}
	var value any
	if err := n.Decode(&value); err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	encoded, err := json.Marshal(value)
	if err != nil { // .inf and .nan
		encoded = strictjson.AppendString(nil, n.Value)
	}
	w.out = append(w.out, encoded...)
	return nil
}
