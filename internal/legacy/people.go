package legacy

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
	original "github.com/df-middleware/dfm/internal/store/legacy"
)

// mapping is a row of contact_mappings as it can be believed.
type mapping struct {
	id           string
	ghl, aloware string
	phone        df.Phone
	email        string
	twins        bool // other rows claim one of its contacts
}

// people imports the mappings by the rules by which an event finds its person: an
// id of a side is proof, and whatever is ambiguous is a question.
func (r *run) people(ctx context.Context, t *Table) error {
	return r.Source.Mappings(ctx, peopleBatch, func(rows []original.Mapping) error {
		return r.batch(ctx, t, len(rows), func(tx store.Tx, c *tally) error {
			believed := make([]mapping, 0, len(rows))
			for _, m := range rows {
				if b, ok := r.believed(m, c); ok {
					believed = append(believed, b)
				}
			}
			// Phones are locked in one order.
			slices.SortStableFunc(believed, func(a, b mapping) int { return cmp.Compare(a.phone, b.phone) })
			directory := &people.Directory{Registry: people.Within{Tx: tx, Linked: r.Linked}, Clock: r.Clock, NewID: r.NewID}
			for _, m := range believed {
				if err := r.person(ctx, tx, directory, m, c); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// believed takes out of a row what the original is known to have put in wrongly.
func (r *run) believed(m original.Mapping, c *tally) (mapping, bool) {
	b := mapping{id: m.ID, ghl: realID(m.GHLContactID), aloware: realID(m.AlowareContactID), email: strings.ToLower(strings.TrimSpace(m.Email))}
	b.twins = b.ghl != "" && m.GHLTwins > 1 || b.aloware != "" && m.AlowareTwins > 1
	if text := strings.TrimSpace(m.Phone); text != "" {
		phone, err := df.ParsePhone(text, r.Region)
		if err != nil {
			c.remark("the number cannot be read and was left out", row(m.ID, text))
		}
		b.phone = phone
	}
	if r.phoneForID(b) {
		// When a contact could not be made, its number was stored as its id.
		c.remark("the Aloware id is a phone number and was left out", row(m.ID, b.aloware))
		b.aloware, b.twins = "", b.ghl != "" && m.GHLTwins > 1
	}
	switch {
	case b.ghl == "" && b.aloware == "":
		c.refuse("it names no contact", row(m.ID, m.Phone))
		return b, false
	case b.phone != "" && r.Own != nil && r.Own(b.phone):
		c.refuse("the number is one of the company's own", row(m.ID, m.Phone))
		return b, false
	}
	return b, true
}

func (r *run) phoneForID(b mapping) bool {
	phone, err := df.ParsePhone(b.aloware, r.Region)
	return err == nil && (strings.HasPrefix(b.aloware, "+") || phone == b.phone)
}

// realID returns an id without what JavaScript writes for none.
func realID(text string) string {
	text = strings.TrimSpace(text)
	switch text {
	case "undefined", "null", "NaN", "[object Object]":
		return ""
	}
	return text
}

func (r *run) person(ctx context.Context, tx store.Tx, directory *people.Directory, m mapping, c *tally) error {
	if m.twins {
		return r.conflict(ctx, tx, m, nil, c, "rows of the original disagree about whose contact it is")
	}
	side, id := df.SideGHL, m.ghl
	if id == "" {
		side, id = df.SideAloware, m.aloware
	}
	match, err := directory.Identify(ctx, people.Lease{}, people.Clue{Side: side, ContactID: id, Phone: m.phone, Email: m.email})
	if err != nil {
		return err
	}
	p := match.Person
	known := match.Rule == people.ByContactID || match.Rule == people.AsMerged
	switch {
	case match.Rule == people.AsMerged || p.Status == people.Ended || m.aloware == "" || p.AlowareContactID == m.aloware:
		c.add(!known)
		return nil
	case p.AlowareContactID != "":
		return r.conflict(ctx, tx, m, []string{p.ID}, c, "the person has another contact at Aloware by now")
	}
	contact := df.Contact{ID: m.aloware, Fields: map[df.Field]string{df.PhoneNumber: string(m.phone)}}
	_, err = directory.Link(ctx, people.Lease{}, p.ID, df.SideAloware, contact)
	switch {
	case errors.Is(err, people.ErrHeld) && known:
		c.refuse("its contact at Aloware is somebody else's here", row(m.id, string(m.phone)))
	case errors.Is(err, people.ErrHeld):
		c.imported++
		c.remark("its contact at Aloware is somebody else's here and was left out", row(m.id, string(m.phone)))
	case err != nil:
		return err
	default:
		c.imported++
		return nil
	}
	c.ask(string(people.ContactHeld))
	return nil
}

// conflict leaves a row to a person. The same row asks once.
func (r *run) conflict(ctx context.Context, tx store.Tx, m mapping, candidates []string, c *tally, reason string) error {
	side, id := df.SideGHL, m.ghl
	if id == "" {
		side, id = df.SideAloware, m.aloware
	}
	c.refuse(reason, row(m.id, string(m.phone)))
	c.ask(string(people.LegacyConflict))
	return store.InsertReview(ctx, tx, store.Review{
		Key: string(people.LegacyConflict) + "/" + m.id, Kind: string(people.LegacyConflict), Side: side, ContactID: id,
		Phone: m.phone, Email: m.email, Candidates: candidates, At: r.Clock(),
	})
}
