package verity

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/verity/catalogue"
)

// maxEndpoint bounds the path that a caller may ask for, before and after the
// parameters are filled in.
const maxEndpoint = 4 << 10

// maxDecodings is how often we look under a percent encoding. Text that still
// changes after so many rounds was made to hide something.
const maxDecodings = 5

func badEndpoint(message string) *df.Error {
	return refuse(http.StatusBadRequest, "INVALID_ENDPOINT", message)
}

// resolve turns what a caller asks for into the one canonical, percent-encoded
// path that goes upstream, and the query that was written behind it. Every
// literal segment is decoded, judged and encoded again; every parameter's value
// becomes exactly one segment or a part of one. Nothing is compared before that.
func resolve(endpoint string, params map[string]string) (path, query string, err error) {
	if err := judgeText(endpoint); err != nil {
		return "", "", err
	}
	path, query, _ = strings.Cut(endpoint, "?")
	if !simple(path) {
		if path, err = rebuild(path, params); err != nil {
			return "", "", err
		}
	}
	path = catalogue.Rewrite(path)
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return "", "", badEndpoint("a path segment must not be a dot or two")
		}
	}
	if path != "/api" && !strings.HasPrefix(path, "/api/") {
		return "", "", badEndpoint("endpoint must start with /api")
	}
	return path, query, nil
}

// rebuild decodes, judges, fills and encodes each segment of a path.
func rebuild(path string, params map[string]string) (string, error) {
	var out strings.Builder
	for segment := range strings.SplitSeq(path[1:], "/") {
		text, err := fill(segment, params)
		if err != nil {
			return "", err
		}
		out.WriteByte('/')
		out.WriteString(catalogue.EscapeSegment(text))
		if out.Len() > maxEndpoint {
			return "", badEndpoint("endpoint is too long")
		}
	}
	return out.String(), nil
}

// judgeText refuses what must not be in an endpoint anywhere, as written.
func judgeText(endpoint string) error {
	switch {
	case len(endpoint) > maxEndpoint:
		return badEndpoint("endpoint is too long")
	case !strings.HasPrefix(endpoint, "/api"):
		return badEndpoint("endpoint must start with /api")
	case !utf8.ValidString(endpoint):
		return badEndpoint("endpoint is not valid UTF-8")
	case strings.Contains(endpoint, ".."), strings.Contains(endpoint, "//"), strings.Contains(endpoint, `\`):
		return badEndpoint(`endpoint must not contain "..", "//" or "\"`)
	case strings.Contains(endpoint, "#"):
		return badEndpoint("endpoint must not contain a fragment")
	case strings.ContainsFunc(endpoint, hidden):
		return badEndpoint("endpoint must not contain control or look-alike characters")
	}
	return nil
}

// hidden reports control characters, and characters that some software turns
// into dots, slashes or nothing when it tidies Unicode.
func hidden(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r < 0xa0:
		return true
	case r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r == 0xfeff:
		return true
	}
	return strings.ContainsRune("․‥…⁄∕／＼．。﹒﹨", r)
}

// simple reports a path that is canonical as it stands, which most are: plain
// segments without escapes, parameters or a segment of one dot.
func simple(path string) bool {
	for i := range len(path) {
		c := path[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '/', c == '-', c == '_':
		case c == '.' && path[i-1] != '/':
		default:
			return false
		}
	}
	return true
}

// fill returns the decoded text of a segment with its parameters in place.
func fill(segment string, params map[string]string) (string, error) {
	var text strings.Builder
	for rest := segment; rest != ""; {
		open := strings.IndexAny(rest, "{[")
		if open < 0 {
			open = len(rest)
		}
		literal, err := decodeLiteral(rest[:open])
		if err != nil {
			return "", err
		}
		text.WriteString(literal)
		if open == len(rest) {
			break
		}
		end := strings.IndexAny(rest[open+1:], "{}[]")
		if end < 0 || rest[open+1+end] != closing(rest[open]) {
			return "", badEndpoint("endpoint has a placeholder without an end")
		}
		value, err := parameter(rest[open+1:open+1+end], params)
		if err != nil {
			return "", err
		}
		text.WriteString(value)
		rest = rest[open+end+2:]
	}
	return text.String(), nil
}

func closing(open byte) byte {
	if open == '[' {
		return ']'
	}
	return '}'
}

func parameter(name string, params map[string]string) (string, error) {
	value, given := params[name]
	switch {
	case !given || value == "":
		return "", badEndpoint("endpoint has a placeholder that params does not fill")
	case !utf8.ValidString(value) || strings.ContainsFunc(value, hidden):
		return "", badEndpoint("a path parameter must not contain control or look-alike characters")
	}
	return value, nil
}

// decodeLiteral undoes the percent encoding once, as the upstream will, and
// looks at what further rounds would uncover.
func decodeLiteral(text string) (string, error) {
	if strings.IndexByte(text, '%') < 0 {
		return text, judgeSegment(text)
	}
	once, err := url.PathUnescape(text)
	if err != nil {
		return "", badEndpoint("endpoint has a broken percent encoding")
	}
	layer := once
	for range maxDecodings {
		if err := judgeSegment(layer); err != nil {
			return "", err
		}
		deeper, err := url.PathUnescape(layer)
		if err != nil || deeper == layer {
			return once, nil
		}
		layer = deeper
	}
	return "", badEndpoint("endpoint is percent-encoded too often")
}

func judgeSegment(text string) error {
	switch {
	case !utf8.ValidString(text):
		return badEndpoint("endpoint is not valid UTF-8")
	case text == ".", strings.Contains(text, ".."), strings.ContainsAny(text, `/\?#`):
		return badEndpoint(`endpoint must not contain an encoded "..", "/", "\", "?" or "#"`)
	case strings.ContainsAny(text, "{}[]"):
		return badEndpoint("endpoint has braces that are no placeholder")
	case strings.ContainsFunc(text, hidden):
		return badEndpoint("endpoint must not contain control or look-alike characters")
	}
	return nil
}
