package verityworld

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// methods are those that the gateway knows.
var methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE"}

func (w *World) routeToys() {
	w.Route("list widgets", "GET", "/api/widgets", w.listWidgets)
	w.Route("create widget", "POST", "/api/widgets", w.postWidget)
	w.Route("get widget", "GET", "/api/widgets/{id}", w.getWidget)
	w.Route("replace widget", "PUT", "/api/widgets/{id}", w.writeWidget)
	w.Route("change widget", "PATCH", "/api/widgets/{id}", w.writeWidget)
	w.Route("delete widget", "DELETE", "/api/widgets/{id}", w.deleteWidget)
	w.Route("account", "GET", "/api/account", func(rw http.ResponseWriter, r *http.Request) {
		if w.user(rw, r) {
			stage.JSON(rw, 200, map[string]any{"success": true, "data": map[string]any{"plan": "sandbox"}})
		}
	})
	for _, method := range methods {
		w.Route("echo", method, "/api/echo", echo)
		w.Route("echo", method, "/api/echo/{path...}", echo)
		w.Route("calls", method, "/api/calls/{path...}", echo)
		w.Route("calls", method, "/api/calls", echo)
		w.Route("comms", method, "/api/comms/{path...}", echo)
		w.Route("status", method, "/api/status/{code}", answerStatus)
	}
	w.Route("slow", "GET", "/api/slow", w.slow)
	w.Route("hang", "GET", "/api/hang", func(_ http.ResponseWriter, r *http.Request) { w.Wait(r, time.Hour); panic(http.ErrAbortHandler) })
	w.Route("reset", "GET", "/api/reset", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	w.Route("cut", "GET", "/api/cut", cut)
	w.Route("huge", "GET", "/api/huge", huge)
	w.Route("garbage", "GET", "/api/garbage", garbage)
	w.Route("page", "GET", "/api/page", func(rw http.ResponseWriter, _ *http.Request) { stage.WebPage(rw) })
	w.Route("empty", "GET", "/api/empty", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusNoContent) })
	w.Route("redirect", "GET", "/api/redirect", redirect)
	w.Route("stream", "GET", "/api/stream", w.stream)
}

// echo answers what arrived: method, path, query, headers, body.
func echo(rw http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		refuse(rw, http.StatusBadRequest, "The body cannot be read")
		return
	}
	rw.Header().Set("X-Verity-Trace", "echo")
	stage.JSON(rw, http.StatusOK, map[string]any{
		"method": r.Method, "path": r.URL.EscapedPath(), "query": r.URL.Query(), "rawQuery": r.URL.RawQuery,
		"headers": r.Header, "host": r.Host, "body": string(raw),
	})
}

func answerStatus(rw http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.PathValue("code"))
	if err != nil || code < 200 || code > 599 {
		code = http.StatusBadRequest
	}
	stage.JSON(rw, code, map[string]any{"error": map[string]any{"code": "TOY", "message": http.StatusText(code)}})
}

func millis(r *http.Request, name string, fallback int) int {
	n, err := strconv.Atoi(r.URL.Query().Get(name))
	if err != nil || n < 0 {
		return fallback
	}
	return n
}

func (w *World) slow(rw http.ResponseWriter, r *http.Request) {
	w.Wait(r, time.Duration(millis(r, "ms", 1000))*time.Millisecond)
	stage.JSON(rw, http.StatusOK, map[string]any{"success": true, "slow": true})
}

// cut promises more than it sends.
func cut(rw http.ResponseWriter, _ *http.Request) {
	rw.Header().Set("Content-Type", "application/json")
	rw.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(rw, `{"success":true,"data":[`) // the client may be gone
	panic(http.ErrAbortHandler)
}

const hugeLimit = 256 << 20

func huge(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Content-Type", "application/json")
	left := min(millis(r, "bytes", 32<<20), hugeLimit)
	chunk := strings.Repeat("x", 32<<10)
	_, err := io.WriteString(rw, `"`)
	for ; left > 0 && err == nil; left -= len(chunk) {
		_, err = io.WriteString(rw, chunk[:min(len(chunk), left)])
	}
	if err == nil {
		_, _ = io.WriteString(rw, `"`) // the client may be gone
	}
}

func garbage(rw http.ResponseWriter, _ *http.Request) {
	rw.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(rw, "{\"success\":tru\x00\xff\xfe") // the client may be gone
}

func redirect(rw http.ResponseWriter, r *http.Request) {
	to := r.URL.Query().Get("to")
	if to == "" {
		to = "/api/echo"
	}
	http.Redirect(rw, r, to, http.StatusFound)
}

// stream sends three server-sent events, a moment apart.
func (w *World) stream(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(rw)
	for i := range 3 {
		if _, err := io.WriteString(rw, "data: "+strconv.Itoa(i)+"\n\n"); err != nil || r.Context().Err() != nil {
			return
		}
		_ = flush.Flush() // a recorder cannot
		w.Wait(r, 10*time.Millisecond)
	}
}

func (w *World) listWidgets(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := []stage.Object{}
	for _, widget := range w.widgets {
		colours := r.URL.Query()["color"]
		if len(colours) == 0 || slices.Contains(colours, widget.Text("color")) {
			out = append(out, widget)
		}
	}
	total := len(out)
	stage.JSON(rw, http.StatusOK, map[string]any{"success": true, "data": out[:min(total, millis(r, "limit", 100))], "total": total})
}

func (w *World) postWidget(rw http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	body, readErr := stage.ReadObject(raw)
	if err != nil || readErr != nil || body.Text("name") == "" {
		refuse(rw, http.StatusBadRequest, "name is required")
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	body["id"] = "w" + strconv.Itoa(len(w.widgets)+1)
	if !stage.Unwritten(r) {
		w.widgets = append(w.widgets, body)
	}
	stage.JSON(rw, http.StatusCreated, map[string]any{"success": true, "data": body})
}

func (w *World) find(rw http.ResponseWriter, r *http.Request) int {
	i := slices.IndexFunc(w.widgets, func(o stage.Object) bool { return o.Text("id") == r.PathValue("id") })
	if i < 0 {
		refuse(rw, http.StatusNotFound, "Widget not found")
	}
	return i
}

func (w *World) getWidget(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := w.find(rw, r); i >= 0 {
		stage.JSON(rw, http.StatusOK, map[string]any{"success": true, "data": w.widgets[i]})
	}
}

func (w *World) writeWidget(rw http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	body, readErr := stage.ReadObject(raw)
	if err != nil || readErr != nil {
		refuse(rw, http.StatusBadRequest, "The body is no JSON object")
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.find(rw, r)
	if i < 0 {
		return
	}
	changed := stage.Object{}
	if r.Method == http.MethodPatch {
		for name, value := range w.widgets[i] {
			changed[name] = value
		}
	}
	for name, value := range body {
		changed[name] = value
	}
	changed["id"] = w.widgets[i]["id"]
	if !stage.Unwritten(r) {
		w.widgets[i] = changed
	}
	stage.JSON(rw, http.StatusOK, map[string]any{"success": true, "data": changed})
}

func (w *World) deleteWidget(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.find(rw, r)
	if i < 0 {
		return
	}
	if !stage.Unwritten(r) {
		w.widgets = slices.Delete(w.widgets, i, i+1)
	}
	stage.JSON(rw, http.StatusOK, map[string]any{"success": true})
}

// AddWidget makes a widget, as somebody at Verity does, and returns its id.
func (w *World) AddWidget(name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := "w" + strconv.Itoa(len(w.widgets)+1)
	w.widgets = append(w.widgets, stage.Object{"id": id, "name": name})
	return id
}
