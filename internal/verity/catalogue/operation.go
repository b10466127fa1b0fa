package catalogue

import "encoding/json"

// Auth says whom an operation is open to.
type Auth string

// The levels of the native catalogue's authType. RequireAuth wants any verified
// caller, RequireUser a person's session (no machine), RequireAdmin an
// administrator.
const (
	NoAuth       Auth = "none"
	RequireAuth  Auth = "requireAuth"
	RequireUser  Auth = "requireUser"
	RequireAdmin Auth = "requireAdmin"
)

// Operation is one method on one path.
type Operation struct {
	ID          string // unique in its catalogue; the document's operationId where there is one
	Method      string // upper case
	Path        string // template in canonical form: /api/pallets/{palletId}
	Domain      string // first tag, or the first segment after /api
	Tags        []string
	Summary     string
	Description string
	Deprecated  bool
	Auth        Auth
	Parameters  []Parameter
	Body        *Body    // nil when it takes none
	Response    *Content // the first success answer with a body, or nil
	// SendsText is the field of the body (or "" for none) that holds the phone
	// number this operation sends a text to, so that the opt-out gate can ask
	// first. Native "sendsText", OpenAPI "x-sends-text".
	SendsText string
	// Extensions holds the x-… members of an OpenAPI operation as they stand.
	Extensions map[string]json.RawMessage
}

// Parameter is an input in the path, the query or a header.
type Parameter struct {
	Name        string
	In          string // path, query, header
	Description string
	Required    bool
	Deprecated  bool
	Style       string // OpenAPI's style; form and simple when the document is silent
	Explode     bool   // arrays as repeated keys; true for form when the document is silent
	Schema      json.RawMessage
}

// Body is what an operation takes as its request body.
type Body struct {
	Required    bool
	Description string
	Contents    []Content
}

// JSON returns the body's JSON content, and nil when it takes none.
func (b *Body) JSON() *Content {
	if b == nil {
		return nil
	}
	for i := range b.Contents {
		if isJSON(b.Contents[i].Type) {
			return &b.Contents[i]
		}
	}
	return nil
}

// Content is one media type with its raw schema, which may hold references
// that Catalogue.Schema resolves.
type Content struct {
	Type   string
	Schema json.RawMessage
}

// Severity says whether a problem cost us the operation.
type Severity string

// An Error leaves the operation out. A Warning keeps it.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Problem is something wrong with the document, and where.
type Problem struct {
	Severity  Severity `json:"severity"`
	Operation string   `json:"operation,omitempty"` // "GET /api/pallets/{palletId}", or "" for the document
	Place     string   `json:"place"`               // "endpoints[3].methods", "paths./pallets.get.parameters[0]"
	Message   string   `json:"message"`
}

// String puts the problem on one line.
func (p Problem) String() string {
	text := string(p.Severity) + ": "
	if p.Operation != "" {
		text += p.Operation + ": "
	}
	return text + p.Place + ": " + p.Message
}
