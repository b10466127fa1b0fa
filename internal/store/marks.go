package store

import (
	"context"
	"fmt"
)

// Marks returns, for each topic that pages show, a text that differs whenever
// what the topic shows has changed. Every part is the end of an index or a count
// over a small partial one, so that asking every second costs next to nothing.
func (s *Store) Marks(ctx context.Context) (map[string]string, error) {
	var event, sync, conflict, audit, issues, issueTimes int64
	var person, ruled string
	err := s.Row(ctx, `SELECT (SELECT COALESCE(max(seq), 0) FROM webhook_events), (SELECT COALESCE(max(seq), 0) FROM sync_log),
		(SELECT COALESCE(max(seq), 0) FROM sync_conflicts), (SELECT COALESCE(max(seq), 0) FROM audit_log),
		(SELECT count(*) FROM sync_issues WHERE open), (SELECT COALESCE(sum(tries), 0) FROM sync_issues WHERE open),
		(SELECT COALESCE(max(id), '') FROM contact_mappings),
		(SELECT COALESCE(CAST(max(changed_at) AS TEXT), '') FROM sync_conflicts WHERE changed_at IS NOT NULL)`).
		Scan(&event, &sync, &conflict, &audit, &issues, &issueTimes, &person, &ruled)
	if err != nil {
		return nil, fmt.Errorf("look for changes: %w", err)
	}
	unfinished, err := s.UnfinishedEvents(ctx)
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"events":    fmt.Sprint(event, sync, unfinished),
		"sync":      fmt.Sprint(sync),
		"conflicts": fmt.Sprint(conflict, ruled),
		"audit":     fmt.Sprint(audit),
		"issues":    fmt.Sprint(issues, issueTimes, sync),
		"people":    fmt.Sprint(person, sync, audit),
	}, nil
}
