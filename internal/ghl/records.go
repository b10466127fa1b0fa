package ghl

import (
	"context"
	"net/http"
	"net/url"

	"github.com/df-middleware/dfm/internal/payload"
)

// Record is one record of a custom object.
type Record struct {
	ID         string
	Properties map[string]any
}

func readRecord(o object) Record {
	return Record{ID: o.id("id", "_id"), Properties: o.child("properties")}
}

func recordsPath(key string) string { return "/objects/" + segment(key) + "/records" }

// FindRecord returns the record of a custom object ("custom_objects.broadcasts")
// whose property has exactly the value, and an empty Record when there is none.
// GHL's search finds more than what it is asked for, so its rows are compared.
func (c *Client) FindRecord(ctx context.Context, key, property, value string) (Record, error) {
	_, rows, err := c.rows(ctx, request{operation: "search records", family: FamilyObjects, method: http.MethodPost,
		path: recordsPath(key) + "/search", repeatable: true, body: struct {
			LocationID  string   `json:"locationId"`
			Page        int      `json:"page"`
			PageLimit   int      `json:"pageLimit"`
			Query       string   `json:"query"`
			SearchAfter []string `json:"searchAfter"` // required, though the first page has none
		}{c.location, 1, 20, property + ":" + value, []string{}}}, "records")
	if err != nil {
		return Record{}, err
	}
	for _, row := range rows {
		if record := readRecord(row); payload.Word(record.Properties[property]) == value {
			return record, nil
		}
	}
	return Record{}, nil
}

// CreateRecord makes a record. After an unknown outcome look for it with
// FindRecord before trying again.
func (c *Client) CreateRecord(ctx context.Context, key string, properties map[string]any) (Record, error) {
	o, err := c.fetch(ctx, request{operation: "create record", family: FamilyObjects, method: http.MethodPost, path: recordsPath(key),
		body: struct {
			LocationID string         `json:"locationId"`
			Properties map[string]any `json:"properties"`
		}{c.location, properties}}, "record")
	if err != nil {
		return Record{}, err
	}
	return readRecord(o), nil
}

// UpdateRecord changes the given properties of a record and leaves the others
// alone. GHL wants the location in the query here. df.CodeNotFound means that the
// record is gone.
func (c *Client) UpdateRecord(ctx context.Context, key, id string, properties map[string]any) error {
	_, err := c.do(ctx, request{operation: "update record", family: FamilyObjects, method: http.MethodPut,
		path: recordsPath(key) + "/" + segment(id), repeatable: true, query: url.Values{"locationId": {c.location}},
		body: struct {
			Properties map[string]any `json:"properties"`
		}{properties}})
	return err
}

// ObjectBroadcasts is the custom object that holds broadcasts.
const ObjectBroadcasts = "custom_objects.broadcasts"
