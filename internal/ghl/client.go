package ghl

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
)

// BaseURL is where GHL's API lives.
const BaseURL = "https://services.leadconnectorhq.com"

// Caller makes one call. egress.Client is one: it returns a *df.CallError for
// transport failures, 429 and 5xx, and an answer for every other status.
type Caller interface {
	Do(ctx context.Context, call egress.Call) (egress.Answer, error)
}

// Credentials give the bearer token of one location.
type Credentials interface {
	// Token returns the token to use now. When there is none it returns a
	// *df.CallError with code df.CodeUnconfigured.
	Token(ctx context.Context) (df.Secret, error)
	// Renew is told that GHL refused a token and returns another one, or false
	// when there is no other.
	Renew(ctx context.Context, refused df.Secret) (df.Secret, bool, error)
}

// PIT is a Private Integration Token as Credentials. It cannot be renewed by us,
// and it cannot act for a conversation provider.
type PIT df.Secret

// Token returns the token itself.
func (p PIT) Token(context.Context) (df.Secret, error) {
	if p == "" {
		return "", failure("sign in", df.RetryLater, df.CodeUnconfigured, "no token is set for GHL")
	}
	return df.Secret(p), nil
}

// Renew returns false: such a token is rotated by hand.
func (p PIT) Renew(context.Context, df.Secret) (df.Secret, bool, error) { return "", false, nil }

// Family is a part of the API that is versioned as one.
type Family string

// The families whose operations we use.
const (
	FamilyContacts      Family = "contacts"
	FamilyLocations     Family = "locations"
	FamilyUsers         Family = "users"
	FamilyConversations Family = "conversations"
	FamilyObjects       Family = "objects"
	FamilyOpportunities Family = "opportunities"
)

// Versions says which Version header each family gets. GHL versions by request
// and says of no version yet until when it is supported.
type Versions map[Family]string

const versionThree = "v3"

// DatedVersions returns the versions against which this package is tested.
func DatedVersions() Versions {
	return Versions{
		FamilyContacts: "2021-07-28", FamilyLocations: "2021-07-28", FamilyUsers: "2021-07-28",
		FamilyConversations: "2021-04-15", FamilyObjects: "2021-07-28", FamilyOpportunities: "2021-07-28",
	}
}

// ClientOptions configure a Client. Caller, Credentials and LocationID are required.
type ClientOptions struct {
	Caller      Caller
	Credentials Credentials
	LocationID  string   // the one location that this client reads and writes
	BaseURL     string   // BaseURL when empty
	Versions    Versions // DatedVersions for the families it leaves out
	Region      string   // country of phones without a country code, "US" when empty
	Log         *slog.Logger
}

// Client speaks GHL's REST API for one location. All errors are *df.CallError,
// except for those of a context that ended, or of a token store that failed,
// before a call was made. It is safe for concurrent use.
type Client struct {
	caller      Caller
	credentials Credentials
	location    string
	base        string
	versions    Versions
	region      string
	log         *slog.Logger
}

// NewClient returns a Client, or an error that says which option is wrong.
func NewClient(options ClientOptions) (*Client, error) {
	base, err := baseURL(options.BaseURL)
	if err != nil {
		return nil, err
	}
	if options.LocationID == "" {
		return nil, fmt.Errorf("ghl: no location id")
	}
	versions := DatedVersions()
	for family, version := range options.Versions {
		versions[family] = version
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	return &Client{
		caller: options.Caller, credentials: options.Credentials, location: options.LocationID,
		base: base, versions: versions, region: options.Region, log: options.Log,
	}, nil
}

func baseURL(text string) (string, error) {
	if text == "" {
		text = BaseURL
	}
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" || parsed.Scheme != "https" && parsed.Scheme != "http" || parsed.RawQuery != "" {
		return "", fmt.Errorf("ghl: base URL must look like %s", BaseURL)
	}
	return strings.TrimRight(text, "/"), nil
}

