package story

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// Contacts is the story of two systems that hold the same people.
func Contacts() []Step {
	return []Step{
		{"A lead is created in GoHighLevel", "it is in Aloware a moment later", leadAppears},
		{"The dialer corrects the lead's name and city", "changes flow back, and only what differs", changeComesBack},
		{"A tag is added in GoHighLevel", "tags are sets, not texts", tagFollows},
		{"Both sides change the same field", "one rule decides, and the loser is on record", bothChange},
		{"Everybody has said everything", "our own echoes cause no further write", silence},
		{"40 people edit in a storm of lost calls, doubled and reordered webhooks", "both sides agree afterwards, nobody twice", storm},
		{"The server is killed while webhooks arrive", "what was answered is processed after the restart", crash},
		{"Everybody is reconciled again", "a system in agreement writes nothing", reconcile},
		{"The lead is deleted in GoHighLevel", "the dialer stops calling, nothing is resurrected", deleted},
	}
}

func leadAppears(ctx context.Context, s *Stage) (string, error) {
	contact, err := s.World.GHL.CreateContact(map[string]string{
		"firstName": "Dana", "lastName": "Reyes", "phone": "+15005550111", "email": "dana@example.test", "city": "Austin",
	}, "HOT")
	if err != nil {
		return "", err
	}
	s.lead = lead{contact.ID, "+15005550111"}
	start := time.Now()
	err = eventually(ctx, func() error {
		there, ok := s.World.Aloware.Contact(s.lead.phone)
		if !ok || there.Fields["first_name"] != "Dana" || there.Fields["email"] != "dana@example.test" {
			return errors.New("the lead is not in Aloware")
		}
		return nil
	})
	return fmt.Sprintf("in Aloware after %d ms", time.Since(start).Milliseconds()), err
}

