package consent

import (
	"context"
	"slices"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// ghlDND sets do-not-disturb per channel and reads it back. It is taken off only
// where the number is in again, and only by a policy that says so.
func (f *Fan) ghlDND(ctx context.Context, now Standing, contact df.Contact) error {
	for _, scope := range Scopes() {
		on, shows := now.Out(scope), shown(contact, scope)
		if shows != nil && *shows == on || !on && (shows == nil || f.Recorder.Policy.KeepDND) {
			continue
		}
		err := f.write(ctx, df.SideGHL, contact, scope, on, func() error {
			return f.GHL.SetDND(ctx, contact.ID, scope, on, dndReason(now, scope, on))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func dndReason(now Standing, scope Scope, on bool) string {
	if !on {
		return "opted in again"
	}
	return "opted out on " + now.Since(scope).Format("2006-01-02 15:04 MST")
}

// alowareDNC sets is_dnc where calls are refused and reads it back. Clearing it
// is for a policy that wants it: Aloware does not document that it can be.
func (f *Fan) alowareDNC(ctx context.Context, now Standing, number df.Phone, contact df.Contact) error {
	on, shows := now.Out(Call), contact.DoNotCall
	if shows != nil && *shows == on || !on && (shows == nil || !f.Recorder.Policy.ClearDNC) {
		return nil
	}
	return f.write(ctx, df.SideAloware, contact, Call, on, func() error {
		return f.Aloware.SetDoNotCall(ctx, number, on)
	})
}

// write sets one flag of a contact: what is asked for is noted before the call,
// so that its echo is known for one however soon it comes, and read back after
// it, since a 2xx is a claim. Taking a flag off is never insisted on: the side
// may block for reasons of its own.
func (f *Fan) write(ctx context.Context, side df.Side, contact df.Contact, scope Scope, on bool, call func() error) error {
	if err := f.expect(ctx, side, contact.ID, scope, &on); err != nil {
		return err
	}
	err := call()
	if outcome, _ := df.OutcomeOf(err); err != nil && outcome == df.Refused && !on {
		return f.expect(ctx, side, contact.ID, scope, nil)
	}
	if err != nil {
		return err
	}
	after, err := f.contacts(side).Read(ctx, df.Ref{ID: contact.ID, Phone: contact.Phone()})
	if err != nil {
		return err
	}
	if got := shown(after, scope); got != nil && *got != on && on {
		return &df.CallError{Upstream: string(side), Operation: "set do-not-contact", Outcome: df.RetryLater, Code: df.CodeNotWritten}
	}
	return f.saw(ctx, side, after)
}

func shown(contact df.Contact, scope Scope) *bool {
	if scope == SMS {
		return contact.DoNotText
	}
	return contact.DoNotCall
}

// expect notes what a contact's flag is asked to be; nil takes the note back.
func (f *Fan) expect(ctx context.Context, side df.Side, id string, scope Scope, value *bool) error {
	return f.Store.InTx(ctx, func(tx store.Tx) error {
		known, err := store.FlagsOf(ctx, tx, side, id)
		if err != nil {
			return err
		}
		if scope == SMS {
			known.AskedText = value
		} else {
			known.AskedCall = value
		}
		return store.SaveFlags(ctx, tx, known)
	})
}

// forget drops what a side was asked for and is no longer wanted. A write that
// failed must not make the same change, made by somebody else one day, look like
// its echo.
func forget(ctx context.Context, tx store.Tx, side df.Side, id string, now Standing) error {
	known, err := store.FlagsOf(ctx, tx, side, id)
	if err != nil {
		return err
	}
	text, call := known.AskedText, known.AskedCall
	if text != nil && *text != now.Out(SMS) {
		known.AskedText = nil
	}
	if call != nil && *call != now.Out(Call) {
		known.AskedCall = nil
	}
	if known.AskedText == text && known.AskedCall == call {
		return nil
	}
	return store.SaveFlags(ctx, tx, known)
}

// saw remembers the flags that were read back.
func (f *Fan) saw(ctx context.Context, side df.Side, contact df.Contact) error {
	return f.Store.InTx(ctx, func(tx store.Tx) error {
		known, err := store.FlagsOf(ctx, tx, side, contact.ID)
		if err != nil {
			return err
		}
		known.Text, known.AskedText = seen(contact.DoNotText, known.Text, known.AskedText)
		known.Call, known.AskedCall = seen(contact.DoNotCall, known.Call, known.AskedCall)
		known.At = later(known.At, f.Clock())
		return store.SaveFlags(ctx, tx, known)
	})
}

// ghlTags adds the tags of the scopes that the number is out of, and removes
// those of the others.
func (f *Fan) ghlTags(ctx context.Context, now Standing, contact df.Contact) error {
	var add, remove []string
	for _, scope := range Scopes() {
		for _, tag := range f.Recorder.Policy.tags(scope) {
			has := slices.ContainsFunc(contact.Tags, func(t string) bool { return df.TagKey(t) == df.TagKey(tag) })
			switch {
			case now.Out(scope) && !has:
				add = append(add, tag)
			case !now.Out(scope) && has && !f.Recorder.Policy.KeepTags:
				remove = append(remove, tag)
			}
		}
	}
	if len(add) > 0 {
		if err := f.GHL.AddTags(ctx, contact.ID, add); err != nil {
			return err
		}
	}
	if len(remove) > 0 {
		return f.GHL.RemoveTags(ctx, contact.ID, remove)
	}
	return nil
}

// alowareLeave takes a contact out of what would text or call it: sequences do
// both, Power Dialer lists call. Nobody is put back by an opt-in.
func (f *Fan) alowareLeave(ctx context.Context, now Standing, target Target, number df.Phone, contact df.Contact) error {
	switch {
	case target == AlowareSequences && (now.Out(SMS) || now.Out(Call)):
		return f.Aloware.Disenroll(ctx, number)
	case target == AlowareLists && now.Out(Call):
		return f.Aloware.RemoveFromAllLists(ctx, contact.ID)
	}
	return nil
}
