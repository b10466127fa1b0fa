package console

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

func unique(ids []string) []string {
	slices.Sort(ids)
	return slices.Compact(ids)
}

type issuesView struct {
	Issues []store.Issue
	Names  map[string]string
	Pager  pager
}

func (s *Server) issuesPage(r *http.Request) (view, error) {
	after, err := issuePlace(r.URL.Query().Get("cursor"))
	if err != nil {
		return view{}, err
	}
	var data issuesView
	if data.Issues, err = s.Store.OpenIssues(r.Context(), after, pageRows); err != nil {
		return view{}, err
	}
	if data.Names, err = s.namesOf(r.Context(), issuePeople(data.Issues)); err != nil {
		return view{}, err
	}
	var next *string
	if len(data.Issues) == pageRows {
		next = issueCursor(data.Issues[pageRows-1])
	}
	data.Pager = pagerOf(r, next)
	return view{template: "issues.html", title: "Issues", section: "issues", watch: "issues", live: after.At.IsZero(), data: data}, nil
}

func issuePeople(issues []store.Issue) []string {
	ids := make([]string, len(issues))
	for i, issue := range issues {
		ids[i] = issue.PersonID
	}
	return unique(ids)
}

// issueCursor names the place of an issue in the list; issuePlace reads it.
func issueCursor(i store.Issue) *string {
	text := base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(i.At.UnixMicro(), 10) + "\n" + i.PersonID + "\n" + i.Topic))
	return &text
}

func issuePlace(cursor string) (store.IssuePlace, error) {
	if cursor == "" {
		return store.IssuePlace{}, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	parts := strings.SplitN(string(text), "\n", 3)
	if err == nil && len(parts) == 3 {
		if micros, err := strconv.ParseInt(parts[0], 10, 64); err == nil {
			return store.IssuePlace{At: time.UnixMicro(micros).UTC(), PersonID: parts[1], Topic: parts[2]}, nil
		}
	}
	return store.IssuePlace{}, invalid("cursor must be that of an earlier page")
}

type syncLogView struct {
	Rows       []store.SyncRow
	Directions []df.Direction
	Query      url.Values
	Filtered   bool
	Pager      pager
}

// syncLogPage lists what was written where. It takes the filters of its JSON
// twin, and shows the decisions too.
func (s *Server) syncLogPage(r *http.Request) (view, error) {
	q := r.URL.Query()
	before, err := cursorOf(r)
	if err != nil {
		return view{}, err
	}
	filter := store.SyncFilter{
		Direction: df.Direction(q.Get("direction")), Status: q.Get("status"), EntityID: q.Get("entityId"),
		PersonID: q.Get("personId"), CorrelationID: q.Get("correlationId"), Before: before, Limit: pageRows,
	}
	data := syncLogView{
		Query: q, Filtered: q.Get("direction")+q.Get("status")+q.Get("entityId")+q.Get("personId")+q.Get("correlationId") != "",
		Directions: []df.Direction{df.GHLToAloware, df.AlowareToGHL, df.TextingToGHL, df.TextingToAloware, df.GHLToTexting, df.VerityToGHL},
	}
	if data.Rows, err = s.Store.SyncLog(r.Context(), filter); err != nil {
		return view{}, err
	}
	if full := len(data.Rows) == pageRows; full {
		data.Pager = pagerOf(r, nextCursor(full, data.Rows[pageRows-1].Seq))
	} else {
		data.Pager = pagerOf(r, nil)
	}
	return view{template: "synclog.html", title: "Sync log", section: "sync-log", watch: "sync", live: before == 0, data: data}, nil
}

type auditPageView struct {
	Rows  []store.AuditRow
	Pager pager
}

func (s *Server) auditPage(r *http.Request) (view, error) {
	before, err := cursorOf(r)
	if err != nil {
		return view{}, err
	}
	rows, err := s.Store.AuditLog(r.Context(), before, pageRows)
	if err != nil {
		return view{}, err
	}
	data := auditPageView{Rows: rows, Pager: pagerOf(r, nil)}
	if full := len(rows) == pageRows; full {
		data.Pager = pagerOf(r, nextCursor(full, rows[pageRows-1].Seq))
	}
	return view{template: "audit.html", title: "Audit", section: "audit", watch: "audit", live: before == 0, data: data}, nil
}
