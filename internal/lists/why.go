package lists

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// Standing is everything that decides whether a person is on lists, as of now.
type Standing struct {
	Decided bool // whether anything was ever decided about the person
	State   string
	Detail  string
	Version int64  // of the rules in force
	Run     string // the run by which the brake waits for approval, if it does
	Facts   Facts
	Intent  Intent // what the rules in force say of the facts now
	Holding Holding
	// Contact says that the person has a contact at Aloware that can be listed.
	Contact   bool
	Apply     bool // ENABLE_POWER_DIALER_LISTS
	Enrolment Enrolment
	Sequences Sequences
}

// StandingOf reads it. The rules are asked anew over the facts that are kept, and
// so is the gate; a gate that cannot be asked leaves what consent said before.
func (d *Desk) StandingOf(ctx context.Context, p people.Person) (Standing, error) {
	s := Standing{Apply: d.Apply && d.Dialer != nil, Sequences: d.Sequences, Contact: p.AlowareContactID != "" && p.Phone != ""}
	row, err := store.ListIntentOf(ctx, d.Store, p.ID)
	if errors.Is(err, store.ErrNotFound) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	var before Intent
	if err := errors.Join(read(row.Facts, &s.Facts), read(row.Sequence, &s.Enrolment), read(row.Intent, &before)); err != nil {
		return s, err
	}
	setup, version, err := d.Setup(ctx)
	if err != nil {
		return s, err
	}
	if barred, err := d.barred(ctx, Turn{Person: p}, consent.ChannelList); err == nil {
		s.Facts.Barred = barred
	}
	s.Decided, s.State, s.Detail, s.Version = true, row.State, row.Detail, version
	s.Intent = Desired(s.Facts, setup, d.Clock())
	s.Intent.Refused = before.Refused
	if _, s.Holding, err = d.held(ctx, p.AlowareContactID, p); err != nil || row.State != Braked {
		return s, err
	}
	run, err := store.WaitingListRun(ctx, d.Store, RunBrake)
	s.Run = run.ID
	return s, ignoreMissing(err)
}

// Why says which conditions decide that the person is, or is not, on a list. It is
// a pure function.
func (s Standing) Why() []df.Check {
	if !s.Decided {
		return []df.Check{{Code: "lists.undecided", State: df.Waits, Rule: "first convergence",
			Detail: "nothing is decided yet: lists are decided when the person converges and GoHighLevel shows the contact"}}
	}
	checks := append([]df.Check{s.agent()}, s.said()...)
	checks = append(checks, s.off()...)
	checks = append(checks, s.wanted()...)
	return append(checks, s.sequence()...)
}

func (s Standing) agent() df.Check {
	if agent := s.Intent.Agent; agent.Key != "" {
		return df.Check{Code: "lists.agent", State: df.Passes, Rule: "agent by " + agent.By, Detail: "the agent is " + agent.Key}
	}
	return df.Check{Code: "lists." + firstText(s.Intent.Agent.Kind, UnknownAgent), State: df.Fails, Rule: "agent resolution", Detail: s.Intent.Agent.Problem}
}

// said is what each rule said. A rule that does not apply fails nobody: another
// may ask for a list.
func (s Standing) said() []df.Check {
	var checks []df.Check
	for _, said := range s.Intent.Said {
		check := df.Check{Code: "lists.rule", State: df.Note, Rule: said.Rule, Detail: "does not apply: " + said.Why, Evidence: s.rules()}
		if said.Applies {
			check.State, check.Detail = df.Passes, "applies: "+said.Why
		}
		checks = append(checks, check)
	}
	return checks
}

func (s Standing) rules() []df.Evidence {
	return []df.Evidence{{Kind: "rules", ID: strconv.FormatInt(s.Version, 10)}}
}

// off is which lists the person is kept off. It only fails who is left on none.
func (s Standing) off() []df.Check {
	state := df.Note
	if len(s.Intent.Wanted) == 0 {
		state = df.Fails
	}
	var checks []df.Check
	for _, off := range s.Intent.NotOn {
		check := df.Check{Code: "lists.kept_off", State: state, Rule: off.Rule, Detail: "not on " + off.ListKey + ": " + off.Why}
		switch off.Rule {
		case "consent":
			check.Code = "lists.consent"
		case "registry":
			check.Code = "lists." + UnknownList
		default:
			check.Evidence = s.rules()
		}
		checks = append(checks, check)
	}
	if len(s.Intent.NotOn) == 0 && len(s.Intent.Wanted) == 0 && !s.Intent.Leave {
		checks = append(checks, df.Check{Code: "lists.no_rule", State: df.Fails, Rule: "the table of rules", Detail: "no rule asks for a list", Evidence: s.rules()})
	}
	return checks
}

