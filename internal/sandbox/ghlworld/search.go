package ghlworld

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// indexing is a change that the search index has not seen yet.
type indexing struct {
	at      time.Time
	id      string
	contact *Contact // nil: gone
}

// reindex lets the search index know, Config.IndexLag later.
func (w *World) reindex(id string, k *Contact) {
	if k != nil {
		k = k.clone()
	}
	w.indexing = append(w.indexing, indexing{w.Now().Add(w.config.IndexLag), id, k})
}

func (w *World) catchUp() {
	now := w.Now()
	n := 0
	for ; n < len(w.indexing) && !w.indexing[n].at.After(now); n++ {
		if e := w.indexing[n]; e.contact == nil {
			delete(w.index, e.id)
		} else {
			w.index[e.id] = e.contact
		}
	}
	w.indexing = w.indexing[n:]
}

var searchBody = dto{
	"locationId": text, "pageLimit": numeric, "page": numeric, "searchAfter": list,
	"filters": list, "sort": list, "query": text,
}

const deepestRow = 10000 // page paging ends here

func (w *World) searchContacts(c *call) (int, any, *failure) {
	if complaints := searchBody.check(c.body, "locationId", "pageLimit"); len(complaints) > 0 {
		return 0, nil, invalid(complaints...)
	}
	if f := w.reach(c, c.body.Text("locationId")); f != nil {
		return 0, nil, f
	}
	limit, page := number(c.body.Text("pageLimit"), 0), number(c.body.Text("page"), 1)
	after, _ := c.body["searchAfter"].([]any)
	switch {
	case limit < 1 || limit > 500:
		return 0, nil, invalid("pageLimit must not be greater than 500")
	case len(c.body.Text("query")) > 75:
		return 0, nil, invalid("query must be shorter than or equal to 75 characters")
	case page < 1 || page*limit > deepestRow:
		return 0, nil, fail(http.StatusBadRequest, "Only the first 10000 records can be paged, use searchAfter")
	case len(after) > 0 && c.body.Has("page"):
		return 0, nil, fail(http.StatusBadRequest, "page and searchAfter cannot be used together")
	}
	w.catchUp()
	rows, f := w.matching(c)
	if f != nil {
		return 0, nil, f
	}
	order := sortOrder(c.body)
	slices.SortFunc(rows, order.compare)
	total := len(rows)
	if len(after) > 0 {
		rows = order.after(rows, after)
	} else {
		rows = rows[min(len(rows), (page-1)*limit):]
	}
	out := []map[string]any{}
	for _, k := range rows[:min(len(rows), limit)] {
		row := w.view(k, found, c.v3)
		row["searchAfter"] = order.cursor(k)
		out = append(out, row)
	}
	return http.StatusOK, map[string]any{"contacts": out, "total": total}, nil
}

func (w *World) matching(c *call) ([]*Contact, *failure) {
	filters, _ := c.body["filters"].([]any)
	query := strings.ToLower(c.body.Text("query"))
	var rows []*Contact
	for _, k := range w.index {
		ok, f := w.passes(k, "AND", filters)
		if f != nil {
			return nil, f
		}
		if ok && (query == "" || strings.Contains(searchable(k), query)) {
			rows = append(rows, k)
		}
	}
	if len(w.index) == 0 { // filters are read even when there is nothing to filter
		if _, f := w.passes(w.blank(), "AND", filters); f != nil {
			return nil, f
		}
	}
	return rows, nil
}

func searchable(k *Contact) string {
	return strings.ToLower(k.name() + " " + k.Fields["email"] + " " + k.Fields["phone"])
}

// passes applies filters, which may be nested groups. All filters are read, so
// that a bad one is found wherever it stands.
func (w *World) passes(k *Contact, group string, filters []any) (bool, *failure) {
	all, some := true, len(filters) == 0
	for _, item := range filters {
		filter, _ := item.(map[string]any)
		o := stage.Object(filter)
		var ok bool
		var f *failure
		if inner, nested := filter["filters"].([]any); nested {
			ok, f = w.passes(k, strings.ToUpper(o.Text("group")), inner)
		} else {
			ok, f = w.passesOne(k, o)
		}
		if f != nil {
			return false, f
		}
		all, some = all && ok, some || ok
	}
	if group == "OR" {
		return some, nil
	}
	return all, nil
}

func (w *World) passesOne(k *Contact, o stage.Object) (bool, *failure) {
	field := o.Text("field")
	values, known := searchValues(k, field)
	if !known {
		return false, fail(http.StatusBadRequest, "Invalid filter field: "+field)
	}
	if field == "phone" && w.config.PhoneSearchMisses {
		values = nil
	}
	want := strings.ToLower(o.Text("value"))
	is := func(v string) bool { return strings.ToLower(v) == want }
	has := func(v string) bool { return strings.Contains(strings.ToLower(v), want) }
	switch o.Text("operator") {
	case "eq":
		return slices.ContainsFunc(values, is), nil
	case "not_eq":
		return !slices.ContainsFunc(values, is), nil
	case "contains":
		return slices.ContainsFunc(values, has), nil
	case "not_contains":
		return !slices.ContainsFunc(values, has), nil
	case "exists":
		return len(values) > 0, nil
	case "not_exists":
		return len(values) == 0, nil
	case "range":
		bounds, _ := o["value"].(map[string]any)
		return inRange(values, bounds)
	}
	return false, fail(http.StatusBadRequest, "Invalid operator: "+o.Text("operator"))
}

