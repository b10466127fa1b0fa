package console

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// timelineEntry is one thing that happened to a person, in any system, or that
// was decided or done about the person.
type timelineEntry struct {
	At        time.Time       `json:"at"`
	Kind      string          `json:"kind"` // one of store.MomentKinds
	Event     *eventView      `json:"event,omitempty"`
	Sync      *syncView       `json:"sync,omitempty"` // also of kind list
	Conflict  *conflictView   `json:"conflict,omitempty"`
	Call      *callView       `json:"call,omitempty"`
	Message   *textView       `json:"message,omitempty"`
	Booked    *bookedView     `json:"booked,omitempty"`
	Consent   *consentView    `json:"consent,omitempty"`
	Incident  *incidentView   `json:"incident,omitempty"`
	Change    *changeView     `json:"change,omitempty"`
	Action    *auditView      `json:"action,omitempty"`
	Decisions json.RawMessage `json:"decisions,omitempty"`
}

// consentView is an act about being contacted.
type consentView struct {
	ID      string   `json:"id"`
	Phone   df.Phone `json:"phoneNumber"`
	Kind    string   `json:"kind"`
	Scopes  string   `json:"scopes"`
	Holder  string   `json:"holder"`
	Actor   string   `json:"actor"`
	Source  string   `json:"source"`
	Words   string   `json:"words"`
	Rule    string   `json:"rule"`
	Certain bool     `json:"certain"`
	EventID string   `json:"eventId,omitempty"`
}

// incidentView is a text or call to a number after its opt-out.
type incidentView struct {
	Key      string    `json:"key"`
	Scope    string    `json:"scope"`
	OutSince time.Time `json:"outSince"`
	Source   string    `json:"source"`
	EventID  string    `json:"eventId,omitempty"`
}

