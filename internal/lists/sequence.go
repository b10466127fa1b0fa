package lists

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// ListStatus is the custom field of Aloware's contacts that sequences go by.
const ListStatus = df.Field("custom:aloware_list_status")

// UnknownSequence is the kind of problem of a status that means no sequence, or
// one that Aloware refuses.
const UnknownSequence = "unknown_sequence"

// Sequences says which sequence a status means: ALOWARE_STATUS_TO_SEQUENCE.
type Sequences map[string]Sequence

// Sequence is one sequence at Aloware. That one which is optional cannot be
// entered is no problem for an operator.
type Sequence struct {
	ID       string
	Optional bool
}

// ParseSequences reads the setting: an object from status to a sequence's id, or
// to {"sequence_id":"…","optional":true}.
func ParseSequences(text string) (Sequences, error) {
	table := Sequences{}
	if strings.TrimSpace(text) == "" {
		return table, nil
	}
	var raw map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &raw) != nil || raw == nil {
		return nil, errors.New(`must be a JSON object such as {"Hot":"123","Cold":{"sequence_id":"456","optional":true}}`)
	}
	for status, value := range raw {
		var one struct {
			ID       any  `json:"sequence_id"`
			Optional bool `json:"optional"`
		}
		if json.Unmarshal(value, &one) != nil {
			one.ID, one.Optional = strings.Trim(string(value), `" `), false
		}
		id := sequenceID(one.ID)
		if strings.TrimSpace(status) == "" || id == "" {
			return nil, errors.New("every status needs a name and the id of a sequence, which is a number")
		}
		table[strings.TrimSpace(status)] = Sequence{ID: id, Optional: one.Optional}
	}
	return table, nil
}

func sequenceID(value any) string {
	var text string
	switch v := value.(type) {
	case string:
		text = strings.TrimSpace(v)
	case float64:
		text = fmt.Sprintf("%.0f", v)
	}
	if text == "" || len(text) > 18 || strings.Trim(text, "0123456789") != "" {
		return ""
	}
	return text
}

// Enrolment is how far a person's sequence has come. A status counts as handled
// when the person is where it says, not before.
type Enrolment struct {
	Handled string `json:"handled,omitempty"` // the status that was brought about last
	In      string `json:"in,omitempty"`      // the sequence that we put the person into, as far as known
	// Leaving and Entering mark calls that were begun and whose end is not
	// known. What was left is entered without leaving again, since leaving
	// would end the sequence that may have just begun.
	Leaving  bool   `json:"leaving,omitempty"`
	Entering string `json:"entering,omitempty"`
	Refused  string `json:"refused,omitempty"` // the sequence that Aloware refused last; not tried again
}

// Step is what is to be done about a sequence next.
type Step string

// The steps. Leave is leaving all sequences, which is the only way to leave one.
const (
	Rest  Step = ""
	Leave Step = "leave"
	Enter Step = "enter"
)

// Next says what is to be done so that a person is in the sequence with the id;
// "" is in none. It is a pure function.
func (e Enrolment) Next(want string) Step {
	switch {
	case e.Leaving, e.Entering != "" && e.Entering != want:
		return Leave
	case e.Entering == want && want != "":
		return Enter
	case e.In == want, want == e.Refused && want != "":
		return Rest
	case e.In != "":
		return Leave
	}
	return Enter
}

// enrol brings the person into the sequence that the status in Aloware means.
func (d *Desk) enrol(ctx context.Context, w *work) error {
	if d.Sequences == nil || d.Dialer == nil || w.turn.Aloware == nil || !w.turn.Aloware.Known(ListStatus) || w.turn.Aloware.Phone() == "" {
		return nil
	}
	if w.enrolment == (Enrolment{}) && w.agent.ListStatus != "" {
		w.enrolment = Enrolment{Handled: w.agent.ListStatus, In: d.Sequences[w.agent.ListStatus].ID} // as after an import
	}
	barred, err := d.mayEnrol(ctx, w)
	if err != nil {
		return err
	}
	status := w.facts.ListStatus
	sequence, known := d.Sequences[status]
	switch {
	case barred != "":
		sequence = Sequence{}
	case status == w.enrolment.Handled && w.enrolment.Entering == "" && !w.enrolment.Leaving:
		return nil
	case status != "" && !known:
		w.problems = append(w.problems, Problem{UnknownSequence, "ALOWARE_STATUS_TO_SEQUENCE has no sequence for the status " +
			quoted(status) + "; the person stays as before. Add the status to the setting, or mark it with {\"sequence_id\":…}"})
		return nil
	}
	if err := d.walk(ctx, w, sequence); err != nil {
		return err
	}
	if w.enrolment.In == sequence.ID && w.enrolment.Entering == "" || w.enrolment.Refused == sequence.ID {
		w.enrolment.Handled = status // who is barred is not put into it by a later opt-in
	}
	return nil
}

