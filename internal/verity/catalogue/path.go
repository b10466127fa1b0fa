package catalogue

import (
	"errors"
	"net/url"
	"strings"
)

// Methods lists the methods that the gateway knows, in the contract's order.
func Methods() []string { return []string{"GET", "POST", "PUT", "PATCH", "DELETE"} }

// KnownMethod reports whether the gateway passes the method on. Methods are
// case-sensitive.
func KnownMethod(method string) bool {
	switch method {
	case "GET", "POST", "PUT", "PATCH", "DELETE":
		return true
	}
	return false
}

// TextPath is where Verity takes text messages.
const TextPath = "/api/integrations/df-middleware/send-message"

// Rewrite puts the slash into paths that lack it after "api", as those of the
// original's generated catalogue do: /apicalls/x is /api/calls/x. Whatever
// begins with /apisms is TextPath.
func Rewrite(path string) string {
	rest, found := strings.CutPrefix(path, "/api")
	switch {
	case !found || rest == "" || rest[0] == '/':
		return path
	case rest == "sms" || strings.HasPrefix(rest, "sms/"):
		return TextPath
	}
	return "/api/" + rest
}

// EscapeSegment percent-encodes text so that it is exactly one path segment: a
// slash in it is no separator, and percent signs stay what they are.
func EscapeSegment(text string) string { return url.PathEscape(text) }

var errTemplate = errors.New("braces must hold a parameter's name and nothing else")

// piece is a part of a template's segment: literal text or a parameter's name.
type piece struct {
	text  string
	param bool
}

// pieces splits a segment such as "{base}...{head}" or "[id].json".
func pieces(segment string) ([]piece, error) {
	var list []piece
	for segment != "" {
		open := strings.IndexAny(segment, "{[")
		if open < 0 {
			open = len(segment)
		}
		if literal := segment[:open]; literal != "" {
			if strings.ContainsAny(literal, "}]") {
				return nil, errTemplate
			}
			list = append(list, piece{text: literal})
		}
		if open == len(segment) {
			break
		}
		end := strings.IndexAny(segment[open:], "}]")
		if end < 0 || segment[open+end] != closing(segment[open]) || !paramName(segment[open+1:open+end]) {
			return nil, errTemplate
		}
		list = append(list, piece{text: segment[open+1 : open+end], param: true})
		segment = segment[open+end+1:]
	}
	return list, nil
}

func closing(open byte) byte {
	if open == '[' {
		return ']'
	}
	return '}'
}

func paramName(name string) bool {
	return name != "" && !strings.ContainsAny(name, "{}[]/?#")
}

// template is a path as the catalogue has it, in canonical form.
type template struct {
	path     string // canonical text, {name} for parameters
	segments [][]piece
	params   []string
}

func parseTemplate(path string) (template, error) {
	if !strings.HasPrefix(path, "/") {
		return template{}, errors.New("a path begins with a slash")
	}
	if strings.ContainsAny(path, "?#\\") || strings.Contains(path, "//") {
		return template{}, errors.New("a path has no query, no fragment, no backslash and no empty segment")
	}
	var t template
	var canonical strings.Builder
	path = strings.TrimSuffix(Rewrite(path), "/")
	for segment := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		list, err := pieces(segment)
		if err != nil {
			return template{}, err
		}
		canonical.WriteByte('/')
		for i, p := range list {
			if p.param {
				t.params = append(t.params, p.text)
				canonical.WriteString("{" + p.text + "}")
				continue
			}
			text, err := url.PathUnescape(p.text)
			if err != nil || text == "." || text == ".." {
				return template{}, errors.New("a segment is not a valid path segment")
			}
			list[i].text = EscapeSegment(text)
			canonical.WriteString(list[i].text)
		}
		t.segments = append(t.segments, list)
	}
	t.path = canonical.String()
	return t, nil
}

// underAPI reports whether the gateway would ever let the path through.
func underAPI(path string) bool { return path == "/api" || strings.HasPrefix(path, "/api/") }
