package console

import (
	"net/http"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

type personView struct {
	ID               string       `json:"id"`
	GHLContactID     string       `json:"ghlContactId"`
	AlowareContactID string       `json:"alowareContactId"`
	PhoneNumber      df.Phone     `json:"phoneNumber"`
	OtherPhones      []df.Phone   `json:"otherPhones"`
	Email            string       `json:"email"`
	Status           string       `json:"status"`
	EndedAt          *time.Time   `json:"endedAt"`
	EndedReason      string       `json:"endedReason,omitempty"`
	MergedInto       string       `json:"mergedInto,omitempty"`
	SyncDirection    df.Direction `json:"syncDirection"`
	LastSyncedAt     *time.Time   `json:"lastSyncedAt"`
	CreatedAt        time.Time    `json:"createdAt"`
	UpdatedAt        time.Time    `json:"updatedAt"`
}

func viewPerson(p store.Person) personView {
	return personView{
		ID: p.ID, GHLContactID: p.GHLContactID, AlowareContactID: p.AlowareContactID, PhoneNumber: p.Phone,
		OtherPhones: append([]df.Phone{}, p.OtherPhones...), Email: p.Email, Status: p.Status, EndedAt: optional(p.EndedAt),
		EndedReason: p.EndedReason, MergedInto: p.MergedInto, SyncDirection: p.SyncDirection,
		LastSyncedAt: optional(p.LastSyncedAt), CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
	}
}

// listPeople finds people by an id on either side, a phone, or text.
func (s *Server) listPeople(r *http.Request) (any, error) {
	q := r.URL.Query()
	filter := store.PersonFilter{
		GHLContactID: q.Get("ghlContactId"), AlowareContactID: q.Get("alowareContactId"), Text: q.Get("q"), After: q.Get("cursor"),
	}
	var err error
	if filter.Limit, err = limitOf(r); err != nil {
		return nil, err
	}
	if text := q.Get("phone"); text != "" {
		if filter.Phone, err = df.ParsePhone(text, ""); err != nil {
			return nil, invalid("phone must be a phone number such as +15005550111")
		}
	}
	people, err := s.Store.People(r.Context(), filter)
	if err != nil {
		return nil, err
	}
	views := make([]personView, len(people))
	for i, p := range people {
		views[i] = viewPerson(p)
	}
	var next *string
	if len(people) == filter.Limit {
		next = &people[len(people)-1].ID
	}
	return page{views, next}, nil
}

type agreedView struct {
	ContactID string              `json:"contactId"`
	Fields    map[df.Field]string `json:"fields"`
	Tags      []string            `json:"tags"`
	UpdatedAt *time.Time          `json:"updatedAt"` // when the sides last agreed
}

type issueView struct {
	PersonID  string    `json:"personId"`
	Topic     string    `json:"topic"`
	Kind      string    `json:"kind"`
	Side      df.Side   `json:"side"`
	Field     df.Field  `json:"field,omitempty"`
	Want      string    `json:"want,omitempty"`
	Got       string    `json:"got,omitempty"`
	ContactID string    `json:"contactId,omitempty"`
	Tries     int       `json:"tries"`
	Open      bool      `json:"open"`
	Detail    string    `json:"detail,omitempty"`
	Since     time.Time `json:"since"`
	At        time.Time `json:"at"`
}

type personDetail struct {
	personView
	Agreed map[df.Side]agreedView `json:"agreed"`
	Issues []issueView            `json:"issues"`
}

func (s *Server) getPerson(r *http.Request) (any, error) {
	ctx, id := r.Context(), r.PathValue("id")
	person, err := store.PersonByID(ctx, s.Store, id)
	if err != nil {
		return nil, err
	}
	agreements, err := s.Store.Agreements(ctx, id)
	if err != nil {
		return nil, err
	}
	issues, err := s.Store.Issues(ctx, store.IssueFilter{PersonID: id})
	if err != nil {
		return nil, err
	}
	detail := personDetail{personView: viewPerson(person), Agreed: map[df.Side]agreedView{}, Issues: make([]issueView, len(issues))}
	for _, a := range agreements {
		detail.Agreed[a.Side] = agreedView{a.ContactID, a.Fields, a.Tags, optional(a.UpdatedAt)}
	}
	for i, one := range issues {
		detail.Issues[i] = viewIssue(one)
	}
	return detail, nil
}

func viewIssue(i store.Issue) issueView {
	return issueView{i.PersonID, i.Topic, i.Kind, i.Side, i.Field, i.Want, i.Got, i.ContactID, i.Tries, i.Open, i.Detail, i.Since, i.At}
}

// listIssues shows what keeps people from converging and wants an operator.
func (s *Server) listIssues(r *http.Request) (any, error) {
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	issues, err := s.Store.Issues(r.Context(), store.IssueFilter{OpenOnly: true, Limit: limit})
	if err != nil {
		return nil, err
	}
	views := make([]issueView, len(issues))
	for i, one := range issues {
		views[i] = viewIssue(one)
	}
	return page{Data: views}, nil
}
