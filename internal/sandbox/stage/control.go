package stage

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
)

// Control adds an endpoint under /_sandbox/. The pattern is one of
// http.ServeMux, such as "POST /_sandbox/contacts".
func (s *Stage) Control(pattern string, handler http.HandlerFunc) {
	s.control.HandleFunc(pattern, handler)
}

// Order reads the JSON body of a control request into to, and refuses it with
// 400 when it cannot be read or has unknown names.
func Order(w http.ResponseWriter, r *http.Request, to any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err == nil && len(body) == 0 {
		body = []byte("{}")
	}
	if err == nil {
		err = strictJSON(body, to)
	}
	if err != nil {
		JSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return false
	}
	return true
}

func (s *Stage) routeControl() {
	s.Control("GET /_sandbox/state", s.controlState)
	s.Control("GET /_sandbox/requests", func(w http.ResponseWriter, _ *http.Request) { JSON(w, 200, s.Requests()) })
	s.Control("GET /_sandbox/deliveries", s.controlDeliveries)
	s.Control("GET /_sandbox/mischief", func(w http.ResponseWriter, _ *http.Request) { JSON(w, 200, s.Mischief()) })
	s.Control("POST /_sandbox/mischief", s.controlMischief)
	s.Control("POST /_sandbox/next", s.controlNext)
	s.Control("POST /_sandbox/settle", s.controlSettle)
	s.Control("POST /_sandbox/pause", func(w http.ResponseWriter, r *http.Request) { s.PauseWebhooks(); s.controlState(w, r) })
	s.Control("POST /_sandbox/resume", func(w http.ResponseWriter, r *http.Request) { s.ResumeWebhooks(); s.controlState(w, r) })
	s.Control("POST /_sandbox/drop", func(w http.ResponseWriter, r *http.Request) { s.DropPending(); s.controlState(w, r) })
}

func (s *Stage) controlState(w http.ResponseWriter, _ *http.Request) {
	pending, sent := s.Pending()
	s.mail.mu.Lock()
	paused := s.mail.paused
	s.mail.mu.Unlock()
	JSON(w, http.StatusOK, map[string]any{
		"name": s.config.Name, "url": s.URL(), "now": s.Now(), "calls": s.Calls(),
		"webhooks": map[string]any{"sent": sent, "pending": pending, "paused": paused},
		"mischief": s.Mischief(),
	})
}

func (s *Stage) controlDeliveries(w http.ResponseWriter, _ *http.Request) {
	type shown struct {
		Delivery
		Body json.RawMessage `json:"body,omitempty"`
	}
	list := []shown{}
	for _, d := range s.Deliveries() {
		entry := shown{Delivery: d}
		if json.Valid(d.Body) {
			entry.Body = d.Body
		}
		list = append(list, entry)
	}
	JSON(w, http.StatusOK, list)
}

func (s *Stage) controlMischief(w http.ResponseWriter, r *http.Request) {
	var m Mischief
	if Order(w, r, &m) {
		s.SetMischief(m)
		JSON(w, http.StatusOK, m)
	}
}

func (s *Stage) controlNext(w http.ResponseWriter, r *http.Request) {
	var order struct {
		Operation string  `json:"operation"`
		Pranks    []Prank `json:"pranks"`
	}
	if !Order(w, r, &order) {
		return
	}
	for _, prank := range order.Pranks {
		if prank != NoPrank && !slices.Contains(Pranks(), prank) {
			JSON(w, http.StatusBadRequest, map[string]any{"error": "unknown prank", "known": Pranks()})
			return
		}
	}
	s.Next(order.Operation, order.Pranks...)
	JSON(w, http.StatusOK, order)
}

func (s *Stage) controlSettle(w http.ResponseWriter, r *http.Request) {
	if err := s.Settle(r.Context()); err != nil {
		JSON(w, http.StatusConflict, map[string]string{"error": err.Error()})
		return
	}
	s.controlState(w, r)
}
