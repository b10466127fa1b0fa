package console

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/store"
)

// audit records a change that a person or a script made.
func (s *Server) audit(r *http.Request, action, target string, details map[string]any) error {
	return s.Store.Audit(r.Context(), store.AuditRow{
		At: s.Clock(), Actor: auth.Actor(r.Context()), Action: action, Target: target, Details: details,
	})
}

type auditView struct {
	At      time.Time       `json:"at"`
	Actor   string          `json:"actor"`
	Action  string          `json:"action"`
	Target  string          `json:"target"`
	Details json.RawMessage `json:"details"`
}

func viewAudit(row store.AuditRow) (auditView, error) {
	details, err := json.Marshal(row.Details)
	return auditView{row.At, row.Actor, row.Action, row.Target, details}, err
}

func (s *Server) listAudit(r *http.Request) (any, error) {
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	before, err := cursorOf(r)
	if err != nil {
		return nil, err
	}
	rows, err := s.Store.AuditLog(r.Context(), before, limit)
	if err != nil {
		return nil, err
	}
	views := make([]auditView, len(rows))
	var last int64
	for i, row := range rows {
		if views[i], err = viewAudit(row); err != nil {
			return nil, err
		}
		last = row.Seq
	}
	return page{views, nextCursor(len(rows) == limit, last)}, nil
}