// searchValues returns what the index holds for a filter field.
func searchValues(k *Contact, field string) (values []string, known bool) {
	one := func(v string) []string {
		if v == "" {
			return nil
		}
		return []string{v}
	}
	switch {
	case field == "id":
		return one(k.ID), true
	case field == "tags":
		return k.Tags, true
	case field == "dnd":
		return one(strconv.FormatBool(k.DND)), true
	case field == "dateAdded":
		return one(stage.ISO(k.DateAdded)), true
	case field == "dateUpdated":
		return one(stage.ISO(k.DateUpdated)), true
	case field == "firstNameLowerCase" || field == "lastNameLowerCase":
		return one(strings.ToLower(k.Fields[strings.TrimSuffix(field, "LowerCase")])), true
	case field == "address":
		return one(k.Fields["address1"]), true
	case field == "inboundDndSettings.all.status":
		return one(k.InboundDND), true
	case strings.HasPrefix(field, "dndSettings.") && strings.HasSuffix(field, ".status"):
		channel := strings.TrimSuffix(strings.TrimPrefix(field, "dndSettings."), ".status")
		_, ok := channels[channel]
		return one(k.DNDSettings[channel].Status), ok
	case strings.HasPrefix(field, "customFields."):
		return one(stage.Text(k.Custom[strings.TrimPrefix(field, "customFields.")])), true
	}
	return one(k.Fields[field]), field != "address1" && slices.Contains(fieldNames, field)
}

func inRange(values []string, bounds map[string]any) (bool, *failure) {
	if len(bounds) == 0 {
		return false, fail(http.StatusBadRequest, "range needs gte, lte, gt or lt")
	}
	for name, bound := range bounds {
		limit, ok := moment(bound)
		if !ok {
			return false, fail(http.StatusBadRequest, "Invalid range value")
		}
		if len(values) == 0 {
			return false, nil
		}
		value, ok := moment(values[0])
		if !ok {
			return false, fail(http.StatusBadRequest, "range is not supported on this field")
		}
		c := value.Compare(limit)
		holds := map[string]bool{"gte": c >= 0, "gt": c > 0, "lte": c <= 0, "lt": c < 0}
		if _, known := holds[name]; !known {
			return false, fail(http.StatusBadRequest, "Invalid range operator: "+name)
		}
		if !holds[name] {
			return false, nil
		}
	}
	return true, nil
}

// moment reads a time as filters take them: ISO 8601, a date, or epoch
// milliseconds.
func moment(value any) (time.Time, bool) {
	s := stage.Text(value)
	if n, ok := value.(json.Number); ok {
		ms, err := n.Int64()
		return time.UnixMilli(ms), err == nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// ordering is the order of search results; the id breaks ties.
type ordering struct {
	field string
	down  bool
}

func sortOrder(body stage.Object) ordering {
	list, _ := body["sort"].([]any)
	if len(list) == 0 {
		return ordering{field: "dateAdded", down: true}
	}
	first, _ := list[0].(map[string]any)
	o := stage.Object(first)
	return ordering{field: o.Text("field"), down: o.Text("direction") == "desc"}
}

func (o ordering) key(k *Contact) string {
	switch o.field {
	case "dateAdded":
		return strconv.FormatInt(k.DateAdded.UnixMilli(), 10)
	case "dateUpdated":
		return strconv.FormatInt(k.DateUpdated.UnixMilli(), 10)
	}
	values, _ := searchValues(k, o.field)
	return strings.ToLower(strings.Join(values, ","))
}

func (o ordering) cursor(k *Contact) []any {
	if ms, err := strconv.ParseInt(o.key(k), 10, 64); err == nil && strings.HasPrefix(o.field, "date") {
		return []any{ms, k.ID}
	}
	return []any{o.key(k), k.ID}
}

func (o ordering) compareKeys(aKey, aID, bKey, bID string) int {
	c := cmp.Or(cmp.Compare(len(aKey), len(bKey)), strings.Compare(aKey, bKey))
	if !strings.HasPrefix(o.field, "date") {
		c = strings.Compare(aKey, bKey)
	}
	if o.down {
		c = -c
	}
	return cmp.Or(c, strings.Compare(aID, bID))
}

func (o ordering) compare(a, b *Contact) int {
	return o.compareKeys(o.key(a), a.ID, o.key(b), b.ID)
}

// after returns the rows behind the cursor.
func (o ordering) after(rows []*Contact, cursor []any) []*Contact {
	if len(cursor) < 2 {
		return nil
	}
	key, id := stage.Text(cursor[0]), stage.Text(cursor[1])
	return slices.DeleteFunc(rows, func(k *Contact) bool { return o.compareKeys(o.key(k), k.ID, key, id) <= 0 })
}
