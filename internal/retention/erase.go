package retention

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// Eraser forgets one person at a time.
type Eraser struct {
	Store  *store.Store
	Clock  df.Clock
	Random io.Reader // salts the hashes of erased numbers
}

// Erasure is what erasing a person comes to.
type Erasure struct {
	PersonID string `json:"personId"`      // of who was asked for, or of who took that one over
	People   int    `json:"people"`        // how many rows of contact_mappings make up the person
	Numbers  int    `json:"numbers"`       // that go
	Shared   int    `json:"sharedNumbers"` // that another person has too, so that what was said of them stays
	Rows     []Rows `json:"rows"`
}

// Rows is how many rows of a table are emptied or deleted.
type Rows struct {
	Table string `json:"table"`
	Count int64  `json:"count"`
}

// The errors of an erasure, for outsiders.
var (
	ErrNobody = &df.Error{Code: "NOT_FOUND", Message: "there is no such person", Status: http.StatusNotFound}
	ErrReason = &df.Error{Code: "INVALID_REQUEST", Message: "reason is needed: who asked for the erasure, and when", Status: http.StatusBadRequest}
	ErrUntold = &df.Error{Code: "CONFLICT", Status: http.StatusConflict,
		Message: "a system was not told of this person's opt-out yet; erase when it was (see the targets of opt-outs)"}
)

// Count says what erasing the person would come to, and changes nothing.
func (e *Eraser) Count(ctx context.Context, personID string) (Erasure, error) {
	subject, err := store.SubjectOf(ctx, e.Store, personID)
	if err != nil {
		return Erasure{}, known(err)
	}
	rows, err := e.Store.CountErasure(ctx, subject)
	return erasureOf(subject, rows), err
}

// Erase forgets the person for good and says so in the audit log. It returns
// ErrNobody, ErrReason, or ErrUntold while a system must still hear of an
// opt-out, which it could not once the number is forgotten.
func (e *Eraser) Erase(ctx context.Context, personID, actor, reason string) (Erasure, error) {
	if reason = strings.TrimSpace(reason); reason == "" {
		return Erasure{}, ErrReason
	}
	subject, err := store.SubjectOf(ctx, e.Store, personID)
	if err != nil {
		return Erasure{}, known(err)
	}
	now := e.Clock()
	rows, err := e.Store.Erase(ctx, subject, e.Random, now, func(tx store.Tx, rows []store.ErasedRows) error {
		counts := make(map[string]int64, len(rows))
		for _, row := range rows {
			if row.Rows > 0 {
				counts[row.Table] = row.Rows
			}
		}
		return store.InsertAudit(ctx, tx, store.AuditRow{At: now, Actor: actor, Action: "person.erase", Target: subject.People[0],
			Details: map[string]any{"reason": reason, "rows": counts}})
	})
	if err != nil {
		return Erasure{}, known(err)
	}
	return erasureOf(subject, rows), nil
}

func erasureOf(subject store.Subject, rows []store.ErasedRows) Erasure {
	e := Erasure{PersonID: subject.People[0], People: len(subject.People), Numbers: len(subject.Phones), Shared: len(subject.Shared),
		Rows: make([]Rows, len(rows))}
	for i, row := range rows {
		e.Rows[i] = Rows{row.Table, row.Rows}
	}
	return e
}

func known(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return ErrNobody
	case errors.Is(err, store.ErrUntold):
		return ErrUntold
	}
	return err
}
