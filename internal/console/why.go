package console

import (
	"net/http"
	"net/url"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/explain"
)

// why answers one question about a person: ?question=texted, called or listed.
func (s *Server) why(r *http.Request) (any, error) {
	if s.Explain == nil {
		return nil, &df.Error{Code: "NOT_FOUND", Message: "there is no such route", Status: http.StatusNotFound}
	}
	return s.Explain.Why(r.Context(), r.PathValue("id"), explain.Question(r.URL.Query().Get("question")))
}

type whyView struct {
	explain.Answer
	Name string
	Tabs []Tab
}

// whyPage shows one answer as a list of checks.
func (s *Server) whyPage(r *http.Request) (view, error) {
	id, asked := r.PathValue("id"), r.URL.Query().Get("question")
	if asked == "" {
		r.URL.RawQuery = url.Values{"question": {string(explain.Texted)}}.Encode()
	}
	answer, err := s.why(r)
	if err != nil {
		return view{}, err
	}
	data := whyView{Answer: answer.(explain.Answer)}
	for _, q := range explain.Questions() {
		link := "/people/" + url.PathEscape(id) + "/why?question=" + string(q)
		data.Tabs = append(data.Tabs, Tab{Name: string(q), Link: link, Current: q == data.Question})
	}
	data.Name, err = s.nameOf(r.Context(), id)
	return view{template: "why.html", title: "Why " + data.Name + " is or is not " + string(data.Question), section: "people", live: true, data: data}, err
}

// evidencePath is where the console shows a record, or "".
func evidencePath(e df.Evidence) string {
	id := url.PathEscape(e.ID)
	switch e.Kind {
	case "event":
		return "/events/" + id
	case "person":
		return "/people/" + id
	case "opt_out":
		return "/opt-outs/" + id
	case "run":
		return "/lists/runs/" + id
	case "rules":
		return "/lists/rules"
	case "conflict":
		return "/conflicts/" + id
	case "issue":
		return "/issues"
	case "review":
		return "/mappings"
	}
	return ""
}
