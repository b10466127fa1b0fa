package console

import (
	"net/http"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// glance is how long a page that only mentions the connections waits for a
// check of them.
const glance = 300 * time.Millisecond

type overviewView struct {
	figures
	Wide, Tall picture
	Charts     []Chart
	Ranges     []Tab
	Range      string
	Health     []Connection
	HealthAt   time.Time

	Received, Written, Refused int64 // in the last 24 hours
	Open                       int64
	Oldest                     time.Time
	Failing, Quarantined       store.Unfinished
	Needs                      []need
	Issues                     []store.Issue
	Names                      map[string]string
	Silent                     bool // nothing ever arrived
}

// need is something that waits for a person, and where to deal with it.
type need struct {
	Count       int64
	One, Many   string
	Link        string
	Oldest      time.Time
	Explanation string
}

func (s *Server) overviewPage(r *http.Request) (view, error) {
	f, err := s.overview.read(r.Context())
	if err != nil {
		return view{}, err
	}
	data := overviewView{figures: f, Failing: f.Unfinished[df.Failed], Quarantined: f.Unfinished[df.Quarantined]}
	data.Health, data.HealthAt = s.glances.latest(r.Context(), glance)
	systems := trafficOf(f, data.Health)
	for _, t := range systems {
		data.Received += t.Received
		data.Written, data.Refused = data.Written+t.Written, data.Refused+t.Failed
	}
	for status, u := range f.Unfinished {
		if !status.Open() {
			continue
		}
		data.Open += u.Events
		if data.Oldest.IsZero() || u.Oldest.Before(data.Oldest) {
			data.Oldest = u.Oldest
		}
	}
	data.Wide, data.Tall = wide(systems, data.Open), tall(systems, data.Open)
	data.Needs = needs(f, data.Health)
	over := spanOf(r.URL.Query().Get("over"))
	data.Range, data.Ranges = over.says, over.tabs()
	if data.Charts, err = s.overTime(r.Context(), over); err != nil {
		return view{}, err
	}
	if data.Issues, err = s.Store.OpenIssues(r.Context(), store.IssuePlace{}, 5); err != nil {
		return view{}, err
	}
	if data.Names, err = s.namesOf(r.Context(), issuePeople(data.Issues)); err != nil {
		return view{}, err
	}
	if data.Received == 0 {
		earlier, err := s.Store.Events(r.Context(), store.EventFilter{Limit: 1})
		if err != nil {
			return view{}, err
		}
		data.Silent = len(earlier) == 0
	}
	return view{template: "overview.html", title: "Overview", section: "overview", live: true, data: data}, nil
}

// needs lists what waits for a person, the most pressing first.
func needs(f figures, health []Connection) []need {
	var found []need
	add := func(n need) {
		if n.Count > 0 {
			found = append(found, n)
		}
	}
	for _, c := range health {
		if c.Status == "failed" {
			add(need{Count: 1, One: system(c.Name) + " does not answer", Link: "/connections", Explanation: c.Message})
		}
	}
	add(need{Count: f.Questions.Incidents, One: "contact after an opt-out", Many: "contacts after an opt-out",
		Explanation: "Somebody was texted or called although they had opted out. Find out how, and note it."})
	quarantined := f.Unfinished[df.Quarantined]
	add(need{Count: quarantined.Events, One: "quarantined event", Many: "quarantined events", Link: "/events?status=quarantined",
		Oldest: quarantined.Oldest, Explanation: "They failed too often, or somebody took them out. Release each, or mark it done."})
	add(need{Count: f.Questions.Issues, One: "open issue", Many: "open issues", Link: "/issues",
		Explanation: "Something keeps people from being the same on both sides."})
	add(need{Count: f.Questions.ConsentReviews, One: "message that may be an opt-out", Many: "messages that may be opt-outs",
		Explanation: "Free wording was taken as an opt-out, to be safe. Read it and decide."})
	add(need{Count: f.Questions.PeopleReviews, One: "question of who is who", Many: "questions of who is who",
		Explanation: "Several people fit one contact. Say which it is."})
	return found
}
