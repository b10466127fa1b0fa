package lists

import (
	"context"
	"fmt"
	"net/http"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// PutRules is a table that an operator wants in force.
type PutRules struct {
	Rules  []byte // JSON
	DryRun bool
	Note   string
	By     string
	// Replaces, when not negative, is the version that the operator saw; if
	// another one is in force by now, nothing is written.
	Replaces int64
}

// SetRules checks a table, says what it would change and, unless it is a dry run,
// puts it in force, or lets it wait for approval.
func (d *Desk) SetRules(ctx context.Context, p PutRules) (Report, error) {
	rules, err := ParseRules(p.Rules, d.Vocabulary)
	if err != nil {
		return Report{}, &df.Error{Code: "INVALID_REQUEST", Status: http.StatusBadRequest, Message: err.Error()}
	}
	setup, version, err := d.Setup(ctx)
	if err != nil {
		return Report{}, err
	}
	if p.Replaces >= 0 && p.Replaces != version {
		return Report{}, &df.Error{Code: "CONFLICT", Status: http.StatusConflict,
			Message: fmt.Sprintf("version %d of the rules is in force by now; look at it first", version)}
	}
	setup.Rules = rules
	r := run{kind: RunRules, setup: setup, version: version, by: p.By}
	totals, err := d.survey(ctx, r, nil)
	report := Report{State: DryRun, Version: version, Totals: totals}
	if err != nil || p.DryRun {
		return report, err
	}
	now := d.Clock()
	row := store.ListRun{ID: d.NewID(), Kind: RunRules, State: RunDone, CreatedBy: p.By, CreatedAt: now, Totals: written(totals)}
	if d.Apply && d.Brake.Holds(totals.Moved+totals.Removed-totals.OptedOut, totals.Listed) {
		row.State = RunWaiting
	}
	err = d.Store.InTx(ctx, func(tx store.Tx) error {
		var err error
		row.RulesVersion, err = store.InsertListRules(ctx, tx, store.ListRules{Rules: written(rules), Author: p.By, Note: p.Note, CreatedAt: now})
		if err != nil {
			return err
		}
		if row.State == RunDone {
			if err := store.EnforceListRules(ctx, tx, row.RulesVersion, p.By, now); err != nil {
				return err
			}
		}
		return store.InsertListRun(ctx, tx, row)
	})
	report.RunID, report.State, report.Version = row.ID, row.State, row.RulesVersion
	if err != nil || row.State == RunWaiting {
		return report, err
	}
	r.version = row.RulesVersion
	if _, err = d.survey(ctx, r, d.start(r)); err != nil {
		return report, err
	}
	return report, d.remember(ctx)
}

// Approve lets a run that waits go on, for what it would change now.
func (d *Desk) Approve(ctx context.Context, runID, by string) (Report, error) {
	row, err := store.ListRunByID(ctx, d.Store, runID)
	if err != nil {
		return Report{}, err
	}
	now := d.Clock()
	err = d.Store.InTx(ctx, func(tx store.Tx) error {
		if err := store.DecideListRun(ctx, tx, runID, RunDone, by, now); err != nil || row.Kind != RunRules {
			return err
		}
		return store.EnforceListRules(ctx, tx, row.RulesVersion, by, now)
	})
	if err != nil {
		return Report{}, err
	}
	setup, version, err := d.Setup(ctx)
	if err != nil {
		return Report{}, err
	}
	r := run{kind: row.Kind, setup: setup, version: version, by: by}
	totals, err := d.survey(ctx, r, d.startApproved(r))
	if err != nil {
		return Report{}, err
	}
	return Report{RunID: runID, State: RunDone, Version: version, Totals: totals}, d.remember(ctx)
}

// startApproved also makes those converge whom the brake holds for a sequence.
func (d *Desk) startApproved(r run) func(context.Context, store.Listed, Intent, bool) error {
	start := d.start(r)
	return func(ctx context.Context, p store.Listed, intent Intent, differs bool) error {
		return start(ctx, p, intent, differs || p.Intent.State == Braked)
	}
}

// Decline ends a run that waits. Nobody is moved; those whom the brake holds stay
// as they are until something about them changes.
func (d *Desk) Decline(ctx context.Context, runID, by string) error {
	row, err := store.ListRunByID(ctx, d.Store, runID)
	if err != nil {
		return err
	}
	now := d.Clock()
	return d.Store.InTx(ctx, func(tx store.Tx) error {
		if err := store.DecideListRun(ctx, tx, runID, RunDeclined, by, now); err != nil || row.Kind != RunRules {
			return err
		}
		return store.DeclineListRules(ctx, tx, row.RulesVersion, by, now)
	})
}