func quoted(text string) string {
	if len(text) > 60 {
		text = text[:60] + "…"
	}
	return "“" + strings.ToValidUTF8(text, "") + "”"
}

// mayEnrol says why consent lets the person into no sequence, or "": sequences
// both text and call.
func (d *Desk) mayEnrol(ctx context.Context, w *work) (string, error) {
	if w.facts.Barred != "" {
		return w.facts.Barred, nil
	}
	return d.barred(ctx, w.turn, consent.ChannelSMS)
}

// walk takes the steps to a sequence, or out of all for the zero one. Each is kept
// before it is made.
func (d *Desk) walk(ctx context.Context, w *work, to Sequence) error {
	for {
		started := d.Clock()
		switch w.enrolment.Next(to.ID) {
		case Rest:
			if to.ID != "" && w.enrolment.Refused == to.ID && !to.Optional {
				w.problems = append(w.problems, refusedSequence(to.ID))
			}
			return nil
		case Leave:
			if err := d.keepEnrolment(ctx, w, Enrolment{Handled: w.enrolment.Handled, In: w.enrolment.In, Leaving: true}); err != nil {
				return err
			}
			if err := d.dialer(to.ID == "").Disenroll(ctx, w.turn.Aloware.Phone()); err != nil {
				w.note(d, started, "error", "leave all sequences", err)
				return err
			}
			w.note(d, started, "success", "left all sequences", nil)
			w.enrolment = Enrolment{Handled: w.enrolment.Handled}
		case Enter:
			done, err := d.enter(ctx, w, to)
			if done || err != nil {
				return err
			}
		}
	}
}

func refusedSequence(id string) Problem {
	return Problem{UnknownSequence, "Aloware refuses to put the person into sequence " + id + "; check the id in ALOWARE_STATUS_TO_SEQUENCE"}
}

// enter puts the person into a sequence. An earlier try that got no answer shows
// by Aloware's refusing somebody who is in it already.
func (d *Desk) enter(ctx context.Context, w *work, to Sequence) (done bool, err error) {
	// What an event asks for is daily work. What nobody did just now comes from
	// a setting or a sweep, and may text everybody.
	if w.enrolment.Entering == "" && w.turn.EventID == "" {
		held, err := d.braked(ctx, w)
		if held || err != nil {
			return true, err
		}
		w.moved = true
	}
	if err := d.keepEnrolment(ctx, w, Enrolment{Handled: w.enrolment.Handled, Entering: to.ID}); err != nil {
		return true, err
	}
	started := d.Clock()
	err = d.Dialer.Enroll(ctx, w.turn.Aloware.Phone(), to.ID, false)
	outcome, _ := df.OutcomeOf(err)
	switch {
	case err == nil || alreadyIn(err):
		w.enrolment = Enrolment{Handled: w.enrolment.Handled, In: to.ID}
		w.note(d, started, "success", "entered sequence "+to.ID, nil)
	case outcome == df.Refused && !df.IsCode(err, df.CodeUnauthorized) && !df.IsCode(err, df.CodeRateLimited):
		w.enrolment = Enrolment{Handled: w.enrolment.Handled, Refused: to.ID}
		w.note(d, started, "error", "enter sequence "+to.ID, err)
		if !to.Optional {
			w.problems = append(w.problems, refusedSequence(to.ID))
		}
		return true, nil
	default:
		w.note(d, started, "error", "enter sequence "+to.ID, err)
		return true, err
	}
	barred, err := d.mayEnrol(ctx, w)
	if err == nil && barred == "" {
		return true, nil
	}
	if leaving := d.walk(ctx, w, Sequence{}); leaving != nil {
		return true, leaving
	}
	return true, err
}

func alreadyIn(err error) bool {
	return df.IsCode(err, df.CodeInvalid) && strings.Contains(strings.ToLower(err.Error()), "already")
}

// keepEnrolment writes how far the person's sequence has come before the next
// call.
func (d *Desk) keepEnrolment(ctx context.Context, w *work, e Enrolment) error {
	w.enrolment = e
	row := w.row
	if row.PersonID == "" {
		now := d.Clock()
		row = store.ListIntent{PersonID: w.turn.Person.ID, ContactID: w.turn.Person.GHLContactID, State: Failed,
			AlowareContactID: w.turn.Person.AlowareContactID, Detail: "under way", Facts: "{}", Intent: "{}", CreatedAt: now, UpdatedAt: now}
	}
	row.Sequence = written(e)
	return people.FromStore(d.Store.InTx(ctx, func(tx store.Tx) error {
		if err := w.guard(ctx, tx); err != nil {
			return err
		}
		return store.SaveListIntent(ctx, tx, row)
	}))
}
