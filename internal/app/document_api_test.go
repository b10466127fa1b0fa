package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/alerts"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/sandbox/alowareworld"
	"github.com/df-middleware/dfm/internal/store"
)

// apiWorld is the app with something of everything, and its document.
type apiWorld struct {
	textingWorld
	t      *testing.T
	doc    *described
	ids    map[string]string // of what there is, by operationId and parameter
	called map[string]bool   // operations that answered as they should
}

// send makes a request and judges the answer by the document.
func (w *apiWorld) send(op operationIn, path string, query url.Values, body []byte, secret string, want int) []byte {
	w.t.Helper()
	target := w.app.URL("web") + path
	query = maps.Clone(query)
	for _, p := range op.Parameters {
		if p.In == "query" && p.Required && !query.Has(p.Name) {
			if query == nil {
				query = url.Values{}
			}
			query.Set(p.Name, good(p))
		}
	}
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(w.t.Context(), op.method, target, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if secret != "" {
		request.Header.Set("Authorization", "Bearer "+secret)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if answer.StatusCode != want {
		w.t.Errorf("%s (%s %s %v): %d %.300s, want %d", op.OperationID, op.method, path, shortened(query), answer.StatusCode, data, want)
		return data
	}
	if fault := w.doc.judge(op, answer.StatusCode, answer.Header.Get("Content-Type"), data); fault != "" {
		w.t.Errorf("%s (%d): %s\n%.600s", op.OperationID, answer.StatusCode, fault, data)
	}
	return data
}

// operation finds one by its name.
func (w *apiWorld) operation(id string) operationIn {
	w.t.Helper()
	all := w.doc.operations()
	i := slices.IndexFunc(all, func(op operationIn) bool { return op.OperationID == id })
	if i < 0 {
		w.t.Fatalf("there is no operation %s", id)
	}
	return all[i]
}

// fill puts ids into the address of an operation: those that there are, or one
// that nothing has.
func (w *apiWorld) fill(op operationIn, unknown bool) string {
	path := op.path
	for _, p := range op.Parameters {
		if p.In != "path" {
			continue
		}
		value := w.ids[op.OperationID+"."+p.Name]
		if value == "" {
			value = w.ids[p.Name]
		}
		if unknown || value == "" {
			value = "nobody"
		}
		path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(value))
	}
	return path
}

// act makes a request that should succeed and returns the data of its answer.
func (w *apiWorld) act(id string, body any) map[string]any {
	w.t.Helper()
	op := w.operation(id)
	var data []byte
	if body == nil {
		body = op.RequestBody.Content["application/json"].Example
	}
	if body != nil {
		data, _ = json.Marshal(body)
	}
	var answer struct{ Data json.RawMessage }
	_ = json.Unmarshal(w.send(op, w.fill(op, false), nil, data, adminSecret, http.StatusOK), &answer)
	w.called[id] = true
	inside := map[string]any{}
	_ = json.Unmarshal(answer.Data, &inside) // a list has no members
	return inside
}

// good and bad are values of a parameter. Of free text only what is no text is bad.
func good(p parameterIn) string {
	switch {
	case p.Example != nil:
		return fmt.Sprint(p.Example)
	case len(p.Schema.Enum) > 0:
		return p.Schema.Enum[0]
	case p.Schema.Format == "date-time":
		return "2030-01-02T15:04:05Z"
	case p.Schema.Type == "integer":
		return "3"
	case p.Schema.Type == "boolean":
		return "true"
	}
	return "abc"
}

func bad(p parameterIn) []string {
	values := []string{"a\x00b", strings.Repeat("x", 3000), "\xff"}
	switch {
	case len(p.Schema.Enum) > 0, p.Schema.Format != "", p.Schema.Type == "integer", p.Schema.Type == "boolean", p.Name == "phone":
		values = append(values, "odd")
	}
	return values
}

// judged reports whether the test holds the operation to its description by real
// requests.
func judged(op operationIn) bool {
	for _, prefix := range []string{"/api/admin/", "/api/jobs/", "/api/sync/", "/api/test/", "/api/openapi.json"} {
		if strings.HasPrefix(op.path, prefix) {
			return true
		}
	}
	return false
}

// Every operation of the admin, jobs, sync and test API is called, and each answer,
// whether it is a success or a refusal, is what the document says, with no member
// more.
func TestTheAPIAnswersAsItsDocumentSays(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		api := &apiWorld{textingWorld: w, t: t, doc: describedBy(t, w.app.document), ids: map[string]string{}, called: map[string]bool{}}
		api.populate()
		api.changes()
		for _, op := range api.doc.operations() {
			if judged(op) {
				api.reads(op)
				api.refusals(op)
			}
		}
		api.last()
		for _, op := range api.doc.operations() {
			if judged(op) && !api.called[op.OperationID] {
				t.Errorf("nothing has called %s with success", op.OperationID)
			}
		}
	})
}

