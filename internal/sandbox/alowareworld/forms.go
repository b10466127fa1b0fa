package alowareworld

import (
	"crypto/subtle"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

const prefix = "/api/v1/webhook"

// call is a request with a good token. For GET its values are the query's.
type call struct {
	r      *http.Request
	values stage.Object
}

// The four shapes in which errors come.
func errorShape(text string) map[string]any   { return map[string]any{"error": text} }
func messageShape(text string) map[string]any { return map[string]any{"message": text} }

func errorsShape(field, text string) map[string]any {
	return map[string]any{"errors": map[string]any{field: []string{text}}}
}

func bothShape(field, text string) map[string]any {
	return map[string]any{"message": "The given data was invalid.", "errors": map[string]any{field: []string{text}}}
}

// unknownPath is the single-page application: status 200 for any path.
func unknownPath(w http.ResponseWriter, _ *http.Request) { stage.WebPage(w) }

func wrongMethod(w http.ResponseWriter, r *http.Request) {
	stage.JSON(w, http.StatusMethodNotAllowed, messageShape("The "+r.Method+" method is not supported for this route."))
}

// route adds an operation that needs the token: in the query of a GET, in the
// JSON body (or form) of a POST, and nowhere else.
func (w *World) route(operation, method, path string, handle func(c *call) (int, any)) {
	w.Route(operation, method, prefix+path, func(rw http.ResponseWriter, r *http.Request) {
		c := &call{r: r, values: readValues(r)}
		token := c.values.Text("api_token")
		if token == "" || subtle.ConstantTimeCompare([]byte(token), []byte(w.config.Token)) != 1 {
			w.badToken(rw)
			return
		}
		w.mu.Lock()
		status, body := handle(c)
		w.mu.Unlock()
		stage.JSON(rw, status, body)
	})
}

func readValues(r *http.Request) stage.Object {
	if r.Method == http.MethodGet {
		return queryValues(r)
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return stage.Object{}
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		raw = stage.FormAsJSON(raw)
	}
	values, err := stage.ReadObject(raw)
	if err != nil {
		return stage.Object{}
	}
	return values
}

func queryValues(r *http.Request) stage.Object {
	values := stage.Object{}
	for name := range r.URL.Query() {
		values[name] = r.URL.Query().Get(name)
	}
	return values
}

func (w *World) badToken(rw http.ResponseWriter) {
	if w.config.TokenPage {
		stage.WebPage(rw)
		return
	}
	stage.JSON(rw, http.StatusUnauthorized, errorShape("Unauthenticated."))
}

func (w *World) routeContacts() {
	w.route("write contact", "POST", "/forms", w.forms)
	w.route("look up contact", "GET", "/contact/phone-number", w.lookup)
	w.route("list users", "GET", "/users", w.listUsers)
}

// forms creates or updates the contact with the given number. It answers a
// message and never an id.
func (w *World) forms(c *call) (int, any) {
	phone, err := df.ParsePhone(c.values.Text("phone_number"), "US")
	if err != nil {
		return http.StatusBadRequest, errorShape("Phone number is empty or invalid.")
	}
	if status, problem := w.checkRouting(c.values); problem != nil {
		return status, problem
	}
	old := w.byPhone(string(phone))
	if old != nil && !c.values.True("force_update") {
		return w.config.ExistsStatus, messageShape("Contact already exists.")
	}
	if stage.Unwritten(c.r) {
		return http.StatusOK, messageShape("Contact updated.")
	}
	if old == nil {
		k := w.blank(string(phone))
		w.apply(k, c.values)
		w.contacts = append(w.contacts, k)
		w.contactEvent("Contact-Created", k, true)
		return http.StatusCreated, messageShape("Contact created.")
	}
	changed := old.clone()
	w.apply(changed, c.values)
	w.replace(old, changed, true)
	return http.StatusOK, messageShape("Contact updated.")
}

// checkRouting refuses ids that the account does not have.
func (w *World) checkRouting(values stage.Object) (int, map[string]any) {
	for _, id := range values.Texts("list_ids") {
		if n, err := strconv.ParseInt(id, 10, 64); err != nil || !w.hasList(n) {
			return http.StatusUnprocessableEntity, bothShape("list_ids", "The selected list ids is invalid.")
		}
	}
	if id := values.Text("user_id"); id != "" && len(w.config.Users) > 0 {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil || !slices.ContainsFunc(w.config.Users, func(u User) bool { return u.ID == n }) {
			return http.StatusUnprocessableEntity, bothShape("user_id", "The selected user id is invalid.")
		}
	}
	return 0, nil
}

func (w *World) hasList(id int64) bool {
	return len(w.config.Lists) == 0 || slices.Contains(w.config.Lists, id)
}

func (w *World) blank(phone string) *Contact {
	w.lastID++
	return &Contact{ID: w.lastID, UUID: w.UUID(), Phone: phone, Fields: map[string]string{}, CreatedAt: w.Now(), UpdatedAt: w.Now()}
}

// apply writes what the request has. Empty values clear, tags and lists are
// added to, names that Aloware does not know are ignored.
func (w *World) apply(k *Contact, values stage.Object) {
	if name := values.Text("name"); name != "" && !values.Has("first_name") {
		first, last, _ := strings.Cut(name, " ")
		k.Fields["first_name"], k.Fields["last_name"] = w.rewrite("first_name", first), w.rewrite("last_name", last)
	}
	for _, field := range slices.Concat(fieldNames, w.config.CustomFields) {
		if values.Has(field) {
			k.Fields[field] = w.rewrite(field, values.Text(field))
		}
	}
	w.addTags(k, values.Texts("tags"))
	if id, err := strconv.ParseInt(values.Text("user_id"), 10, 64); err == nil {
		k.UserID = id
	}
	for _, id := range values.Texts("list_ids") {
		if n, err := strconv.ParseInt(id, 10, 64); err == nil {
			k.Lists = with(k.Lists, n)
		}
	}
	if n, err := strconv.ParseInt(values.Text("sequence_id"), 10, 64); err == nil {
		k.Sequences = with(k.Sequences, n)
	}
	if values.Has("is_dnc") && (values.True("is_dnc") || !w.config.KeepDNC) {
		k.DNC = values.True("is_dnc")
	}
}

func with(list []int64, n int64) []int64 {
	if slices.Contains(list, n) {
		return list
	}
	list = append(list, n)
	slices.Sort(list)
	return list
}

func (w *World) addTags(k *Contact, names []string) {
	for _, name := range names {
		if w.Normalising() {
			name = strings.ToLower(name)
		}
		if name != "" && !slices.ContainsFunc(k.Tags, func(have string) bool { return strings.EqualFold(have, name) }) {
			k.Tags = append(k.Tags, name)
		}
	}
}

func (w *World) rewrite(field, value string) string {
	if w.Normalising() {
		return stage.Normalised(field, value)
	}
	return value
}

// replace puts the changed contact in the place of the old one and tells the
// account's webhook what changed, if anything did.
func (w *World) replace(old, changed *Contact, byAPI bool) {
	changed.UpdatedAt = w.Now()
	flags := old.DNC != changed.DNC || old.OptedOut != changed.OptedOut
	rest := changed.UserID != old.UserID || !slices.Equal(changed.Tags, old.Tags)
	for _, field := range slices.Concat(fieldNames, w.config.CustomFields) {
		rest = rest || changed.Fields[field] != old.Fields[field]
	}
	*old = *changed
	if flags {
		w.contactEvent(w.config.DNCEvent, old, byAPI)
	}
	if rest {
		w.contactEvent(w.config.UpdatedEvent, old, byAPI)
	}
}

func (w *World) lookup(c *call) (int, any) {
	if _, err := df.ParsePhone(c.values.Text("phone_number"), "US"); err != nil {
		return http.StatusBadRequest, errorShape("Phone number is empty or invalid.")
	}
	k := w.byPhone(c.values.Text("phone_number"))
	if k == nil {
		return http.StatusNotFound, errorShape("Contact not found.")
	}
	if w.config.Envelope != "" {
		return http.StatusOK, map[string]any{w.config.Envelope: w.view(k)}
	}
	return http.StatusOK, w.view(k)
}

// view shows a contact as look-ups and webhooks do.
func (w *World) view(k *Contact) map[string]any {
	out := map[string]any{
		"id": k.ID, "uuid_v4": k.UUID, "name": k.name(), "phone_number": k.Phone, "tags": append([]string{}, k.Tags...),
		"is_dnc": w.flag(k.DNC), "is_opted_out": w.flag(k.OptedOut), "is_blocked": w.flag(k.Blocked),
		"text_authorized": w.flag(!k.OptedOut), "text_authorized_at": nil, "lrn_type": "wireless",
		"initial_campaign_id": nil, "disposition_status": nil, "disposition_status_id": nil, "user_id": nil,
		"intake_source": "api", "created_at": zoneless(k.CreatedAt), "updated_at": zoneless(k.UpdatedAt),
	}
	if w.config.Native {
		out["intake_source"] = "gohighlevel"
	}
	if k.UserID != 0 {
		out["user_id"] = k.UserID
	}
	for _, field := range slices.Concat(fieldNames, w.config.CustomFields) {
		if hidden[field] {
			continue
		}
		out[field] = nil
		if value := k.Fields[field]; value != "" {
			out[field] = value
		}
	}
	return out
}

func (w *World) flag(on bool) any {
	if w.config.BoolFlags {
		return on
	}
	if on {
		return 1
	}
	return 0
}

// listUsers is a bare array, without paging.
func (w *World) listUsers(*call) (int, any) {
	words := []string{"Offline", "Available", "Busy", "On break", "On call", "Wrap up", "Ringing"}
	out := []map[string]any{}
	for _, u := range w.config.Users {
		out = append(out, map[string]any{
			"id": u.ID, "name": u.Name, "email": u.Email, "agent_status": u.Status,
			"human_readable_agent_status": words[min(max(u.Status, 0), len(words)-1)],
		})
	}
	return http.StatusOK, out
}