// timeline shows what arrived about a person, what was done because of it, and
// by which rule, the newest first: ?kind=, which may be repeated, &limit=&cursor=.
func (s *Server) timeline(r *http.Request) (any, error) {
	ctx := r.Context()
	person, err := s.personOf(ctx, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	filter := store.MomentFilter{PersonID: person.ID, Phones: append([]df.Phone{person.Phone}, person.OtherPhones...)}
	filter.Phones = slices.DeleteFunc(filter.Phones, func(p df.Phone) bool { return p == "" })
	if filter.Limit, err = limitOf(r); err != nil {
		return nil, err
	}
	for _, kind := range r.URL.Query()["kind"] {
		switch {
		case kind == "":
		case slices.Contains(store.MomentKinds(), kind):
			filter.Kinds = append(filter.Kinds, kind)
		default:
			return nil, invalid("kind must be one of " + strings.Join(store.MomentKinds(), ", "))
		}
	}
	if filter.Before, err = momentOf(r.URL.Query().Get("cursor")); err != nil {
		return nil, err
	}
	moments, err := s.Store.Moments(ctx, filter)
	if err != nil {
		return nil, err
	}
	entries, err := s.entries(ctx, moments)
	if err != nil || len(moments) < filter.Limit {
		return page{Data: entries}, err
	}
	next := cursorAfter(moments[len(moments)-1])
	return page{entries, &next}, nil
}

func cursorAfter(m store.Moment) string {
	text := strings.Join([]string{strconv.FormatInt(m.At.UnixMicro(), 10), m.Kind, m.ID}, "\n")
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// momentOf reads the cursor of an earlier page.
func momentOf(cursor string) (store.Moment, error) {
	if cursor == "" {
		return store.Moment{}, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	parts := strings.SplitN(string(text), "\n", 3)
	if err == nil && len(parts) == 3 && slices.Contains(store.MomentKinds(), parts[1]) {
		if micros, err := strconv.ParseInt(parts[0], 10, 64); err == nil {
			return store.Moment{At: time.UnixMicro(micros).UTC(), Kind: parts[1], ID: parts[2]}, nil
		}
	}
	return store.Moment{}, invalid("cursor must be the nextCursor of an earlier answer")
}

// entries reads what the moments are about. What was erased or forgotten since
// they were listed is left out.
func (s *Server) entries(ctx context.Context, moments []store.Moment) ([]timelineEntry, error) {
	ids := map[string][]string{}
	for _, m := range moments {
		ids[m.Kind] = append(ids[m.Kind], m.ID)
	}
	many, err := s.manyEntries(ctx, ids)
	if err != nil {
		return nil, err
	}
	entries := []timelineEntry{}
	for _, m := range moments {
		entry, ok := many[m.Kind+" "+m.ID]
		if !ok {
			var err error
			if entry, err = s.oneEntry(ctx, m); errors.Is(err, store.ErrNotFound) {
				continue
			} else if err != nil {
				return nil, err
			}
		}
		entry.At, entry.Kind = m.At, m.Kind
		entries = append(entries, entry)
	}
	return entries, nil
}

// manyEntries reads the kinds of which a page may have many, each at once.
func (s *Server) manyEntries(ctx context.Context, ids map[string][]string) (map[string]timelineEntry, error) {
	found := map[string]timelineEntry{}
	for _, kind := range []string{store.MomentSync, store.MomentList} {
		if len(ids[kind]) == 0 {
			continue
		}
		rows, err := s.Store.SyncLog(ctx, store.SyncFilter{IDs: ids[kind], Limit: len(ids[kind])})
		if err != nil {
			return nil, err
		}
		for i, view := range viewSyncs(rows) {
			found[kind+" "+view.ID] = timelineEntry{Sync: &view, Decisions: rows[i].Decisions}
		}
	}
	if wanted := ids[store.MomentMessage]; len(wanted) > 0 {
		rows, err := s.Store.Messages(ctx, store.MessageFilter{IDs: wanted, Limit: len(wanted)})
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			found[store.MomentMessage+" "+row.ID] = timelineEntry{Message: new(viewText(row))}
		}
	}
	if wanted := ids[store.MomentConsent]; len(wanted) > 0 {
		rows, err := s.Store.ConsentEvents(ctx, store.ConsentFilter{IDs: wanted, Limit: len(wanted)})
		if err != nil {
			return nil, err
		}
		for _, e := range rows {
			found[store.MomentConsent+" "+e.ID] = timelineEntry{Consent: &consentView{e.ID, df.Phone(e.Phone), e.Kind, e.Scopes, e.Holder, e.Actor,
				e.Source, e.Words, e.Rule, e.Certain, e.EventID}}
		}
	}
	if wanted := ids[store.MomentConflict]; len(wanted) > 0 {
		rows, err := s.Store.Conflicts(ctx, store.ConflictFilter{IDs: wanted, Limit: len(wanted)})
		if err != nil {
			return nil, err
		}
		for _, c := range rows {
			found[store.MomentConflict+" "+c.ID] = timelineEntry{Conflict: new(viewConflict(c))}
		}
	}
	return found, nil
}

// oneEntry reads one moment of the other kinds.
func (s *Server) oneEntry(ctx context.Context, m store.Moment) (timelineEntry, error) {
	switch m.Kind {
	case store.MomentEvent:
		e, err := s.Store.Event(ctx, m.ID)
		return timelineEntry{Event: new(viewEvent(e))}, err
	case store.MomentCall:
		row, err := store.CallByID(ctx, s.Store, m.ID)
		if err != nil {
			return timelineEntry{}, err
		}
		view, err := viewCall(row)
		return timelineEntry{Call: &view}, err
	case store.MomentAppointment, store.MomentOpportunity:
		item, err := store.ItemByID(ctx, s.Store, m.Kind, m.ID)
		if err != nil {
			return timelineEntry{}, err
		}
		view, err := viewBooked(item)
		return timelineEntry{Booked: &view}, err
	case store.MomentIncident:
		i, err := s.Store.IncidentByKey(ctx, m.ID)
		return timelineEntry{Incident: &incidentView{i.Key, i.Scope, i.OutSince, i.Source, i.EventID}}, err
	case store.MomentChange:
		c, err := s.Store.PeopleChange(ctx, m.ID)
		return timelineEntry{Change: new(viewChange(c))}, err
	case store.MomentAction:
		seq, err := strconv.ParseInt(m.ID, 10, 64)
		if err != nil {
			return timelineEntry{}, store.ErrNotFound
		}
		row, err := s.Store.AuditBySeq(ctx, seq)
		if err != nil {
			return timelineEntry{}, err
		}
		view, err := viewAudit(row)
		return timelineEntry{Action: &view}, err
	}
	return timelineEntry{}, store.ErrNotFound
}
