package stage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

func strictJSON(data []byte, to any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(to); err != nil {
		return fmt.Errorf("read JSON: %w", err)
	}
	return nil
}

// Object is a JSON object whose numbers keep their digits.
type Object map[string]any

// ReadObject reads a JSON object. An empty body is an empty object.
func ReadObject(body []byte) (Object, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return Object{}, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var o Object
	if err := decoder.Decode(&o); err != nil {
		return nil, fmt.Errorf("read a JSON object: %w", err)
	}
	if o == nil {
		return nil, fmt.Errorf("read a JSON object: it is null")
	}
	return o, nil
}

// FormAsJSON returns an urlencoded form as a JSON object of texts. What is no
// form becomes an empty object.
func FormAsJSON(form []byte) []byte {
	values, err := url.ParseQuery(string(form))
	if err != nil {
		return []byte("{}")
	}
	flat := map[string]string{}
	for name := range values {
		flat[name] = values.Get(name)
	}
	out, err := json.Marshal(flat)
	if err != nil {
		return []byte("{}")
	}
	return out
}

// Has reports whether the object has the member, even as null.
func (o Object) Has(name string) bool { _, ok := o[name]; return ok }

// Text returns a member as text: numbers and booleans as written, null and
// missing ones as "".
func (o Object) Text(name string) string { return Text(o[name]) }

// Text returns a decoded JSON value as text, "" for null, arrays and objects.
func Text(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case int:
		return strconv.Itoa(v)
	default:
		return ""
	}
}

// True reports whether a member is true, 1, "1", "true" or "yes".
func (o Object) True(name string) bool {
	switch strings.ToLower(o.Text(name)) {
	case "true", "1", "yes":
		return true
	}
	return false
}

// Texts returns a member as a list of texts: an array of scalars, or one string
// split at commas.
func (o Object) Texts(name string) []string {
	out := []string{}
	switch v := o[name].(type) {
	case []any:
		for _, item := range v {
			out = append(out, Text(item))
		}
	default:
		for part := range strings.SplitSeq(Text(v), ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

// ISO formats a time as GHL does: UTC, milliseconds, Z.
func ISO(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// Normalised returns a value as an upstream may rewrite it: spaces collapsed,
// names in capitals, e-mail addresses in lower case. Field is the value's name
// in the upstream's API.
func Normalised(field, value string) string {
	value = strings.Join(strings.Fields(value), " ")
	switch key := strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(field)); {
	case key == "email":
		return strings.ToLower(value)
	case key == "firstname" || key == "lastname" || key == "name":
		return strings.ToUpper(value)
	default:
		return value
	}
}
