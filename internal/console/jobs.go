package console

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// processPending rings the bell of every lane that waits for nothing, which is
// what an external cron called for in the original system. Workers do the rest.
func (s *Server) processPending(r *http.Request) (any, error) {
	now := s.Clock()
	open, _, err := s.Store.Backlog(r.Context())
	if err != nil {
		return nil, err
	}
	rang, err := s.Store.RingWaiting(r.Context(), now, now, 10_000)
	if err != nil {
		return nil, err
	}
	return map[string]any{"enqueued": rang, "totalPending": open}, nil
}

// lanes says how much the lanes still have to do.
func (s *Server) lanes(r *http.Request) (any, error) {
	waiting, err := s.Store.WaitingLanes(r.Context())
	if err != nil {
		return nil, err
	}
	found, err := s.Store.LanesThatWait(r.Context(), pageRows)
	if err != nil {
		return nil, err
	}
	answer := lanesView{WaitingLanes: waiting, Lanes: make([]laneView, len(found))}
	for i, l := range found {
		answer.Lanes[i] = laneView{l.Key, l.Queued, l.Nudges, l.Owner, optional(l.LeaseUntil), optional(l.WakeAt), optional(l.RungAt)}
	}
	return answer, nil
}

// lanesView says how much the lanes still have to do, and shows those that have
// waited longest.
type lanesView struct {
	WaitingLanes int64      `json:"waitingLanes"`
	Lanes        []laneView `json:"lanes"`
}

type laneView struct {
	Key        string     `json:"key"`
	Queued     int64      `json:"queued"`
	Nudges     int64      `json:"nudges"`
	Owner      string     `json:"owner"`
	LeaseUntil *time.Time `json:"leaseUntil"`
	WakeAt     *time.Time `json:"wakeAt"`
	RungAt     *time.Time `json:"rungAt"`
}

// syncContacts makes contacts converge: one, named by an id or a phone, or all.
func (s *Server) syncContacts(r *http.Request) (any, error) {
	q := r.URL.Query()
	if err := oneOf(r, "all", "true", "false"); err != nil {
		return nil, err
	}
	if q.Get("all") == "true" {
		asked, err := s.Sync.SyncAll(r.Context())
		return map[string]any{"people": asked}, err
	}
	ghl, aloware, phone := q.Get("ghlContactId"), q.Get("alowareContactId"), q.Get("phone")
	if ghl == "" && aloware == "" && phone == "" {
		return nil, invalid("name a contact by ghlContactId, alowareContactId or phone, or ask for all=true")
	}
	person, err := s.Sync.SyncContact(r.Context(), ghl, aloware, phone)
	if err != nil {
		return nil, err
	}
	return map[string]any{"personId": person, "people": 1}, nil
}

func (s *Server) connections(r *http.Request) (any, error) {
	return page{Data: s.Connections(r.Context())}, nil
}

// sampleWebhook sends ourselves a signed sample event of the source.
func (s *Server) sampleWebhook(r *http.Request) (any, error) {
	status, answer, err := s.Sample(r.Context(), r.PathValue("source"))
	if err != nil {
		return nil, err
	}
	return map[string]any{"status": status, "answer": json.RawMessage(answer)}, nil
}

func (s *Server) health(*http.Request) (any, error) {
	return map[string]any{
		"status": "ok", "version": s.Version, "uptimeSeconds": int(s.Clock().Sub(s.Started).Seconds()),
	}, nil
}

// ready answers 200 when the store takes writes and its schema is this
// release's, and 503 otherwise.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
	defer cancel()
	check := Connection{Name: "database", Status: "ok"}
	status := http.StatusOK
	ready := s.Ready
	if ready == nil {
		ready = s.Store.Ping
	}
	if err := ready(ctx); err != nil {
		check.Status, check.Message = "failed", "the database does not answer, or takes no writes"
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, body{Success: status == http.StatusOK, Data: map[string]any{"checks": []Connection{check}}})
}

func (s *Server) repairMapping(r *http.Request) (any, error) {
	q := r.URL.Query()
	var in struct {
		Phone            string `json:"phone"`
		GHLContactID     string `json:"ghlContactId"`
		AlowareContactID string `json:"alowareContactId"`
	}
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	if in.Phone == "" {
		in.Phone = q.Get("phone")
	}
	if in.Phone == "" && in.GHLContactID == "" && in.AlowareContactID == "" {
		return nil, invalid("name the person by phone, ghlContactId or alowareContactId")
	}
	person, err := s.Sync.SyncContact(r.Context(), in.GHLContactID, in.AlowareContactID, in.Phone)
	if err != nil {
		return nil, err
	}
	return map[string]any{"personId": person}, s.audit(r, "mapping.repair", person, nil)
}
