package ghl

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
)

// Location is our sub-account.
type Location struct {
	ID              string
	CompanyID       string // the agency; SearchUsers wants it
	Name            string
	Timezone        string // IANA name
	Country         string
	AllowsDuplicate bool // whether two contacts may share a phone or e-mail
}

// GetLocation reads the client's location.
func (c *Client) GetLocation(ctx context.Context) (Location, error) {
	o, err := c.fetch(ctx, request{operation: "get location", family: FamilyLocations, method: http.MethodGet,
		path: "/locations/" + segment(c.location)}, "location")
	if err != nil {
		return Location{}, err
	}
	allows, _ := o.child("settings").flag("allowDuplicateContact")
	return Location{ID: o.id("id", "_id"), CompanyID: o.id("companyId"), Name: o.text("name"),
		Timezone: o.text("timezone"), Country: o.text("country"), AllowsDuplicate: allows}, nil
}

// CustomField is the definition of a custom field of contacts.
type CustomField struct {
	ID       string
	Key      string // "contact.case_number"
	Name     string
	DataType string // TEXT, NUMERICAL, CHECKBOX, …; an open set
}

// ListCustomFields returns the custom fields that contacts of the location have.
func (c *Client) ListCustomFields(ctx context.Context) ([]CustomField, error) {
	_, rows, err := c.rows(ctx, request{operation: "list custom fields", family: FamilyLocations, method: http.MethodGet,
		path: "/locations/" + segment(c.location) + "/customFields", query: url.Values{"model": {"contact"}}}, "customFields")
	if err != nil {
		return nil, err
	}
	fields := make([]CustomField, 0, len(rows))
	for _, row := range rows {
		fields = append(fields, CustomField{ID: row.id("id", "_id"), Key: row.text("fieldKey"), Name: row.text("name"),
			DataType: strings.ToUpper(row.text("dataType"))})
	}
	return fields, nil
}

// Tag is a tag that the location knows. Contacts refer to tags by name.
type Tag struct{ ID, Name string }

// ListTags returns the location's tags.
func (c *Client) ListTags(ctx context.Context) ([]Tag, error) {
	_, rows, err := c.rows(ctx, request{operation: "list tags", family: FamilyLocations, method: http.MethodGet,
		path: "/locations/" + segment(c.location) + "/tags"}, "tags")
	if err != nil {
		return nil, err
	}
	tags := make([]Tag, 0, len(rows))
	for _, row := range rows {
		tags = append(tags, Tag{ID: row.id("id", "_id"), Name: row.text("name")})
	}
	return tags, nil
}

// User is a person who works in GHL.
type User struct {
	ID        string
	Name      string
	FirstName string
	LastName  string
	Email     string   // lower case
	Phone     df.Phone // empty when absent or unreadable
	Deleted   bool
}

func (c *Client) readUser(o object) User {
	phone, _ := df.ParsePhone(o.text("phone"), c.region) // formatted at will in GHL; empty when it is no number
	deleted, _ := o.flag("deleted")
	return User{ID: o.id("id", "_id"), Name: o.text("name"), FirstName: o.text("firstName"), LastName: o.text("lastName"),
		Email: strings.ToLower(o.text("email")), Phone: phone, Deleted: deleted}
}

// UserQuery asks for one page of the users who can work in the location.
type UserQuery struct {
	CompanyID string // Location.CompanyID
	Skip      int    // how many users came before
	Limit     int    // 100 when 0
}

// SearchUsers returns one page of users and what to skip for the next, 0 after
// the last.
func (c *Client) SearchUsers(ctx context.Context, query UserQuery) (users []User, next int, err error) {
	if query.Limit <= 0 {
		query.Limit = 100
	}
	_, rows, err := c.rows(ctx, request{operation: "search users", family: FamilyUsers, method: http.MethodGet,
		path: "/users/search", query: url.Values{"companyId": {query.CompanyID}, "locationId": {c.location},
			"skip": {strconv.Itoa(query.Skip)}, "limit": {strconv.Itoa(query.Limit)}}}, "users")
	if err != nil {
		return nil, 0, err
	}
	for _, row := range rows {
		users = append(users, c.readUser(row))
	}
	if len(rows) >= query.Limit {
		next = query.Skip + len(rows)
	}
	return slices.Clip(users), next, nil
}

// GetUser reads one user. GHL answers with the bare user.
func (c *Client) GetUser(ctx context.Context, id string) (User, error) {
	o, err := c.fetch(ctx, request{operation: "get user", family: FamilyUsers, method: http.MethodGet,
		path: "/users/" + segment(id)}, "user")
	if err != nil {
		return User{}, err
	}
	return c.readUser(o), nil
}