// reads asks what only reads, plainly and with each parameter.
func (w *apiWorld) reads(op operationIn) {
	w.t.Helper()
	if op.method != http.MethodGet {
		return
	}
	path := w.fill(op, false)
	data := w.send(op, path, nil, nil, adminSecret, http.StatusOK)
	w.called[op.OperationID] = true
	var list struct {
		Data       []any
		NextCursor json.RawMessage
	}
	if json.Unmarshal(data, &list) == nil && list.NextCursor != nil && len(list.Data) == 0 {
		w.t.Errorf("%s has no row that could be judged", op.OperationID)
	}
	for _, p := range op.Parameters {
		if p.In == "query" && p.Name != "cursor" { // of cursors only ours are good
			value := good(p)
			if p.Name == "personId" {
				value = w.ids["person"]
			}
			w.send(op, path, url.Values{p.Name: {value}}, nil, adminSecret, http.StatusOK)
		}
	}
	var next struct{ NextCursor string }
	if slices.ContainsFunc(op.Parameters, func(p parameterIn) bool { return p.Name == "cursor" }) {
		_ = json.Unmarshal(w.send(op, path, url.Values{"limit": {"1"}}, nil, adminSecret, http.StatusOK), &next)
		if next.NextCursor == "" {
			w.t.Errorf("%s has no cursor after one row", op.OperationID)
			return
		}
		w.send(op, path, url.Values{"cursor": {next.NextCursor}}, nil, adminSecret, http.StatusOK)
	}
}

// refusals asks without a secret, with bad values, with a broken body, and for what
// does not exist.
func (w *apiWorld) refusals(op operationIn) {
	w.t.Helper()
	path := w.fill(op, false)
	w.send(op, path, nil, nil, "", http.StatusUnauthorized)
	w.clock.skip(10 * time.Second) // a try grows back
	for _, p := range op.Parameters {
		if p.In == "query" {
			for _, value := range bad(p) {
				w.send(op, path, url.Values{p.Name: {value}}, nil, adminSecret, http.StatusBadRequest)
			}
		}
	}
	if op.RequestBody.Content != nil {
		w.send(op, path, nil, []byte(`{"half`), adminSecret, http.StatusBadRequest)
	}
	if strings.Contains(op.path, "{") && op.Responses["404"] != nil {
		body, _ := json.Marshal(op.RequestBody.Content["application/json"].Example)
		w.send(op, w.fill(op, true), nil, body, adminSecret, http.StatusNotFound)
	}
}

