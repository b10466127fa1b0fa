package consent

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// Heard is one delivery as far as consent goes: what a person wrote, a carrier's
// word for it, the flags that a contact carries. Any of them may be missing.
type Heard struct {
	Source    df.Source
	EventID   string // of the webhook event
	Notice    df.Notice
	HeardAt   time.Time
	PersonID  string
	MessageID string // the source's id of the message, the carrier's when known
	// Read says that nothing was announced: the notice's contact was read, at
	// Notice.OccurredAt by our clock.
	Read bool

	// Text is what the person wrote to us; empty for anything else.
	Text string
	// Carrier is Stop, Start or Help when the carrier itself acted on a keyword
	// (Twilio's OptOutType, optout.stop), and Stop when it refused a text of
	// ours because the person is out (Twilio 21610, Telnyx 40300, Aloware 11
	// and 32). Code says which.
	Carrier Kind
	Code    string
}

// alowareDNC is the code with which Aloware refuses a text because of is_dnc,
// which is not the person's own word as 32 (opted out) is.
const alowareDNC = "11"

// Hear keeps everything that deliveries say about consent, in the transaction
// that stores them. It is to be the last call of the transaction (see Recorder).
// What says nothing costs one comparison. A number that cannot be read is left
// alone: its event shows it.
//
// Flags are remembered contact by contact in one order, whatever the order of the
// deliveries, since their rows stay locked until the transaction ends.
func (r *Recorder) Hear(ctx context.Context, tx store.Tx, heard []Heard) ([]Recorded, error) {
	acts := make([][]Act, len(heard))
	for i, h := range heard {
		said, err := r.said(ctx, tx, h)
		if err != nil {
			return nil, err
		}
		acts[i] = said
	}
	for _, i := range byContact(heard) {
		shown, err := r.shown(ctx, tx, heard[i])
		if err != nil {
			return nil, err
		}
		acts[i] = append(acts[i], shown...)
	}
	return r.RecordAll(ctx, tx, slices.Concat(acts...))
}

// byContact lists the places of what was heard, contact by contact.
func byContact(heard []Heard) []int {
	places := make([]int, len(heard))
	for i := range places {
		places[i] = i
	}
	slices.SortStableFunc(places, func(a, b int) int {
		left, _ := contactOf(heard[a].Notice)
		right, _ := contactOf(heard[b].Notice)
		return cmp.Or(cmp.Compare(heard[a].Source, heard[b].Source), cmp.Compare(left, right))
	})
	return places
}

// said turns what a person wrote, or a carrier reports, into an act. The
// carrier's word is certain; what it leaves to us is read here, since carriers
// do not act on every word that the FCC names.
func (r *Recorder) said(ctx context.Context, tx store.Tx, h Heard) ([]Act, error) {
	if h.Notice.Phone == "" || h.Text == "" && h.Carrier == None {
		return nil, nil
	}
	verdict := Verdict{Act: h.Carrier, Certain: true, Rule: "carrier"}
	if h.Code != "" {
		verdict.Rule += "_" + h.Code
	}
	if h.Carrier == None {
		now, err := standing(ctx, tx, h.Notice.Phone)
		if err != nil {
			return nil, err
		}
		verdict = Classify(h.Text, now.OutByText())
	}
	if verdict.Act == None {
		return nil, nil
	}
	act := h.act(verdict.Act)
	act.Holder, act.Actor, act.Words, act.Rule, act.Certain = Text, "customer", h.Text, verdict.Rule, verdict.Certain
	if h.Source == df.SourceAloware && h.Code == alowareDNC {
		act.Holder, act.Scopes, act.Actor = Aloware, Scopes(), string(df.SourceAloware)
	}
	if !verdict.Certain {
		act.Review = "free_wording"
	}
	return []Act{act}, nil
}

func (h Heard) act(kind Kind) Act {
	act := Act{
		Kind: kind, Phone: h.Notice.Phone, At: h.Notice.OccurredAt, HeardAt: h.HeardAt, Source: string(h.Source),
		MessageID: h.MessageID, EventID: h.EventID, PersonID: h.PersonID,
	}
	if h.MessageID != "" {
		act.Key = string(h.Source) + ":" + h.MessageID + ":" + string(kind)
	}
	return act
}

// shown turns the flags that the delivery carries into acts and remembers them.
func (r *Recorder) shown(ctx context.Context, tx store.Tx, h Heard) ([]Act, error) {
	side := df.Side(h.Source)
	id, phone := contactOf(h.Notice)
	if side != df.SideGHL && side != df.SideAloware || h.Notice.Contact == nil || id == "" || phone == "" ||
		h.Notice.Contact.DoNotCall == nil && h.Notice.Contact.DoNotText == nil {
		return nil, nil
	}
	known, err := store.FlagsOf(ctx, tx, side, id)
	if err != nil {
		return nil, err
	}
	if h.Notice.OccurredAt.IsZero() {
		h.Notice.OccurredAt = h.HeardAt
	}
	acts, next := FromFlags(side, h.Notice, Flags(known))
	if h.Read {
		// Announcements have the side's clock, often by whole seconds. Ours must
		// not make the next one look old.
		next.At = later(known.At, time.Unix(0, 0).UTC()) // the column wants a time
		if acts, err = r.unexplained(ctx, tx, phone, known, acts); err != nil {
			return nil, err
		}
	}
	for i, act := range acts {
		act.HeardAt, act.EventID, act.PersonID = h.HeardAt, h.EventID, h.PersonID
		if act.Kind == Note {
			now, err := standing(ctx, tx, phone)
			if err != nil {
				return nil, err
			}
			if now.Out(SMS) || now.Out(Call) {
				act.again, act.Review = targetsOf(side, r.Targets), "flag_cleared"
			}
		}
		if h.EventID != "" {
			act.Key = h.EventID + ":" + act.Rule
		}
		acts[i] = act
	}
	next.Side, next.ContactID = side, id
	return acts, store.SaveFlags(ctx, tx, store.ConsentFlags(next))
}

// unexplained leaves out what the first look at a contact's flags shows of an
// opt-out that stands already: the flag is there because we asked for it, in a
// time that was forgotten with the person, and is nobody's new word.
func (r *Recorder) unexplained(ctx context.Context, tx store.Tx, phone df.Phone, known store.ConsentFlags, acts []Act) ([]Act, error) {
	first := known.Text == nil && known.Call == nil && known.AskedText == nil && known.AskedCall == nil
	if !first || len(acts) == 0 {
		return acts, nil
	}
	now, err := standing(ctx, tx, phone)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(acts, func(act Act) bool {
		scopes := act.Scopes
		if scopes == nil {
			scopes = []Scope{SMS}
		}
		return act.Kind == Stop && !slices.ContainsFunc(scopes, func(s Scope) bool { return !now.Out(s) })
	}), nil
}

func contactOf(n df.Notice) (id string, phone df.Phone) {
	id, phone = n.ContactID, n.Phone
	if n.Contact == nil {
		return id, phone
	}
	if id == "" {
		id = n.Contact.ID
	}
	if phone == "" {
		phone = n.Contact.Phone()
	}
	return id, phone
}
