package console

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/calls"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// callView is a call as the API, pages and the timeline show it. It holds no
// address of a recording.
type callView struct {
	ID           string      `json:"id"`
	PersonID     string      `json:"personId"`
	PhoneNumber  df.Phone    `json:"phoneNumber"`
	StartedAt    time.Time   `json:"startedAt"`
	Direction    string      `json:"direction"`
	Outcome      string      `json:"outcome"`
	Disposition  string      `json:"disposition"`
	Talked       string      `json:"talked,omitempty"`
	HasRecording bool        `json:"hasRecording"`
	GHLMessageID string      `json:"ghlMessageId"`
	GHLNoteID    string      `json:"ghlNoteId"`
	Tags         []string    `json:"tags"`
	UpdatedAt    time.Time   `json:"updatedAt"`
	Facts        calls.Facts `json:"facts"`
}

func viewCall(c store.Call) (callView, error) {
	v := callView{ID: c.ID, PersonID: c.PersonID, PhoneNumber: c.Phone, StartedAt: c.StartedAt, HasRecording: c.Recording != "",
		GHLMessageID: c.GHLMessageID, GHLNoteID: c.GHLNoteID, Tags: c.Tags, UpdatedAt: c.UpdatedAt}
	if err := json.Unmarshal(c.Facts, &v.Facts); err != nil {
		return v, fmt.Errorf("read what is known of a call: %w", err)
	}
	v.Direction, v.Outcome, v.Disposition = v.Facts.Get(calls.Direction), v.Facts.Outcome(), v.Facts.Get(calls.Disposition)
	if talked := v.Facts.Seconds(calls.Talked); talked > 0 {
		v.Talked = talked.String()
	}
	return v, nil
}

func viewCalls(rows []store.Call) ([]callView, error) {
	views := make([]callView, len(rows))
	for i, row := range rows {
		var err error
		if views[i], err = viewCall(row); err != nil {
			return nil, err
		}
	}
	return views, nil
}

// listCalls lists calls, the newest first.
func (s *Server) listCalls(r *http.Request) (any, error) {
	filter := store.CallFilter{PersonID: r.URL.Query().Get("personId")}
	var err error
	if filter.Limit, err = limitOf(r); err != nil {
		return nil, err
	}
	if filter.Phone, filter.From, filter.Until, err = communicationFilter(r); err != nil {
		return nil, err
	}
	if filter.Before, err = callPlace(r.URL.Query().Get("cursor")); err != nil {
		return nil, err
	}
	rows, err := s.Store.Calls(r.Context(), filter)
	if err != nil {
		return nil, err
	}
	views, err := viewCalls(rows)
	if err != nil || len(rows) < filter.Limit {
		return page{Data: views}, err
	}
	last := rows[len(rows)-1]
	next := base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(last.StartedAt.UnixMicro(), 10) + "\n" + last.ID))
	return page{views, &next}, nil
}

// callPlace reads the cursor of an earlier page.
func callPlace(cursor string) (store.CallPlace, error) {
	if cursor == "" {
		return store.CallPlace{}, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	at, id, ok := strings.Cut(string(text), "\n")
	micros, err2 := strconv.ParseInt(at, 10, 64)
	if err != nil || err2 != nil || !ok {
		return store.CallPlace{}, invalid("cursor must be the nextCursor of an earlier answer")
	}
	return store.CallPlace{At: time.UnixMicro(micros).UTC(), ID: id}, nil
}

func (s *Server) getCall(r *http.Request) (any, error) {
	call, err := store.CallByID(r.Context(), s.Store, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return viewCall(call)
}

// textView is a text as pages and the API show it: its words are in the event
// that brought it.
type textView struct {
	ID           string     `json:"id"`
	PersonID     string     `json:"personId"`
	From         df.Phone   `json:"from"`
	To           df.Phone   `json:"to"`
	Direction    string     `json:"direction"`
	Source       df.Source  `json:"source"`
	Status       string     `json:"status"`
	StatusReason string     `json:"statusReason,omitempty"`
	TellError    string     `json:"tellError,omitempty"`
	TextingID    string     `json:"textingMessageId"`
	GHLID        string     `json:"ghlMessageId"`
	AlowareID    string     `json:"alowareMessageId"`
	VerityID     string     `json:"verityMessageId"`
	CarrierID    string     `json:"carrierMessageId"`
	OccurredAt   *time.Time `json:"occurredAt"`
	CreatedAt    time.Time  `json:"createdAt"`
}

func viewText(m store.Message) textView {
	return textView{m.ID, m.PersonID, m.From, m.To, m.Direction, m.Source, m.Status, m.StatusReason, m.TellError,
		m.TextingID, m.GHLID, m.AlowareID, m.VerityID, m.CarrierID, optional(m.OccurredAt), m.CreatedAt}
}

// listTexts lists the rows of message_mappings.
func (s *Server) listTexts(r *http.Request) (any, error) {
	q := r.URL.Query()
	filter := store.MessageFilter{PersonID: q.Get("personId"), Before: q.Get("cursor")}
	var err error
	if filter.Limit, err = limitOf(r); err != nil {
		return nil, err
	}
	if filter.Phone, filter.From, filter.Until, err = communicationFilter(r); err != nil {
		return nil, err
	}
	rows, err := s.Store.Messages(r.Context(), filter)
	if err != nil {
		return nil, err
	}
	views := make([]textView, len(rows))
	for i, m := range rows {
		views[i] = viewText(m)
	}
	var next *string
	if len(rows) == filter.Limit {
		next = &rows[len(rows)-1].ID
	}
	return page{views, next}, nil
}

// communicationFilter reads what texts and calls are both filtered by. Times may
// also be written as browsers do, and mean UTC then.
func communicationFilter(r *http.Request) (phone df.Phone, from, until time.Time, err error) {
	q := r.URL.Query()
	if text := q.Get("phone"); text != "" {
		if phone, err = df.ParsePhone(text, "US"); err != nil {
			return phone, from, until, invalid("phone must be a phone number such as +15005550111")
		}
	}
	for name, to := range map[string]*time.Time{"from": &from, "to": &until} {
		text := q.Get(name)
		if text == "" {
			continue
		}
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02T15:04:05"} {
			if *to, err = time.Parse(layout, text); err == nil {
				break
			}
		}
		if err != nil {
			return phone, from, until, invalid(name + " must be a time such as 2030-01-02T15:04:05Z")
		}
	}
	return phone, from, until, nil
}
