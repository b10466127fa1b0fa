package converge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
)

// write sends a patch to a side and settles each of its parts by what the side
// then shows.
func (r *run) write(ctx context.Context, name df.Side, patch df.Patch) error {
	before := r.seen[name]
	started := r.Clock()
	sent, err := r.send(ctx, name, patch)
	if !sent.Empty() {
		r.ledgerWrites(name, sent)
		outcome, _ := df.OutcomeOf(err)
		kept, verr := r.verify(ctx, name, before, sent, outcome != df.Unclear)
		if verr != nil && err == nil || kept && outcome == df.Unclear {
			err = verr // the unanswered write turned out to have taken effect
		}
	}
	r.log(name, started, patch.FieldNames(), err, "updated")
	return err
}

// send sends the patch and returns the part that the side accepted, or may have
// accepted. A part that it refuses is settled as an issue and does not keep the
// others from being sent. The error, if any, is one to try again after.
func (r *run) send(ctx context.Context, name df.Side, patch df.Patch) (df.Patch, error) {
	r.result.Writes++
	err := r.Sides[name].Write(ctx, r.ref(name), r.seen[name], patch)
	outcome, _ := df.OutcomeOf(err)
	switch {
	case err == nil:
		return patch, nil
	case outcome == df.Unclear:
		return patch, r.unclear(err)
	case df.IsCode(err, df.CodeRekeyed):
		return r.rekeyed(ctx, name, patch, err)
	case df.IsCode(err, df.CodeNotWritten) && outcome == df.Refused:
		// The side has no place for some of it and took the rest.
		bad, rest := divide(patch, namedIn(err, slices.Sorted(maps.Keys(patch.Set))))
		r.refused(name, bad, err)
		return rest, nil
	case !df.IsCode(err, df.CodeInvalid) && !df.IsCode(err, df.CodeDuplicate):
		return df.Patch{}, err
	}
	parts := split(patch)
	if len(parts) == 1 {
		r.refused(name, patch, err)
		return df.Patch{}, nil
	}
	if named := namedIn(err, slices.Sorted(maps.Keys(patch.Set))); len(named) > 0 && len(named) < len(parts) {
		bad, rest := divide(patch, named)
		r.refused(name, bad, err)
		return r.send(ctx, name, rest)
	}
	return r.sendParts(ctx, name, parts)
}

// rekeyed follows the person to another contact at a side: Aloware knows people
// by their number, so a changed number is a new contact there. A run that dies
// before it is saved writes the number again and is told the same id.
func (r *run) rekeyed(ctx context.Context, name df.Side, patch df.Patch, err error) (df.Patch, error) {
	var call *df.CallError
	if !errors.As(err, &call) || call.ContactID == "" {
		return patch, nil
	}
	// The side announces the new contact as soon as it is there. Whoever
	// handles that first makes a person of it, which is ours.
	match, held := r.People.Move(ctx, r.work.Lease, r.person.ID, name,
		df.Contact{ID: call.ContactID, Fields: map[df.Field]string{df.PhoneNumber: patch.Set[df.PhoneNumber]}})
	if errors.Is(held, people.ErrHeld) {
		r.refused(name, patch, err) // somebody else's number: an operator decides
		return df.Patch{}, nil
	}
	if held != nil {
		return df.Patch{}, held
	}
	r.person = match.Person
	if snapshot, ok := r.agreed[name]; ok {
		snapshot.ContactID = call.ContactID
		r.agreed[name] = snapshot
	}
	seen := r.seen[name].Clone()
	seen.ID = call.ContactID
	r.seen[name] = seen
	return patch, nil
}