// wanted is how far each wanted list was brought about.
func (s Standing) wanted() []df.Check {
	var checks []df.Check
	possible := s.Intent.possible()
	for _, m := range s.Intent.Wanted {
		check := df.Check{Code: "lists.on", State: df.Passes, Rule: m.Rule, Evidence: s.rules()}
		name, on := ListName(m.AgentKey, m.ListKey), slices.IndexFunc(s.Holding.Lists, func(h Held) bool { return h.ListID == m.ListID })
		switch {
		case slices.Contains(s.Intent.Refused, m.ListID):
			check.Code, check.State, check.Detail = "lists.refused", df.Note, "Aloware refuses the id of "+name
			if len(possible) == 0 {
				check.State = df.Fails
			}
		case on >= 0 && !s.Holding.Lists[on].Unsure:
			check.Detail = "is on " + name
		default:
			check.Detail = "is to be on " + name
			if on >= 0 {
				check.Detail += "; a call to put the person there got no answer"
			}
		}
		checks = append(checks, check)
	}
	if Diff(s.Holding, possible).Empty() || len(possible) == 0 {
		return checks
	}
	return append(checks, s.hindered())
}

// hindered says what keeps a change from being made that the rules ask for. The
// order is that of bring.
func (s Standing) hindered() df.Check {
	switch {
	case !s.Apply:
		return df.Check{Code: "lists.apply", State: df.Fails, Rule: "ENABLE_POWER_DIALER_LISTS", Detail: "the setting is off, so nothing is sent to Aloware"}
	case !s.Contact:
		return df.Check{Code: "lists.contact", State: df.Fails, Rule: "mapping", Detail: "the person has no contact at Aloware that could be listed"}
	case s.State == Braked:
		check := df.Check{Code: "lists.brake", State: df.Waits, Rule: "the brake", Detail: s.Detail}
		if s.Run != "" {
			check.Evidence = []df.Evidence{{Kind: "run", ID: s.Run}}
		}
		return check
	case s.State == Blocked:
		return df.Check{Code: "lists.blocked", State: df.Fails, Rule: "too many tries", Detail: s.Detail}
	case s.State == Failed:
		return df.Check{Code: "lists.failed", State: df.Waits, Rule: "tried again", Detail: s.Detail}
	}
	return df.Check{Code: "lists.next", State: df.Waits, Rule: "next convergence", Detail: "the next convergence of the person brings it about"}
}

// sequence is how the person stands with sequences, which decide no list.
func (s Standing) sequence() []df.Check {
	status, rule := s.Facts.ListStatus, "ALOWARE_STATUS_TO_SEQUENCE"
	check := df.Check{Code: "sequence", State: df.Note, Rule: rule}
	wanted, known := s.Sequences[status]
	switch {
	case s.Sequences == nil:
		check.Rule, check.Detail = "ENABLE_ALOWARE_SEQUENCES", "the setting is off, so nobody is put into a sequence"
	case s.Facts.Barred != "":
		check.Rule, check.Detail = "consent", "in no sequence: "+s.Facts.Barred
	case status == "":
		check.Detail = "the person has no status in Aloware that asks for a sequence"
	case !known:
		check.Detail = "no sequence is set for the status " + quoted(status)
	case s.Enrolment.Refused == wanted.ID:
		check.Detail = "Aloware refuses to put the person into sequence " + wanted.ID
	case s.Enrolment.In == wanted.ID:
		check.Detail = "in sequence " + wanted.ID + ", by the status " + quoted(status)
	case s.Enrolment.Leaving, s.Enrolment.Entering != "":
		check.Detail = strings.TrimSpace("a call about sequence " + s.Enrolment.Entering + " got no answer; it is looked up")
	case status == s.Enrolment.Handled:
		check.Detail = "the status " + quoted(status) + " was handled before, and the person is in no sequence of ours"
	default:
		check.Detail = "is to enter sequence " + wanted.ID + " at the next convergence"
	}
	return []df.Check{check}
}
