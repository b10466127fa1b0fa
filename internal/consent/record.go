package consent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// Recorder keeps acts: the standing they change, the evidence of them, and the
// systems that must be told. All of it happens inside the caller's transaction.
//
// Locks are taken in one order everywhere: whatever the caller holds (dedupe
// keys, lanes), then number by number, sorted, the row of optout_registry and
// those of consent_fanout, and the head of the chain of evidence last. So call
// the recorder once per transaction, with all its acts, as the last thing that
// takes locks.
type Recorder struct {
	Policy Policy
	// Targets are the systems to be told of a changed standing; none for a
	// system that is not configured.
	Targets []Target
	Clock   df.Clock
	NewID   func() string
}

// Recorded is what became of one act.
type Recorded struct {
	EventID string // of the consent event; empty for a repetition
	Phone   df.Phone
	Kind    Kind
	// Changed says that the number may be contacted now in a scope in which it
	// might not before, or the other way round. Call FanOut for it after the
	// commit.
	Changed bool
}

// Record keeps one act and reports whether it changed the number's standing. It
// returns ErrPhone, ErrKind or ErrNoEvidence for an act that is not kept.
func (r *Recorder) Record(ctx context.Context, tx store.Tx, act Act) (changed bool, err error) {
	done, err := r.RecordAll(ctx, tx, []Act{act})
	return err == nil && done[0].Changed, err
}

// RecordAll keeps acts in their order, all or none. An act whose key is known is
// a repetition: it leaves no second piece of evidence, and since it joins the
// standing that it is already part of, it changes nothing.
func (r *Recorder) RecordAll(ctx context.Context, tx store.Tx, acts []Act) ([]Recorded, error) {
	acts = slices.Clone(acts)
	for i, act := range acts {
		var err error
		if acts[i], err = act.settled(r.Policy); err != nil {
			return nil, err
		}
	}
	if len(acts) == 0 {
		return nil, nil
	}
	done := make([]Recorded, len(acts))
	for _, phone := range bound(acts) {
		if err := r.join(ctx, tx, phone, acts, done); err != nil {
			return nil, fmt.Errorf("record consent: %w", err)
		}
	}
	if err := r.append(ctx, tx, acts, done); err != nil {
		return nil, fmt.Errorf("record consent: %w", err)
	}
	return done, nil
}

// join brings one number's row up to date, and asks the systems that must hear
// of it.
func (r *Recorder) join(ctx context.Context, tx store.Tx, phone df.Phone, acts []Act, done []Recorded) error {
	row, err := store.LockConsent(ctx, tx, r.NewID(), string(phone), r.Clock())
	if err != nil {
		return err
	}
	standing := StandingOf(row)
	var tell []Target
	var since time.Time
	for i, act := range acts {
		if act.Phone != phone || !act.matters() {
			continue
		}
		next := standing.Join(act)
		done[i].Changed = differ(standing, next)
		if act.binds() && (row.Source == "" || done[i].Changed || !act.At.Before(row.LastEventAt)) {
			row.Source, row.LastEventAt, row.Reason = act.Source, act.At, reason(act)
		}
		standing = next
		switch {
		case done[i].Changed:
			tell, since = r.Targets, act.HeardAt
		case len(act.again) > 0 && tell == nil && (standing.Out(SMS) || standing.Out(Call)):
			tell, since = act.again, act.HeardAt
		}
	}
	row.Status, row.CallStatus, row.Holds = standing.status(SMS), standing.status(Call), standing.rows()
	if err := store.SaveConsent(ctx, tx, row, r.Clock()); err != nil {
		return err
	}
	for _, target := range tell {
		ask := store.FanOut{Phone: string(phone), Target: string(target), NextTryAt: r.Clock(), Since: since}
		if err := store.PutFanOut(ctx, tx, ask); err != nil {
			return err
		}
	}
	return nil
}

// bound lists the numbers that the acts bear on, sorted.
func bound(acts []Act) []df.Phone {
	var phones []df.Phone
	for _, act := range acts {
		if act.matters() {
			phones = append(phones, act.Phone)
		}
	}
	slices.Sort(phones)
	return slices.Compact(phones)
}

func differ(a, b Standing) bool {
	return a.Out(SMS) != b.Out(SMS) || a.Out(Call) != b.Out(Call)
}

// reason is what the registry shows an operator; the words are in the evidence.
func reason(a Act) string { return strings.ToUpper(string(a.Kind)) + " (" + a.Rule + ")" }

// append adds the evidence of what is no repetition to the chain.
func (r *Recorder) append(ctx context.Context, tx store.Tx, acts []Act, done []Recorded) error {
	seq, hash, err := store.LockChain(ctx, tx)
	if err != nil {
		return err
	}
	var keys []string
	for _, act := range acts {
		if act.Key != "" {
			keys = append(keys, act.Key)
		}
	}
	known, err := store.KnownConsentKeys(ctx, tx, keys)
	if err != nil {
		return err
	}
	events := make([]store.ConsentEvent, 0, len(acts))
	var reviews []store.ConsentReview
	for i, act := range acts {
		done[i].Phone, done[i].Kind = act.Phone, act.Kind
		if act.Key != "" && known[act.Key] {
			continue
		}
		known[act.Key] = true
		done[i].EventID = r.NewID()
		events = append(events, eventOf(act, done[i].EventID))
		if act.Review != "" {
			reviews = append(reviews, store.ConsentReview{EventID: done[i].EventID, Kind: act.Review,
				Phone: string(act.Phone), At: act.HeardAt})
		}
	}
	chained(events, seq, hash)
	if err := store.AppendConsent(ctx, tx, events); err != nil {
		return err
	}
	for _, review := range reviews {
		if err := store.InsertConsentReview(ctx, tx, review); err != nil {
			return err
		}
	}
	return nil
}

func eventOf(a Act, id string) store.ConsentEvent {
	scopes := make([]string, len(a.Scopes))
	for i, scope := range a.Scopes {
		scopes[i] = string(scope)
	}
	slices.Sort(scopes)
	return store.ConsentEvent{
		ID: id, Key: a.Key, Phone: string(a.Phone), Kind: string(a.Kind), Scopes: strings.Join(scopes, ","),
		Holder: string(a.Holder), Actor: a.Actor, At: a.At, HeardAt: a.HeardAt, Source: a.Source, Words: a.Words,
		Rule: a.Rule, Certain: a.Certain, MessageID: a.MessageID, EventID: a.EventID, PersonID: a.PersonID,
	}
}

// standing reads a number's standing as the transaction sees it.
func standing(ctx context.Context, tx store.Tx, phone df.Phone) (Standing, error) {
	row, err := store.ReadConsent(ctx, tx, string(phone))
	if errors.Is(err, store.ErrNotFound) {
		return Standing{}, nil
	}
	return StandingOf(row), err
}

// actOf returns the act that a link of the chain is evidence of.
func actOf(e store.ConsentEvent) Act {
	act := Act{
		Kind: Kind(e.Kind), Phone: df.Phone(e.Phone), Holder: Holder(e.Holder), Actor: e.Actor, At: e.At, HeardAt: e.HeardAt,
		Source: e.Source, Words: e.Words, Rule: e.Rule, Certain: e.Certain, MessageID: e.MessageID, EventID: e.EventID,
		PersonID: e.PersonID, Key: e.Key,
	}
	for scope := range strings.SplitSeq(e.Scopes, ",") {
		act.Scopes = append(act.Scopes, Scope(scope))
	}
	return act
}
