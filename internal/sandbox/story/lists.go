package story

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Lists is the story of a lead who goes from list to list, from agent to agent,
// and then says stop.
func Lists() []Step {
	return []Step{
		{"The agents are read from GoHighLevel and Aloware", "matched by whole e-mail addresses; two users with one address are left to a person", agentsSeeded},
		{"A lead is dragged to the stage \"Hot\"", "the dialer has the lead on the agent's list", stageMoves},
		{"The lead is given to another agent", "lists and owner move along, and no list is lost on the way", reassigned},
		{"The lead texts STOP to the dialer, and everybody tries to call anyway", "off every list; no tag, stage, agent or rebuild puts the lead back", offAllLists},
	}
}

// The users of the demo's two systems, and their lists. The third person has one
// address for two users.
const (
	listLead   = "+15005550181"
	alowareEli = 502
	danaNew    = 8101
	danaHot    = 8102
	eliNew     = 8201
	eliHot     = 8202
)

// tell posts JSON to the admin API.
func (s *Stage) tell(ctx context.Context, path string, body, to any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	header := http.Header{"X-Df-Admin-Secret": {s.AdminSecret}, "Content-Type": {"application/json"}}
	status, err := s.call(ctx, http.MethodPost, s.Server.WebURL()+path, header, bytes.Clone(raw), to)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("POST %s answered %d", path, status)
	}
	return err
}

func agentsSeeded(ctx context.Context, s *Stage) (string, error) {
	var seed struct {
		Data struct {
			Created   []struct{ AgentKey string }
			Ambiguous []struct{ Email string }
		}
	}
	if err := s.tell(ctx, "/api/admin/agents/seed", map[string]any{}, &seed); err != nil {
		return "", err
	}
	if len(seed.Data.Created) != 2 || len(seed.Data.Ambiguous) != 1 {
		return "", fmt.Errorf("seeded %+v", seed.Data)
	}
	for _, list := range []struct {
		agent, key string
		id         int
	}{{"DANA_REYES", "NEW_LEADS", danaNew}, {"DANA_REYES", "HOT", danaHot}, {"ELI_STONE", "NEW_LEADS", eliNew}, {"ELI_STONE", "HOT", eliHot}} {
		err := s.tell(ctx, "/api/admin/lists", map[string]any{"agentKey": list.agent, "listKey": list.key, "alowareListId": fmt.Sprint(list.id)}, nil)
		if err != nil {
			return "", err
		}
	}
	return "2 agents; 1 address left alone", nil
}

// listed waits until the lead is on exactly these lists.
func (s *Stage) listed(ctx context.Context, want ...int64) error {
	slices.Sort(want)
	return eventually(ctx, func() error {
		c, ok := s.World.Aloware.Contact(listLead)
		if !ok || !slices.Equal(c.Lists, want) {
			return fmt.Errorf("on the lists %v instead of %v", c.Lists, want)
		}
		return nil
	})
}

func stageMoves(ctx context.Context, s *Stage) (string, error) {
	contact, err := s.World.GHL.CreateContact(map[string]string{"firstName": "Lea", "phone": listLead, "assignedTo": "user_dana"})
	if err != nil {
		return "", err
	}
	if err := s.listed(ctx, danaNew); err != nil {
		return "", err
	}
	start := time.Now()
	if _, err := s.World.GHL.OpenOpportunity(contact.ID, "Hot"); err != nil {
		return "", err
	}
	err = s.listed(ctx, danaNew, danaHot)
	return fmt.Sprintf("on Dana's HOT list after %d ms", time.Since(start).Milliseconds()), err
}

// leadID finds the lead in GoHighLevel.
func (s *Stage) leadID() (string, error) {
	found := s.World.GHL.ByPhone(listLead)
	if len(found) != 1 {
		return "", fmt.Errorf("%d contacts have the number", len(found))
	}
	return found[0].ID, nil
}

func reassigned(ctx context.Context, s *Stage) (string, error) {
	id, err := s.leadID()
	if err != nil {
		return "", err
	}
	if err := s.World.GHL.EditContact(id, map[string]string{"assignedTo": "user_eli"}); err != nil {
		return "", err
	}
	if err := s.listed(ctx, eliNew, eliHot); err != nil {
		return "", err
	}
	err = eventually(ctx, func() error {
		if c, _ := s.World.Aloware.Contact(listLead); c.UserID != alowareEli {
			return errors.New("the dialer still has the old owner")
		}
		return nil
	})
	return "from Dana's two lists to Eli's two", err
}

func offAllLists(ctx context.Context, s *Stage) (string, error) {
	id, err := s.leadID()
	if err != nil {
		return "", err
	}
	if err := s.World.Aloware.ReceiveText(listLead, "STOP"); err != nil {
		return "", err
	}
	if err := s.listed(ctx); err != nil {
		return "", err
	}
	if err := s.World.GHL.AddTags(id, "CALL_NOW", "HOT"); err != nil {
		return "", err
	}
	if err := s.World.GHL.EditContact(id, map[string]string{"assignedTo": "user_dana"}); err != nil {
		return "", err
	}
	if err := s.quiet(ctx); err != nil {
		return "", err
	}
	if err := s.tell(ctx, "/api/admin/lists/rebuild", map[string]any{"dryRun": false, "force": true}, nil); err != nil {
		return "", err
	}
	if err := s.reconciled(ctx); err != nil {
		return "", err
	}
	return "on no list; each attempt is kept with its reason", s.listed(ctx)
}