// request is one operation with what it needs.
type request struct {
	operation  string
	family     Family
	method     string
	path       string // escaped; see segment
	query      url.Values
	body       any // nil, or a struct with exactly the operation's properties
	repeatable bool
	class      egress.Class
}

// segment escapes an id for use in a path. Ids are opaque, and none may reach
// out of its place: an empty one would turn "delete this contact" into another
// operation. The underscore stands for an id that nothing has.
func segment(id string) string {
	if strings.Trim(id, ".") == "" {
		return "_"
	}
	return url.PathEscape(id)
}

// do makes the request and returns the answer's object, nil when a 2xx has no
// readable body.
func (c *Client) do(ctx context.Context, r request) (object, error) {
	token, err := c.credentials.Token(ctx)
	if err != nil {
		return nil, err
	}
	call, err := c.call(r)
	if err != nil {
		return nil, err
	}
	answer, err := c.send(ctx, call, token)
	if err != nil {
		return nil, err
	}
	if answer.Status == http.StatusUnauthorized {
		// A 401 took no effect, so that even a creation may be sent again.
		renewed, ok, err := c.credentials.Renew(ctx, token)
		if err != nil {
			return nil, err
		}
		if ok {
			if answer, err = c.send(ctx, call, renewed); err != nil {
				return nil, err
			}
		}
	}
	if answer.Status < 200 || answer.Status > 299 {
		return nil, judge(r.operation, call.Body, answer)
	}
	o, _ := parseObject(answer.Body)
	return o, nil
}

func (c *Client) call(r request) (egress.Call, error) {
	call := egress.Call{
		Operation: r.operation, Method: r.method, URL: c.base + r.path, Class: r.class,
		Repeatable: r.repeatable || r.method == http.MethodGet,
		Header:     http.Header{"Accept": {"application/json"}, "Version": {c.versions[r.family]}},
	}
	if len(r.query) > 0 {
		call.URL += "?" + r.query.Encode()
	}
	if r.body == nil {
		return call, nil
	}
	body, err := json.Marshal(r.body)
	if err != nil {
		return egress.Call{}, failure(r.operation, df.Refused, df.CodeInvalid, "the request cannot be written as JSON")
	}
	call.Body = body
	call.Header.Set("Content-Type", "application/json")
	return call, nil
}

func (c *Client) send(ctx context.Context, call egress.Call, token df.Secret) (egress.Answer, error) {
	call.Header = call.Header.Clone()
	call.Header.Set("Authorization", "Bearer "+token.Reveal())
	return c.caller.Do(ctx, call)
}

// need returns the entity that a 2xx must carry. Without it, a read is repeated
// later, and a creation is unknown: it may have been done, under an id that we
// did not learn.
func need(r request, o object, entity string) (object, error) {
	found := o.inside(entity)
	if found.id("id", "_id") != "" {
		return found, nil
	}
	outcome := df.Unclear
	if r.repeatable || r.method == http.MethodGet {
		outcome = df.RetryLater
	}
	return nil, failure(r.operation, outcome, df.CodeGarbled, "the answer holds no "+entity)
}

// fetch makes the request and returns the entity that its answer carries.
func (c *Client) fetch(ctx context.Context, r request, entity string) (object, error) {
	o, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	return need(r, o, entity)
}

// rows makes the request and returns the list that its answer carries. An answer
// without the list is garbled, not empty: to take an outage for "nothing there"
// is how duplicates are made.
func (c *Client) rows(ctx context.Context, r request, keys ...string) (object, []object, error) {
	o, err := c.do(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	rows := o.list(keys...)
	if rows == nil {
		return nil, nil, failure(r.operation, df.RetryLater, df.CodeGarbled, "the answer holds no list of "+keys[0])
	}
	return o, rows, nil
}

func failure(operation string, outcome df.Outcome, code, text string) *df.CallError {
	return &df.CallError{Upstream: "ghl", Operation: operation, Outcome: outcome, Code: code, Message: text}
}
