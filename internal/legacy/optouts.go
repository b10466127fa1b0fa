package legacy

import (
	"context"
	"strings"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	original "github.com/df-middleware/dfm/internal/store/legacy"
)

// optOuts makes evidence of the registry. It comes after the texts, which say
// what is behind its rows.
func (r *run) optOuts(ctx context.Context, t *Table) error {
	return r.Source.OptOuts(ctx, batchSize, func(rows []original.OptOut) error {
		return r.batch(ctx, t, len(rows), func(tx store.Tx, c *tally) error {
			acts := make([]consent.Act, 0, len(rows))
			for _, o := range rows {
				if act, ok := r.optOut(o, c); ok {
					acts = append(acts, act)
				}
			}
			done, err := r.Recorder.RecordAll(ctx, tx, acts)
			for i, kept := range done {
				c.add(kept.EventID != "")
				if kept.EventID != "" && acts[i].Review != "" {
					c.ask(acts[i].Review)
				}
			}
			return err
		})
	})
}

// optOut is the act that a row stands for. Anything but a plain opt-in is an
// opt-out: a status that nobody knows must not let anybody be texted.
func (r *run) optOut(o original.OptOut, c *tally) (consent.Act, bool) {
	phone, err := df.ParsePhone(o.Phone, r.Region)
	if err != nil {
		c.refuse("the number cannot be read; find out whose opt-out it is", row(o.ID, o.Phone))
		return consent.Act{}, false
	}
	source := strings.ToLower(strings.TrimSpace(o.Source))
	act := consent.OptOutOf(store.Consent{Source: source, Reason: o.Reason, LastEventAt: o.LastEventAt}, phone)
	act.HeardAt = r.Clock()
	byText := act.Holder == consent.Text
	switch {
	case strings.TrimSpace(strings.ToLower(o.Status)) != "opted_in":
		if byText && r.texts && !r.stopped[phone] {
			act.Certain, act.Review = false, consent.ReviewUnproven
		}
		return act, true
	case byText && !r.stopped[phone]:
		// Only a STOP makes such a row, and only a cleared flag at Aloware turns it.
		act.Kind, act.Certain, act.Review = consent.Note, false, consent.ReviewOverwritten
		act.Key += ":in"
		return act, true
	}
	c.refuse("an opt-in there opts nobody in here", row(o.ID, o.Phone))
	return consent.Act{}, false
}
