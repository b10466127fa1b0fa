package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// The reasons for which Check refuses a document. DuplicateError is another.
var (
	ErrSyntax = errors.New("not valid JSON")
	ErrUTF8   = errors.New("not valid UTF-8")
	ErrDepth  = errors.New("nested too deeply")
)

// DuplicateError says that an object names a key twice. Parsers disagree on
// which value counts, so a check on one may pass what another then acts on.
type DuplicateError struct{ Key string }

// Error names the key.
func (e *DuplicateError) Error() string { return fmt.Sprintf("key %q is given twice", e.Key) }

// Kind is the type of a JSON value.
type Kind byte

// The kinds of JSON values. Invalid is what an empty slice has.
const (
	Invalid Kind = iota
	Null
	Bool
	Number
	Text
	Array
	Object
)

// String returns the kind in words, for messages to callers.
func (k Kind) String() string {
	return [...]string{"nothing", "null", "a boolean", "a number", "a string", "an array", "an object"}[k]
}

// KindOf returns the kind of a value, judged by its first byte.
func KindOf(raw []byte) Kind {
	i := space(raw, 0)
	if i == len(raw) {
		return Invalid
	}
	switch raw[i] {
	case '{':
		return Object
	case '[':
		return Array
	case '"':
		return Text
	case 't', 'f':
		return Bool
	case 'n':
		return Null
	}
	return Number
}

// Check reports why data is not exactly one unambiguous JSON value with at most
// depth containers inside one another: ErrSyntax, ErrUTF8, ErrDepth or a
// *DuplicateError.
func Check(data []byte, depth int) error {
	if !utf8.Valid(data) {
		return ErrUTF8
	}
	if !json.Valid(data) {
		return ErrSyntax
	}
	c := checker{data: data}
	_, err := c.value(space(data, 0), depth)
	return err
}

// checker walks valid JSON. keys is a stack: the names of the open objects, the
// innermost last.
type checker struct {
	data []byte
	keys [][]byte
}

func (c *checker) value(i, depth int) (int, error) {
	switch c.data[i] {
	case '{':
		if depth == 0 {
			return 0, ErrDepth
		}
		return c.object(i, depth-1)
	case '[':
		if depth == 0 {
			return 0, ErrDepth
		}
		return c.array(i, depth-1)
	}
	return skip(c.data, i), nil
}

func (c *checker) array(i, depth int) (int, error) {
	var err error
	for i = space(c.data, i+1); c.data[i] != ']'; i = next(c.data, i) {
		if i, err = c.value(i, depth); err != nil {
			return 0, err
		}
	}
	return i + 1, nil
}

// manyKeys is the size from which an object's names are kept in a map: below
// it, comparing with each is faster and makes no garbage.
const manyKeys = 24

func (c *checker) object(i, depth int) (int, error) {
	base := len(c.keys)
	var many map[string]bool
	for i = space(c.data, i+1); c.data[i] != '}'; i = next(c.data, i) {
		end := skip(c.data, i)
		key := unquote(c.data[i:end])
		if many == nil && len(c.keys)-base >= manyKeys {
			many = make(map[string]bool, 4*manyKeys)
			for _, k := range c.keys[base:] {
				many[string(k)] = true
			}
		}
		if c.has(base, many, key) {
			return 0, &DuplicateError{Key: clip(string(key))}
		}
		if many != nil {
			many[string(key)] = true
		} else {
			c.keys = append(c.keys, key)
		}
		var err error
		if i, err = c.value(colon(c.data, end), depth); err != nil {
			return 0, err
		}
	}
	c.keys = c.keys[:base]
	return i + 1, nil
}

func (c *checker) has(base int, many map[string]bool, key []byte) bool {
	if many != nil {
		return many[string(key)]
	}
	for _, k := range c.keys[base:] {
		if bytes.Equal(k, key) {
			return true
		}
	}
	return false
}

// Members calls visit for each member of a valid JSON object, in order, with the
// member's value as it stands. It does nothing for any other kind of value.
func Members(object []byte, visit func(name string, value []byte) error) error {
	i := space(object, 0)
	if i == len(object) || object[i] != '{' {
		return nil
	}
	for i = space(object, i+1); object[i] != '}'; i = next(object, i) {
		end := skip(object, i)
		name := string(unquote(object[i:end]))
		start := colon(object, end)
		i = skip(object, start)
		if err := visit(name, object[start:i]); err != nil {
			return err
		}
	}
	return nil
}

// Elements calls visit for each element of a valid JSON array, in order. It does
// nothing for any other kind of value.
func Elements(array []byte, visit func(index int, value []byte) error) error {
	i := space(array, 0)
	if i == len(array) || array[i] != '[' {
		return nil
	}
	n := 0
	for i = space(array, i+1); array[i] != ']'; i = next(array, i) {
		start := i
		i = skip(array, start)
		if err := visit(n, array[start:i]); err != nil {
			return err
		}
		n++
	}
	return nil
}

// String returns the text of a JSON string, and false for any other value.
func String(raw []byte) (string, bool) {
	if KindOf(raw) != Text {
		return "", false
	}
	return string(unquote(bytes.TrimSpace(raw))), true
}

// AppendString appends text to dst as a JSON string. Text that is not UTF-8 has
// its bad bytes replaced.
func AppendString(dst []byte, text string) []byte {
	if plain(text) {
		dst = append(dst, '"')
		dst = append(dst, text...)
		return append(dst, '"')
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return append(dst, `""`...)
	}
	return append(dst, quoted...)
}

func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

// space returns the index of the first byte at or after i that is no white space.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// next steps from the end of a value to the next one, or to the closing bracket.
func next(b []byte, i int) int {
	i = space(b, i)
	if b[i] == ',' {
		i = space(b, i+1)
	}
	return i
}

// colon steps from the end of a name to its value.
func colon(b []byte, i int) int { return space(b, space(b, i)+1) }

// skip returns the index after the value that begins at i.
func skip(b []byte, i int) int {
	switch b[i] {
	case '"':
		return skipText(b, i)
	case '{', '[':
		return skipContainer(b, i)
	}
	for i < len(b) && !strings.ContainsRune(",]} \n\t\r", rune(b[i])) {
		i++
	}
	return i
}

func skipText(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func skipContainer(b []byte, i int) int {
	for open := 0; ; i++ {
		switch b[i] {
		case '"':
			i = skipText(b, i) - 1
		case '{', '[':
			open++
		case '}', ']':
			if open--; open == 0 {
				return i + 1
			}
		}
	}
}

// unquote returns the text of a valid JSON string, sharing its bytes when it
// has no escapes.
func unquote(raw []byte) []byte {
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return inner
	}
	return []byte(text)
}

func clip(text string) string {
	if len(text) > 64 {
		return strings.ToValidUTF8(text[:64], "") + "…"
	}
	return text
}
