package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// registerOptOutChanges adds what a person can do about consent by hand. Each
// change stands in the audit log, written in its own transaction.
func (a *App) registerOptOutChanges(handle func(pattern string, h func(*http.Request) (any, error))) {
	handle("POST /api/admin/optouts", a.setOptOut)
	handle("POST /api/admin/optouts/incidents/resolve", a.resolveIncident)
	handle("POST /api/admin/optouts/reviews/{id}/resolve", a.resolveReview)
}

// optOutChange is what a person says about a number: that it is out, or that it
// is in again and what that rests on.
type optOutChange struct {
	Phone    string   `json:"phone"`
	Status   string   `json:"status"` // opted_out, opted_in
	Scopes   []string `json:"scopes"` // sms, call; what the policy says when empty
	Reason   string   `json:"reason"`
	Evidence string   `json:"evidence"` // for opted_in: who said so, when and in which words
}

// setOptOut records an operator's word.
func (a *App) setOptOut(r *http.Request) (any, error) {
	var in optOutChange
	if err := readBody(r, &in); err != nil {
		return nil, err
	}
	done, err := a.changeOptOut(r.Context(), in)
	if err != nil {
		return nil, err
	}
	return single(map[string]any{"consentEventId": done.EventID, "phoneNumber": string(done.Phone), "changed": done.Changed}), nil
}

// changeOptOut records an operator's word. It goes the way of everything that is
// heard: evidence first, then every other system.
func (a *App) changeOptOut(ctx context.Context, in optOutChange) (consent.Recorded, error) {
	act, err := a.operatorsAct(ctx, in)
	if err != nil {
		return consent.Recorded{}, err
	}
	var done []consent.Recorded
	err = a.store.InTx(ctx, func(tx store.Tx) (err error) {
		if done, err = a.consent.recorder.RecordAll(ctx, tx, []consent.Act{act}); err != nil {
			return err
		}
		return a.auditIn(ctx, tx, "optout.set", done[0].EventID, map[string]any{"status": in.Status, "scopes": in.Scopes, "reason": in.Reason})
	})
	switch {
	case errors.Is(err, consent.ErrNoEvidence):
		return consent.Recorded{}, badRequest("evidence is needed to opt a number in: who said so, when and in which words")
	case err != nil:
		return consent.Recorded{}, err
	}
	return done[0], nil
}

// operatorsAct reads an operator's word.
func (a *App) operatorsAct(ctx context.Context, in optOutChange) (consent.Act, error) {
	phone, err := df.ParsePhone(in.Phone, a.config.Region)
	if err != nil {
		return consent.Act{}, badRequest("phone must be a phone number such as +15005550111")
	}
	act := consent.Act{Phone: phone, Holder: consent.Operator, Actor: auth.Actor(ctx), HeardAt: a.clock(), Source: "operator",
		Words: strings.TrimSpace(in.Evidence), Rule: "by_hand", Certain: true}
	switch in.Status {
	case "opted_out":
		act.Kind = consent.Stop
	case "opted_in":
		act.Kind = consent.Start
	default:
		return act, badRequest("status must be opted_out or opted_in")
	}
	if act.Words == "" && act.Kind == consent.Stop {
		act.Words = strings.TrimSpace(in.Reason)
	}
	for _, name := range in.Scopes {
		scope := consent.Scope(strings.ToLower(name))
		if scope != consent.SMS && scope != consent.Call {
			return act, badRequest("scopes must be sms, call, or both")
		}
		act.Scopes = append(act.Scopes, scope)
	}
	return act, nil
}

// resolveIncident notes that a person dealt with a contact after an opt-out.
func (a *App) resolveIncident(r *http.Request) (any, error) {
	var in struct{ Key, Note string }
	if err := readBody(r, &in); err != nil {
		return nil, err
	}
	err := a.resolve(r.Context(), "incident.resolve", in.Key, in.Note, func(tx store.Tx, by, note string) error {
		return store.ResolveIncident(r.Context(), tx, in.Key, by, note, a.clock())
	})
	return single(map[string]any{"key": in.Key, "resolved": true}), err
}

// resolveReview notes that a person looked at an opt-out in free words, or at a
// flag that somebody cleared. It changes nobody's standing: who was taken for an
// opt-out and is none is opted in, with that as evidence.
func (a *App) resolveReview(r *http.Request) (any, error) {
	var in struct{ Note string }
	if err := readBody(r, &in); err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	err := a.resolve(r.Context(), "review.resolve", id, in.Note, func(tx store.Tx, by, note string) error {
		return store.ResolveConsentReview(r.Context(), tx, id, by, note, a.clock())
	})
	return single(map[string]any{"consentEventId": id, "resolved": true}), err
}

func (a *App) resolve(ctx context.Context, action, target, note string, change func(tx store.Tx, by, note string) error) error {
	if note = strings.TrimSpace(note); note == "" {
		return badRequest("note is needed: what was found and done")
	}
	err := a.store.InTx(ctx, func(tx store.Tx) error {
		if err := change(tx, auth.Actor(ctx), note); err != nil {
			return err
		}
		return a.auditIn(ctx, tx, action, target, map[string]any{"note": note})
	})
	if errors.Is(err, store.ErrNotFound) {
		return notFound("nothing open has this id")
	}
	return err
}

// auditIn writes a line of the audit log in the transaction of the change.
func (a *App) auditIn(ctx context.Context, tx store.Tx, action, target string, details map[string]any) error {
	return store.InsertAudit(ctx, tx, store.AuditRow{At: a.clock(), Actor: auth.Actor(ctx), Action: action, Target: target, Details: details})
}

func single(data any) map[string]any { return map[string]any{"success": true, "data": data} }

// readBody decodes a small JSON object; an empty body leaves to alone.
func readBody(r *http.Request, to any) error {
	data, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	if err != nil {
		return badRequest("the body ended before it was complete")
	}
	if len(data) == 0 {
		return nil
	}
	if err := json.Unmarshal(data, to); err != nil {
		return badRequest("the body must be a JSON object with fields of the right types")
	}
	return nil
}
