package converge

import (
	"context"
	"errors"
	"slices"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
)

// missing handles contacts that were not found and deletions that were
// announced. It reports whether the run is over with it.
func (r *run) missing(ctx context.Context) (stop bool, err error) {
	for _, name := range order {
		_, there := r.seen[name]
		topic := string(name) + "/contact"
		switch {
		case there:
			r.resolve(topic)
			if r.announced(name) {
				r.result.Superseded[name] = true
				r.decide(Decision{Action: Superseded, Side: name, Rule: "state_is_truth", Detail: "a deletion was announced, but the contact is there"})
			}
		case !r.gone[name]:
		case name == df.SideGHL && (r.announced(name) || r.longMissing(topic)):
			return true, r.end(ctx)
		default:
			r.note(name, topic)
		}
	}
	return r.gone[df.SideGHL], nil
}

// announced reports whether the side announced that this contact was deleted.
func (r *run) announced(name df.Side) bool {
	return slices.Contains(r.work.Deleted[name], r.person.ContactID(name))
}

// longMissing reports whether the GHL contact was first found missing long
// enough ago. One unannounced absence is not believed: wrong credentials for a
// location look the same for everybody.
func (r *run) longMissing(topic string) bool {
	known, ok := r.issues[topic]
	return ok && known.Kind == IssueMissing && !r.Clock().Before(known.Since.Add(r.Limits.MissingGrace))
}

// note keeps that a contact is missing. Nothing is written to the other side
// and the contact is not made anew.
func (r *run) note(name df.Side, topic string) {
	r.decide(Decision{Action: Missing, Side: name, Rule: "never_recreate", Detail: "the contact is not there any more"})
	if _, known := r.issues[topic]; known {
		return
	}
	r.raise(Issue{Topic: topic, Kind: IssueMissing, Side: name, ContactID: r.person.ContactID(name), Open: true,
		Detail: "the contact is not there, and nothing announced that it was deleted"})
}

// end ends a person whose GHL contact was deleted. The Aloware contact is
// retired, unless the number lives on with another GHL contact: then GHL merged
// two contacts, or several people share the number, and marking it do-not-call
// would silence somebody who is still there.
func (r *run) end(ctx context.Context) error {
	heirs, err := r.heirs(ctx)
	if err != nil {
		return err
	}
	if len(heirs) == 1 {
		merged, err := r.bequeath(ctx, heirs[0])
		if merged || err != nil {
			return err
		}
	}
	if len(heirs) == 0 {
		if err := r.retire(ctx); err != nil {
			return err
		}
	} else {
		r.decide(Decision{Action: KeepAlive, Side: df.SideAloware, Rule: "number_lives_on", Detail: "another GHL contact has this number"})
	}
	r.ended("deleted in GHL")
	r.decide(Decision{Action: Ending, Side: df.SideGHL, Rule: "confirmed_by_id", Detail: "deleted in GHL"})
	return nil
}

func (r *run) ended(reason string) {
	r.person = people.End(r.person, r.Clock(), reason)
	r.resolve(string(df.SideGHL) + "/contact")
	r.result.Ended = true
}

// heirs returns the other GHL contacts that have the person's number.
func (r *run) heirs(ctx context.Context) ([]df.Contact, error) {
	side := r.Sides[df.SideGHL]
	if side == nil || r.person.Phone == "" {
		return nil, nil
	}
	found, err := side.Find(ctx, r.person.Phone, "")
	if err != nil && !df.IsCode(err, df.CodeNotFound) {
		return nil, err
	}
	var heirs []df.Contact
	for _, c := range found {
		if c.ID != "" && c.ID != r.person.GHLContactID && c.Phone() == r.person.Phone {
			heirs = append(heirs, c)
		}
	}
	return heirs, nil
}

// bequeath merges the person into the one that has the heir, when that one
// lacks what this one has. GHL's merge deletes the loser and updates the winner.
func (r *run) bequeath(ctx context.Context, heir df.Contact) (bool, error) {
	holder, ok, err := r.People.Known(ctx, df.SideGHL, heir.ID)
	if err != nil {
		return false, err
	}
	if !ok || holder.Status == people.Ended || holder.AlowareContactID != "" || r.person.AlowareContactID == "" {
		return false, nil
	}
	winner, loser, err := r.People.Merge(ctx, r.work.Lease, holder.ID, r.person.ID, "converge", "merged in GHL")
	if errors.Is(err, people.ErrApart) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	r.person = loser
	r.ended("merged in GHL")
	r.result.MergedInto = winner.ID
	r.decide(Decision{Action: Merging, Side: df.SideGHL, Rule: "number_lives_on", Value: winner.ID, Detail: "the number lives on with one other GHL contact"})
	return true, nil
}

// retire takes the Aloware contact off lists and sequences and marks it
// do-not-call. A side that refuses does not keep the person alive; an operator
// is told instead.
func (r *run) retire(ctx context.Context) error {
	if r.person.AlowareContactID == "" || r.gone[df.SideAloware] {
		return nil
	}
	issue := Issue{Topic: "aloware/retire", Kind: IssueNotRetired, Side: df.SideAloware, ContactID: r.person.AlowareContactID, Open: true}
	retirer, ok := r.Sides[df.SideAloware].(Retirer)
	if !ok {
		issue.Detail = "Aloware is not configured, or cannot retire contacts"
		r.raise(issue)
		return nil
	}
	started := r.Clock()
	r.result.Writes++
	err := retirer.Retire(ctx, r.ref(df.SideAloware))
	r.log(df.SideAloware, started, []string{"doNotCall", "lists", "sequences"}, err, "retired")
	outcome, _ := df.OutcomeOf(err)
	switch {
	case err == nil:
		r.decide(Decision{Action: Retire, Side: df.SideAloware, Rule: "deleted_in_ghl", Value: r.person.AlowareContactID})
		return nil
	case outcome == df.Refused && !df.IsCode(err, df.CodeUnauthorized):
		issue.Detail = safeText(err)
		r.raise(issue)
		return nil
	}
	return r.unclear(err)
}