// populate makes something of everything happen.
func (w *apiWorld) populate() {
	w.t.Helper()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	w.says("Hello, is the house still for sale?")
	c := w.contact(w.t)
	for i := range 2 {
		w.Aloware.PlayCall(customerPhone, alowareworld.Call{TalkTime: 60 + i, Recording: true, Summary: "They agreed to talk.", Agency: "Interested"})
		_, err := w.GHL.Book(c.ID, "Visit", time.Now().Add(time.Hour))
		must(err)
		_, err = w.GHL.OpenOpportunity(c.ID, w.GHL.Settings().Pipelines[0].Stages[0].Name)
		must(err)
		w.Verity.PostBroadcast("analytics_updated", fmt.Sprint("b", i), map[string]any{"name": "Spring", "sent": 4, "delivered": 3})
		_, err = w.GHL.CreateContact(map[string]string{"firstName": "Lea", "phone": fmt.Sprint("+1500555020", i)})
		must(err)
	}
	w.says("See you there")
	settle(w.t, w.World, w.app)
	_, err := w.app.sweeps.desk.Measure(w.t.Context())
	must(err)
	_, err = w.app.sweeps.desk.Measure(w.t.Context())
	must(err)
	must(w.GHL.EditContact(c.ID, map[string]string{"city": "Oslo"}))
	settle(w.t, w.World, w.app)
	person, err := store.PersonByContact(w.t.Context(), w.app.store, df.SideGHL, c.ID)
	must(err)
	others, err := w.app.store.People(w.t.Context(), store.PersonFilter{Limit: 10})
	must(err)
	for _, other := range others {
		if other.ID != person.ID {
			w.ids["other"] = other.ID
		}
	}
	w.ids["person"], w.ids["contact"] = person.ID, c.ID
	for _, id := range []string{"getPerson", "getTimeline", "erasePerson", "explainLists", "explainPerson"} {
		w.ids[id+".id"] = person.ID
	}
	calls, err := w.app.store.Calls(w.t.Context(), store.CallFilter{Limit: 1})
	if err != nil || len(calls) == 0 {
		w.t.Fatalf("%d calls, %v", len(calls), err)
	}
	w.ids["getCall.id"] = calls[0].ID
	w.findings(person)
}

// findings are what does not happen by itself in a healthy world.
func (w *apiWorld) findings(person store.Person) {
	w.t.Helper()
	ctx, now := w.t.Context(), w.app.clock().UTC()
	for i := range 2 {
		id := w.app.newID()
		w.ids["alert"+fmt.Sprint(i)] = id
		if err := store.InsertAlert(ctx, w.app.store, store.Alert{ID: id, Rule: alerts.Rules()[0].Name, Subject: fmt.Sprint("s", i), Severity: "warning",
			State: alerts.Open, Summary: "It lasts.", Times: 1, OpenedAt: now, SeenAt: now}); err != nil {
			w.t.Fatal(err)
		}
	}
	conflict := func(i int) string {
		id := w.app.newID()
		w.ids["conflict"+fmt.Sprint(i)] = id
		return id
	}
	one := func(i int) store.Convergence {
		p, err := store.PersonByID(ctx, w.app.store, person.ID)
		if err != nil {
			w.t.Fatal(err)
		}
		return store.Convergence{Person: p, At: now,
			Issues: []store.Issue{{Topic: fmt.Sprint("aloware/city", i), Kind: "not_written", Side: df.SideAloware, Field: df.Field(fmt.Sprint("city", i)),
				Want: "Oslo", Got: "OSLO", ContactID: person.AlowareContactID, Tries: 3, Open: true, Since: now, At: now}},
			Conflicts: []store.Conflict{{ID: conflict(i), PersonID: person.ID, Field: df.City, Kind: "field", Chosen: df.SideGHL, Value: "Oslo", Rule: "later",
				Base: map[df.Side]string{df.SideGHL: "A"}, Seen: map[df.Side]string{df.SideGHL: "Oslo", df.SideAloware: "Bergen"}, At: now}}}
	}
	for i := range 2 {
		if err := w.app.store.SaveConvergence(ctx, store.Lease{}, one(i)); err != nil {
			w.t.Fatal(err)
		}
	}
	err := w.app.store.InTx(ctx, func(tx store.Tx) error {
		for i := range 2 {
			if _, err := store.InsertIncident(ctx, tx, store.Incident{Key: fmt.Sprint("k", i), Phone: customerPhone, Scope: "call", Source: "aloware",
				At: now, SeenAt: now, OutSince: now}); err != nil {
				return err
			}
			if err := store.InsertReview(ctx, tx, store.Review{Key: fmt.Sprint("r", i), Kind: "shared_phone", PersonID: person.ID, Side: df.SideGHL,
				Phone: customerPhone, At: now.Add(time.Duration(i) * time.Second)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// shortened shows a query without what makes it long.
func shortened(query url.Values) string { return fmt.Sprintf("%.80q", query.Encode()) }