// sendParts sends each part alone, to find out which one is refused.
func (r *run) sendParts(ctx context.Context, name df.Side, parts []df.Patch) (df.Patch, error) {
	var all df.Patch
	for _, part := range parts {
		sent, err := r.send(ctx, name, part)
		all = join(all, sent)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// split takes a patch apart: one part per field, and one for all tags.
func split(patch df.Patch) []df.Patch {
	var parts []df.Patch
	for _, field := range slices.Sorted(maps.Keys(patch.Set)) {
		parts = append(parts, df.Patch{Set: map[df.Field]string{field: patch.Set[field]}})
	}
	if len(patch.AddTags)+len(patch.RemoveTags) > 0 {
		parts = append(parts, df.Patch{AddTags: patch.AddTags, RemoveTags: patch.RemoveTags})
	}
	return parts
}

// divide separates the named fields from the rest of a patch.
func divide(patch df.Patch, named []df.Field) (bad, rest df.Patch) {
	bad.Set, rest.Set = map[df.Field]string{}, map[df.Field]string{}
	for field, value := range patch.Set {
		if slices.Contains(named, field) {
			bad.Set[field] = value
		} else {
			rest.Set[field] = value
		}
	}
	rest.AddTags, rest.RemoveTags = patch.AddTags, patch.RemoveTags
	return bad, rest
}

func join(a, b df.Patch) df.Patch {
	set := maps.Clone(a.Set)
	if set == nil {
		set = map[df.Field]string{}
	}
	maps.Copy(set, b.Set)
	return df.Patch{Set: set, AddTags: append(a.AddTags, b.AddTags...), RemoveTags: append(a.RemoveTags, b.RemoveTags...)}
}

// namedIn returns which of the fields the refusal names. GHL's messages begin
// with the property ("phone must be …"), or quote it after a word ("property
// companyName should not exist").
func namedIn(err error, fields []df.Field) []df.Field {
	var call *df.CallError
	if !errors.As(err, &call) {
		return nil
	}
	words := strings.FieldsFunc(call.Message, func(r rune) bool { return strings.ContainsRune(" ,;:.\"'`[](){}", r) })
	var named []df.Field
	for _, field := range fields {
		if slices.Contains(words, string(field)) {
			named = append(named, field)
		}
	}
	return named
}

// refused settles what a side will refuse again: the sides agree to differ, an
// operator is told, and the next change of the field is tried anew.
func (r *run) refused(name df.Side, patch df.Patch, err error) {
	kind := IssueRefused
	var call *df.CallError
	other := ""
	if errors.As(err, &call) && call.Code == df.CodeDuplicate {
		kind, other = IssueDuplicate, call.ContactID
	}
	for field, value := range patch.Set {
		p := place{name, field}
		r.raise(Issue{Topic: p.topic(), Kind: kind, Side: name, Field: field, Want: value, Got: r.seen[name].Get(field),
			ContactID: other, Open: true, Detail: safeText(err)})
		r.agreed.settle(field, r.basis(name))
	}
	if tags := append(slices.Clone(patch.AddTags), patch.RemoveTags...); len(tags) > 0 {
		p := place{name, TagsField}
		r.raise(Issue{Topic: p.topic(), Kind: kind, Side: name, Field: TagsField, Want: strings.Join(tags, ", "),
			Open: true, Detail: safeText(err)})
		r.settleTags(name, tags, true)
	}
}

// verify reads the contact back, settles every part that was sent and reports
// whether the side kept all of it. A part that is not there counts as not
// written only if the side had answered.
func (r *run) verify(ctx context.Context, name df.Side, before df.Contact, sent df.Patch, answered bool) (bool, error) {
	after, err := r.readBack(ctx, name, sent)
	if err != nil {
		return false, err
	}
	r.seen[name] = after
	all := true
	for _, field := range slices.Sorted(maps.Keys(sent.Set)) {
		p := place{name, field}
		kept := r.verifyField(p, after, sent.Set[field])
		all = all && kept
		if !kept && answered && Same(field, after.Get(field), before.Get(field)) {
			r.notWritten(p, sent.Set[field], after.Get(field))
		}
	}
	return r.verifyTags(place{name, TagsField}, after, sent, answered) && all, nil
}

// readBack reads the contact under the phone it has after the write, else under
// the one it had.
func (r *run) readBack(ctx context.Context, name df.Side, sent df.Patch) (df.Contact, error) {
	ref := r.ref(name)
	phone := df.Phone(sent.Set[df.PhoneNumber])
	if phone == "" || phone == ref.Phone {
		return readOne(ctx, r.Sides[name], ref)
	}
	after, err := readOne(ctx, r.Sides[name], df.Ref{ID: ref.ID, Phone: phone})
	if df.IsCode(err, df.CodeNotFound) {
		return readOne(ctx, r.Sides[name], ref)
	}
	return after, err
}

// verifyField settles one field if the side kept what it was given. Where it
// shows another value, somebody edited meanwhile or the side makes something
// else of the value; the same answer to the same write tells which.
func (r *run) verifyField(p place, after df.Contact, want string) bool {
	got, shown := after.Fields[p.field]
	if !shown {
		r.kept[p] = true // the side never shows it; its word is all there is
		r.done(p)
		return true
	}
	change, kept := keptAs(p.field, want, got)
	if !kept && r.odd[p] == (oddity{want, got}) {
		change, kept = Opaque, true
		if conflict, ok := r.first[p.field]; ok {
			r.losers[p.field] = conflict // the second was with what the side made of our own write
		}
	}
	if !kept {
		r.odd[p] = oddity{want, got}
		return false
	}
	r.learn(p.side, p.field, want, got, change)
	r.resolve(p.topic())
	r.kept[p] = true
	r.done(p)
	return true
}

// keptAs reports whether a side that was given one value and shows the other
// kept it, and how it changed it.
func keptAs(field df.Field, given, held string) (Change, bool) {
	if change, ok := Rewrite(field, given, held); ok {
		return change, true
	}
	return Truncation, Cut(field, given, held)
}

// verifyTags judges the tags. Tags that came or went beside ours are left to
// the next plan.
func (r *run) verifyTags(p place, after df.Contact, sent df.Patch, answered bool) bool {
	if len(sent.AddTags)+len(sent.RemoveTags) == 0 {
		return true
	}
	var kept, lost []string
	for i, tag := range append(slices.Clone(sent.AddTags), sent.RemoveTags...) {
		add := i < len(sent.AddTags)
		if after.Tags != nil && hasTag(after.Tags, tag) != add {
			lost = append(lost, tag)
		} else {
			kept = append(kept, tag)
		}
	}
	r.settleTags(p.side, kept, false)
	if len(lost) == 0 {
		r.resolve(p.topic())
		return true
	}
	if answered && r.notWritten(p, strings.Join(lost, ", "), strings.Join(after.Tags, ", ")) {
		r.settleTags(p.side, lost, true)
	}
	return false
}

// settleTags settles tags that were written, or that are given up. When the
// sides' tags meet for the first time the plan settles them together, unless
// some are given up: then all are agreed on as they are.
func (r *run) settleTags(name df.Side, tags []string, givenUp bool) {
	basis := r.basis(name)
	if tagsMeet(r.agreed, basis) {
		if !givenUp {
			return
		}
		for _, contact := range basis {
			tags = append(tags, contact.Tags...)
		}
	}
	for _, tag := range tags {
		r.agreed.settleTag(df.TagKey(tag), basis)
	}
}

// notWritten counts a write that was accepted and not kept. It is tried again
// in a later run, since some upstreams show old values for a while; after
// Limits.Tries the sides agree to differ and an operator is told.
func (r *run) notWritten(p place, want, got string) (givenUp bool) {
	tries := 1
	if known, ok := r.issues[p.topic()]; ok && known.Kind == IssueNotWritten && known.Want == want {
		tries = known.Tries + 1
	}
	givenUp = tries >= r.Limits.Tries
	r.raise(Issue{Topic: p.topic(), Kind: IssueNotWritten, Side: p.side, Field: p.field, Want: want, Got: got,
		Tries: tries, Open: givenUp, Detail: "accepted, but reading back shows the old value"})
	r.parked[p] = true
	if !givenUp {
		r.retry(time.Duration(tries) * r.Limits.RetryAfter)
		return false
	}
	if p.field != TagsField {
		r.done(p)
	}
	return true
}

func (r *run) learn(side df.Side, field df.Field, given, held string, change Change) {
	if given == held {
		return
	}
	r.record.Learned = append(r.record.Learned, Normalisation{Side: side, Field: field, Given: given, Held: held,
		Change: change, At: r.Clock()})
}

func (r *run) ledgerWrites(side df.Side, sent df.Patch) {
	for _, field := range sent.FieldNames() {
		r.record.Writes = append(r.record.Writes, Written{Side: side, Field: df.Field(field), At: r.Clock(),
			Value: hashOf(sent, df.Field(field))})
	}
}

// hashOf tells values apart without keeping them once more.
func hashOf(sent df.Patch, field df.Field) string {
	value := sent.Set[field]
	if field == TagsField {
		value = strings.Join(sent.AddTags, "\n") + "\x00" + strings.Join(sent.RemoveTags, "\n")
	}
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:8])
}

// unclear gives an unanswered call time before it is looked up.
func (r *run) unclear(err error) error {
	var call *df.CallError
	if !errors.As(err, &call) || call.Outcome != df.Unclear || !call.RetryAt.IsZero() {
		return err
	}
	delayed := *call
	delayed.RetryAt = r.Clock().Add(r.Limits.UnclearAfter)
	return &delayed
}

// later is a failure of a side to answer to the point, to be tried again.
func later(operation string, side df.Side, at time.Time) error {
	return &df.CallError{Upstream: string(side), Operation: operation, Outcome: df.Unclear, RetryAt: at,
		Code: df.CodeGarbled, Message: "the answer did not show the contact"}
}
