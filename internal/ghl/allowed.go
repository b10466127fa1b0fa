package ghl

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
)

// Denied finds out which calls the token may not make, by making one read of each
// kind that we need: GHL tells nobody the scopes of a private integration token.
// Of writes nothing can be learned without making one. It returns the scopes that
// are missing, and an error when GHL did not say.
func (c *Client) Denied(ctx context.Context, location Location) (missing []string, err error) {
	for _, probe := range []struct {
		scope string
		try   func() error
	}{
		{"contacts.readonly", func() error { _, _, err := c.SearchContacts(ctx, SearchQuery{Limit: 1}); return err }},
		{"conversations/message.readonly", func() error { _, _, err := c.ExportMessages(ctx, ExportQuery{Limit: 10}); return err }},
		{"locations/customFields.readonly", func() error { _, err := c.ListCustomFields(ctx); return err }},
		{"locations/tags.readonly", func() error { _, err := c.ListTags(ctx); return err }},
		{"users.readonly", func() error {
			_, _, err := c.SearchUsers(ctx, UserQuery{CompanyID: location.CompanyID, Limit: 1})
			return err
		}},
		{"opportunities.readonly", func() error { _, err := c.Pipelines(ctx); return err }},
	} {
		err := probe.try()
		if df.IsCode(err, CodeForbidden) || df.IsCode(err, df.CodeUnauthorized) {
			missing = append(missing, probe.scope)
			continue
		}
		if err != nil {
			return missing, err
		}
	}
	return missing, nil
}

// ErrNoObject is returned by ObjectProperties when there is no such custom
// object.
var ErrNoObject = errors.New("ghl: there is no such custom object")

// ObjectProperties returns the names of the properties that a custom object
// ("custom_objects.broadcasts") has, without the key in front: GHL's document
// writes that as custom_objects in one place and as custom_object in another.
func (c *Client) ObjectProperties(ctx context.Context, key string) ([]string, error) {
	o, err := c.do(ctx, request{operation: "get object", family: FamilyObjects, method: http.MethodGet, path: "/objects/" + segment(key),
		query: url.Values{"locationId": {c.location}, "fetchProperties": {"true"}}})
	if df.IsCode(err, df.CodeNotFound) || df.IsCode(err, df.CodeInvalid) {
		return nil, ErrNoObject
	}
	if err != nil {
		return nil, err
	}
	rows := o.list("fields", "properties")
	names := make([]string, 0, len(rows))
	for _, row := range rows {
		name := row.text("fieldKey", "key")
		names = append(names, name[strings.LastIndexByte(name, '.')+1:])
	}
	return names, nil
}
