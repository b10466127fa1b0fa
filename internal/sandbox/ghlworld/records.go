package ghlworld

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

func (w *World) object(c *call) (string, *failure) {
	key := c.r.PathValue("key")
	if !slices.Contains(w.config.Objects, key) {
		return "", fail(http.StatusBadRequest, "Object not found: "+key)
	}
	return key, nil
}

// properties are those of the object for broadcasts, which an administrator makes
// by hand.
var properties = []string{
	"broadcast_id", "broadcast_name", "channel", "sent_at", "recipients", "sent", "delivered", "pending", "failed", "responses",
	"appointments_set", "delivery_rate", "response_rate", "failure_rate", "conversion_rate",
}

// getObject shows what an object is made of.
func (w *World) getObject(c *call) (int, any, *failure) {
	key, f := w.object(c)
	if f != nil {
		return 0, nil, f
	}
	if f := w.reach(c, c.r.URL.Query().Get("locationId")); f != nil {
		return 0, nil, f
	}
	fields := []map[string]any{}
	if c.r.URL.Query().Get("fetchProperties") == "true" {
		for _, name := range properties {
			// The prefix of fields lacks the s that the one of objects has.
			whole := strings.Replace(key, "custom_objects.", "custom_object.", 1)
			fields = append(fields, map[string]any{"name": name, "fieldKey": whole + "." + name, "dataType": "TEXT", "objectKey": whole})
		}
	}
	return http.StatusOK, map[string]any{"cache": false, "object": map[string]any{"key": key, "type": "USER_DEFINED"}, "fields": fields}, nil
}

func (w *World) record(c *call) (*Record, *failure) {
	key, f := w.object(c)
	if f != nil {
		return nil, f
	}
	for _, r := range w.records {
		if r.ID == c.r.PathValue("id") && r.Key == key {
			return r, nil
		}
	}
	return nil, fail(http.StatusNotFound, "Record not found")
}

// searchRecords finds records by "property:value" or by any value.
func (w *World) searchRecords(c *call) (int, any, *failure) {
	key, f := w.object(c)
	if f != nil {
		return 0, nil, f
	}
	body := dto{"locationId": text, "page": numeric, "pageLimit": numeric, "query": text, "searchAfter": list, "filters": list}
	if complaints := body.check(c.body, "locationId", "page", "pageLimit", "query", "searchAfter"); len(complaints) > 0 {
		return 0, nil, invalid(complaints...)
	}
	if f := w.reach(c, c.body.Text("locationId")); f != nil {
		return 0, nil, f
	}
	rows := []map[string]any{}
	for _, r := range w.records {
		if r.Key == key && r.matches(c.body.Text("query")) {
			rows = append(rows, r.view())
		}
	}
	total, limit := len(rows), max(1, number(c.body.Text("pageLimit"), 10))
	rows = rows[min(total, max(0, number(c.body.Text("page"), 1)-1)*limit):]
	return http.StatusOK, map[string]any{"records": rows[:min(len(rows), limit)], "total": total}, nil
}

func (r *Record) matches(query string) bool {
	if query == "" {
		return true
	}
	property, value, named := strings.Cut(query, ":")
	for name, have := range r.Properties {
		text := strings.ToLower(stage.Text(have))
		if named && name == property && text == strings.ToLower(strings.TrimSpace(value)) {
			return true
		}
		if strings.Contains(text, strings.ToLower(query)) {
			return true
		}
	}
	return false
}

// conflict is the answer when the unique property is taken.
func (w *World) conflict(key string, properties map[string]any, except string) *failure {
	value := stage.Text(properties[w.config.RecordKey])
	for _, r := range w.records {
		if value != "" && r.Key == key && r.ID != except && stage.Text(r.Properties[w.config.RecordKey]) == value {
			f := fail(http.StatusBadRequest, "Record already exists")
			f.body["errors"] = []map[string]any{{"errorCode": "duplicate_record", "conflictingRecordId": r.ID}}
			return f
		}
	}
	return nil
}

func (w *World) postRecord(c *call) (int, any, *failure) {
	key, f := w.object(c)
	if f != nil {
		return 0, nil, f
	}
	body := dto{"locationId": text, "properties": object, "owner": texts, "followers": texts}
	if complaints := body.check(c.body, "locationId", "properties"); len(complaints) > 0 {
		return 0, nil, invalid(complaints...)
	}
	if f := w.reach(c, c.body.Text("locationId")); f != nil {
		return 0, nil, f
	}
	properties, _ := c.body["properties"].(map[string]any)
	if f := w.conflict(key, properties, ""); f != nil {
		return 0, nil, f
	}
	r := &Record{ID: w.HexID(12), Key: key, Properties: properties, DateAdded: w.Now(), DateUpdated: w.Now()}
	if !stage.Unwritten(c.r) {
		w.records = append(w.records, r)
		w.emit("RecordCreate", map[string]any{"id": r.ID, "objectKey": key})
	}
	return http.StatusCreated, map[string]any{"record": r.view()}, nil
}

func (w *World) getRecord(c *call) (int, any, *failure) {
	r, f := w.record(c)
	if f != nil {
		return 0, nil, f
	}
	return http.StatusOK, map[string]any{"record": r.view()}, nil
}

// putRecord takes the location in the query, unlike postRecord.
func (w *World) putRecord(c *call) (int, any, *failure) {
	r, f := w.record(c)
	if f != nil {
		return 0, nil, f
	}
	if f := w.reach(c, c.r.URL.Query().Get("locationId")); f != nil {
		return 0, nil, f
	}
	body := dto{"properties": object, "owner": texts, "followers": texts}
	if complaints := body.check(c.body, "properties"); len(complaints) > 0 {
		return 0, nil, invalid(complaints...)
	}
	changed := *r
	changed.Properties = maps.Clone(r.Properties)
	properties, _ := c.body["properties"].(map[string]any)
	maps.Copy(changed.Properties, properties)
	changed.DateUpdated = w.Now()
	if f := w.conflict(r.Key, changed.Properties, r.ID); f != nil {
		return 0, nil, f
	}
	if !stage.Unwritten(c.r) {
		*r = changed
		w.emit("RecordUpdate", map[string]any{"id": r.ID, "objectKey": r.Key})
	}
	return http.StatusOK, map[string]any{"record": changed.view()}, nil
}