func changeComesBack(ctx context.Context, s *Stage) (string, error) {
	if err := s.quiet(ctx); err != nil {
		return "", err
	}
	s.World.GHL.ForgetRequests()
	if err := s.World.Aloware.EditContact(s.lead.phone, map[string]string{"last_name": "Reyes-Ortiz", "city": "Dallas"}); err != nil {
		return "", err
	}
	err := eventually(ctx, func() error {
		c, _ := s.World.GHL.Contact(s.lead.ghlID)
		if c.Fields["lastName"] != "Reyes-Ortiz" || c.Fields["city"] != "Dallas" {
			return errors.New("GoHighLevel still has the old values")
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	for _, r := range s.World.GHL.Requests() {
		if r.Operation == "update contact" && strings.Contains(string(r.Body), "firstName") {
			return "", errors.New("the write carried a field that had not changed")
		}
	}
	return "written: last name and city, nothing else", nil
}

func tagFollows(ctx context.Context, s *Stage) (string, error) {
	if err := s.World.GHL.AddTags(s.lead.ghlID, "Follow Up"); err != nil {
		return "", err
	}
	err := eventually(ctx, func() error {
		c, _ := s.World.Aloware.Contact(s.lead.phone)
		if len(c.Tags) < 2 {
			return fmt.Errorf("the tags in Aloware are %v", c.Tags)
		}
		return nil
	})
	c, _ := s.World.Aloware.Contact(s.lead.phone)
	return "Aloware has " + strings.Join(c.Tags, ", "), err
}

func bothChange(ctx context.Context, s *Stage) (string, error) {
	if err := s.quiet(ctx); err != nil {
		return "", err
	}
	s.World.PauseWebhooks()
	if err := s.World.GHL.EditContact(s.lead.ghlID, map[string]string{"city": "Houston"}); err != nil {
		return "", err
	}
	if err := s.World.Aloware.EditContact(s.lead.phone, map[string]string{"city": "El Paso"}); err != nil {
		return "", err
	}
	s.World.ResumeWebhooks()
	err := eventually(ctx, func() error {
		c, _ := s.World.Aloware.Contact(s.lead.phone)
		if c.Fields["city"] != "Houston" {
			return fmt.Errorf("the city in Aloware is %q", c.Fields["city"])
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	var ledger struct {
		Data []struct {
			Field, Kind, Chosen, Value, Rule string
			Seen                             map[string]string
		}
	}
	err = eventually(ctx, func() error {
		if err := s.admin(ctx, http.MethodGet, "/api/admin/conflicts", &ledger); err != nil {
			return err
		}
		if len(ledger.Data) == 0 || ledger.Data[0].Seen["aloware"] != "El Paso" {
			return errors.New("the conflict is not on record")
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	k := ledger.Data[0]
	return fmt.Sprintf("%s: %s over %s, rule %s", k.Field, k.Value, k.Seen["aloware"], k.Rule), nil
}

func silence(ctx context.Context, s *Stage) (string, error) {
	if err := s.quiet(ctx); err != nil {
		return "", err
	}
	before := s.writes()
	counts, err := s.counts(ctx)
	if err != nil {
		return "", err
	}
	// Ask once more what would be said if there were anything left to say.
	if err := s.admin(ctx, http.MethodPost, "/api/sync/contacts?all=true", nil); err != nil {
		return "", err
	}
	if err := s.reconciled(ctx); err != nil {
		return "", err
	}
	if after := s.writes(); after != before {
		return "", fmt.Errorf("%d further writes", after-before)
	}
	return fmt.Sprintf("%d events received, %d writes in all, then none", counts["received"], before), nil
}

// reconciled waits until the convergences that were asked for are made.
func (s *Stage) reconciled(ctx context.Context) error {
	return eventually(ctx, func() error {
		var answer struct {
			Data struct{ WaitingLanes int }
		}
		if err := s.admin(ctx, http.MethodGet, "/api/admin/lanes", &answer); err != nil {
			return err
		}
		if answer.Data.WaitingLanes > 0 {
			return fmt.Errorf("%d lanes still have work", answer.Data.WaitingLanes)
		}
		return nil
	})
}

const crowd = 40

func crowdPhone(i int) string { return fmt.Sprintf("+1500555%04d", 2000+i) }

func storm(ctx context.Context, s *Stage) (string, error) {
	s.World.SetMischief(stage.Mischief{
		RateLimited: 0.05, ServerError: 0.05, LoseAnswer: 0.03, DoubleWebhooks: 0.5, ReorderWebhooks: 0.3, Normalise: true,
	})
	defer s.World.Behave()
	ids := make([]string, crowd)
	for i := range crowd {
		c, err := s.World.GHL.CreateContact(map[string]string{
			"firstName": fmt.Sprintf("Lead %d", i), "phone": crowdPhone(i), "email": fmt.Sprintf("lead%d@example.test", i),
		})
		if err != nil {
			return "", err
		}
		ids[i] = c.ID
	}
	var editing sync.WaitGroup
	for round := range 3 {
		for i := range crowd {
			editing.Go(func() {
				_ = s.World.GHL.EditContact(ids[i], map[string]string{"city": fmt.Sprintf("City %d", round)})
				_ = s.World.Aloware.EditContact(crowdPhone(i), map[string]string{"company_name": fmt.Sprintf("Firm %d", round)})
			})
		}
		editing.Wait()
	}
	if err := s.World.Settle(ctx); err != nil {
		return "", err
	}
	s.World.Behave()
	if err := s.agreed(ctx); err != nil {
		return "", err
	}
	counts, err := s.counts(ctx)
	return fmt.Sprintf("%d people agree after %d events", crowd, counts["received"]), err
}

// agreed waits until both sides hold the same people with the same values, and
// nobody twice. What a lost call left undone is retried meanwhile.
func (s *Stage) agreed(ctx context.Context) error {
	return eventually(ctx, func() error {
		contacts := s.World.GHL.Contacts()
		phones := map[string]bool{}
		for _, c := range contacts {
			phone := c.Fields["phone"]
			if phones[phone] {
				return errors.New("somebody is in GoHighLevel twice")
			}
			phones[phone] = true
			there, ok := s.World.Aloware.Contact(phone)
			if !ok {
				return errors.New("somebody is missing in Aloware")
			}
			for ghl, aloware := range map[string]string{"firstName": "first_name", "email": "email", "city": "city"} {
				if !strings.EqualFold(c.Fields[ghl], there.Fields[aloware]) {
					return fmt.Errorf("somebody's %s differs", ghl)
				}
			}
		}
		if n := len(s.World.Aloware.Contacts()); n != len(contacts) {
			return fmt.Errorf("%d people in GoHighLevel, %d in Aloware", len(contacts), n)
		}
		return nil
	})
}

func crash(ctx context.Context, s *Stage) (string, error) {
	if err := s.quiet(ctx); err != nil {
		return "", err
	}
	contacts := s.World.GHL.Contacts()
	for i, c := range contacts {
		if err := s.World.GHL.EditContact(c.ID, map[string]string{"state": "TX", "postalCode": fmt.Sprint(75000 + i)}); err != nil {
			return "", err
		}
		if i == len(contacts)/2 {
			if err := s.Server.Kill(); err != nil {
				return "", err
			}
		}
	}
	down := time.Now()
	if err := s.Server.Start(ctx); err != nil {
		return "", err
	}
	back := time.Since(down)
	if err := s.quiet(ctx); err != nil {
		return "", err
	}
	err := eventually(ctx, func() error {
		for _, c := range contacts {
			if there, _ := s.World.Aloware.Contact(c.Fields["phone"]); there.Fields["state"] != "TX" {
				return errors.New("somebody's edit did not arrive")
			}
		}
		return nil
	})
	return fmt.Sprintf("all %d edits arrived; back after %d ms", len(contacts), back.Milliseconds()), err
}

func reconcile(ctx context.Context, s *Stage) (string, error) {
	if err := s.quiet(ctx); err != nil {
		return "", err
	}
	before := s.writes()
	var asked struct{ Data struct{ People int } }
	if err := s.admin(ctx, http.MethodPost, "/api/sync/contacts?all=true", &asked); err != nil {
		return "", err
	}
	if err := s.reconciled(ctx); err != nil {
		return "", err
	}
	if after := s.writes(); after != before {
		return "", fmt.Errorf("%d writes", after-before)
	}
	return fmt.Sprintf("%d people, 0 writes", asked.Data.People), nil
}

func deleted(ctx context.Context, s *Stage) (string, error) {
	if err := s.World.GHL.DeleteContact(s.lead.ghlID); err != nil {
		return "", err
	}
	err := eventually(ctx, func() error {
		if c, ok := s.World.Aloware.Contact(s.lead.phone); !ok || !c.DNC {
			return errors.New("the dialer may still call")
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	// A late edit in the dialer must not bring the contact back.
	if err := s.World.Aloware.EditContact(s.lead.phone, map[string]string{"city": "Waco"}); err != nil {
		return "", err
	}
	if err := s.quiet(ctx); err != nil {
		return "", err
	}
	if len(s.World.GHL.ByPhone(s.lead.phone)) > 0 {
		return "", errors.New("the deleted contact came back")
	}
	return "do-not-call in Aloware, still gone in GoHighLevel", nil
}
