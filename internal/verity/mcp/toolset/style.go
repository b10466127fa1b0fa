package toolset

import (
	"net/url"
	"strings"

	"github.com/df-middleware/dfm/internal/verity/catalogue"
	"github.com/df-middleware/dfm/internal/verity/strictjson"
)

// pair is a member of an object, or with an empty name an element of a list.
type pair struct{ name, text string }

// pairsOf returns what is in a list or an object of scalars. Deeper values are
// no parameters that any style can write.
func pairsOf(p catalogue.Parameter, value []byte) ([]pair, error) {
	var list []pair
	add := func(name string, item []byte) error {
		text, ok := scalar(item)
		if !ok && strictjson.KindOf(item) != strictjson.Null {
			return badArgument("%s.%s must hold only texts, numbers and booleans", groupOf(p), p.Name)
		}
		list = append(list, pair{name, text})
		return nil
	}
	if strictjson.KindOf(value) == strictjson.Array {
		err := strictjson.Elements(value, func(_ int, item []byte) error { return add("", item) })
		return list, err
	}
	err := strictjson.Members(value, add)
	return list, err
}

func groupOf(p catalogue.Parameter) string {
	if p.In == "header" {
		return groupHeader
	}
	return p.In
}

// addQuery writes a query parameter in the style that the document gives it:
// form, spaceDelimited, pipeDelimited or deepObject, exploded or not. What the
// document leaves open is form, exploded: a key repeated for each element.
func addQuery(query url.Values, p catalogue.Parameter, value []byte) error {
	if text, ok := scalar(value); ok {
		query.Add(p.Name, text)
		return nil
	}
	if p.Style == "deepObject" && strictjson.KindOf(value) == strictjson.Object {
		return addDeep(query, p, p.Name, value, maxDeep)
	}
	list, err := pairsOf(p, value)
	if err != nil {
		return err
	}
	if p.Explode {
		for _, one := range list {
			name := one.name
			if name == "" {
				name = p.Name
			}
			query.Add(name, one.text)
		}
		return nil
	}
	if len(list) > 0 {
		query.Add(p.Name, join(list, delimiter(p.Style), delimiter(p.Style)))
	}
	return nil
}

// maxDeep is how deep a deepObject may go: filter[name][first].
const maxDeep = 4

func addDeep(query url.Values, p catalogue.Parameter, name string, value []byte, depth int) error {
	if text, ok := scalar(value); ok {
		query.Add(name, text)
		return nil
	}
	if depth == 0 {
		return badArgument("query.%s is nested too deeply", p.Name)
	}
	if strictjson.KindOf(value) == strictjson.Array {
		return strictjson.Elements(value, func(_ int, item []byte) error { return addDeep(query, p, name, item, depth-1) })
	}
	return strictjson.Members(value, func(member string, item []byte) error {
		return addDeep(query, p, name+"["+member+"]", item, depth-1)
	})
}

func delimiter(style string) string {
	switch style {
	case "spaceDelimited":
		return " "
	case "pipeDelimited":
		return "|"
	}
	return ","
}

// simpleStyle writes a parameter of the path or a header: simple, label or
// matrix, the last two for paths only.
func simpleStyle(p catalogue.Parameter, value []byte) (string, error) {
	prefix, separator := "", ","
	switch p.Style {
	case "label":
		prefix, separator = ".", "."
	case "matrix":
		prefix, separator = ";"+p.Name+"=", ";"
	}
	if text, ok := scalar(value); ok {
		return prefix + text, nil
	}
	list, err := pairsOf(p, value)
	if err != nil || len(list) == 0 {
		return "", err
	}
	if p.Style == "matrix" {
		return matrix(p, list), nil
	}
	equals := ","
	if p.Explode {
		equals = "="
	}
	return prefix + join(list, separator, equals), nil
}

func matrix(p catalogue.Parameter, list []pair) string {
	if !p.Explode {
		return ";" + p.Name + "=" + join(list, ",", ",")
	}
	var out strings.Builder
	for _, one := range list {
		name := one.name
		if name == "" {
			name = p.Name
		}
		out.WriteString(";" + name + "=" + one.text)
	}
	return out.String()
}

// join writes elements as a,b and members as name,value or name=value.
func join(list []pair, separator, equals string) string {
	texts := make([]string, len(list))
	for i, one := range list {
		texts[i] = one.text
		if one.name != "" {
			texts[i] = one.name + equals + one.text
		}
	}
	return strings.Join(texts, separator)
}
