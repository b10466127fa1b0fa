package stage

import (
	"net/http"
	"net/url"
	"strings"
)

// router matches paths exactly: a trailing slash is part of the path, as it is
// at GHL, and nothing is cleaned or redirected. http.ServeMux would forgive both.
type router struct{ routes []route }

type route struct {
	operation string
	method    string
	segments  []string
	handler   http.Handler
}

func (t *router) add(operation, method, pattern string, handler http.Handler) {
	t.routes = append(t.routes, route{operation, method, strings.Split(pattern, "/"), handler})
}

// match returns the route for a request and the values of its placeholders.
// When only the method differs it returns no route and true. Routes without
// placeholders win over those that have some.
func (t *router) match(method, escapedPath string) (found *route, values map[string]string, otherMethod bool) {
	segments := strings.Split(escapedPath, "/")
	best := -1
	for i := range t.routes {
		r := &t.routes[i]
		got, literal, ok := r.fits(segments)
		switch {
		case !ok:
		case r.method != method:
			otherMethod = true
		case literal > best:
			found, values, best = r, got, literal
		}
	}
	return found, values, otherMethod
}

func (r *route) fits(segments []string) (values map[string]string, literal int, ok bool) {
	rest := len(r.segments) > 0 && r.segments[len(r.segments)-1] == "{path...}"
	if len(segments) != len(r.segments) && !(rest && len(segments) >= len(r.segments)) {
		return nil, 0, false
	}
	values = map[string]string{}
	for i, want := range r.segments {
		switch {
		case want == "{path...}":
			values["path"] = strings.Join(segments[i:], "/")
		case strings.HasPrefix(want, "{"):
			value, err := url.PathUnescape(segments[i])
			if err != nil || value == "" {
				return nil, 0, false
			}
			values[want[1:len(want)-1]] = value
		case want == segments[i]:
			literal++
		default:
			return nil, 0, false
		}
	}
	return values, literal, true
}
