package story

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Sweeps is the story of webhooks that never come.
func Sweeps() []Step {
	return []Step{
		{"Both systems lose their webhooks while people edit", "the drift report names every difference, and nothing else", differencesAreNamed},
		{"A sweep runs, and another one", "the differences are gone; the second sweep writes nothing", sweepAway},
	}
}

// drift is what the report says.
type drift struct {
	Data struct {
		People, Unexplained int
		LastRun             struct {
			ID, JobName, Status string
			FinishedAt          *time.Time
		}
	}
}

// run asks for a run and waits for its end.
func (s *Stage) run(ctx context.Context, job string) (drift, error) {
	var before, after drift
	if err := s.admin(ctx, http.MethodGet, "/api/admin/drift", &before); err != nil {
		return after, err
	}
	if err := s.adminBody(ctx, "/api/admin/reconcile-runs", `{"job":"`+job+`"}`); err != nil {
		return after, err
	}
	err := eventually(ctx, func() error {
		after = drift{}
		if err := s.admin(ctx, http.MethodGet, "/api/admin/drift", &after); err != nil {
			return err
		}
		last := after.Data.LastRun
		if last.ID == before.Data.LastRun.ID || last.JobName != job || last.FinishedAt == nil {
			return fmt.Errorf("the %s has not ended", job)
		}
		return nil
	})
	if last := after.Data.LastRun; err == nil && last.Status != "success" {
		err = fmt.Errorf("the %s ended with %s", job, last.Status)
	}
	return after, err
}

func (s *Stage) adminBody(ctx context.Context, path, body string) error {
	status, err := s.call(ctx, http.MethodPost, s.Server.WebURL()+path, http.Header{
		"X-Df-Admin-Secret": {s.AdminSecret}, "Content-Type": {"application/json"}}, []byte(body), nil)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("POST %s answered %d", path, status)
	}
	return err
}

// lostEdits is how many edits are made of which nobody tells.
const lostEdits = 8

func differencesAreNamed(ctx context.Context, s *Stage) (string, error) {
	if err := s.quiet(ctx); err != nil {
		return "", err
	}
	// What earlier steps left behind is swept first.
	if _, err := s.run(ctx, "sweep"); err != nil {
		return "", err
	}
	if err := s.reconciled(ctx); err != nil {
		return "", err
	}
	before, err := s.run(ctx, "measure")
	if err != nil {
		return "", err
	}
	s.World.PauseWebhooks()
	defer s.World.ResumeWebhooks()
	edited := 0
	for _, c := range s.World.GHL.Contacts() {
		there, ok := s.World.Aloware.Contact(c.Fields["phone"])
		if !ok || there.DNC || edited == lostEdits {
			continue
		}
		if edited%2 == 0 {
			err = s.World.GHL.EditContact(c.ID, map[string]string{"city": fmt.Sprint("Lost ", edited)})
		} else {
			err = s.World.Aloware.EditContact(there.Phone, map[string]string{"city": fmt.Sprint("Lost ", edited)})
		}
		if err != nil {
			return "", err
		}
		edited++
	}
	lost := s.World.DropPending()
	after, err := s.run(ctx, "measure")
	if err != nil {
		return "", err
	}
	if named := after.Data.Unexplained - before.Data.Unexplained; named != edited || edited == 0 {
		return "", fmt.Errorf("%d edits were lost, and %d differences are named", edited, named)
	}
	return fmt.Sprintf("%d webhooks lost, %d differences named", lost, edited), nil
}

func sweepAway(ctx context.Context, s *Stage) (string, error) {
	if _, err := s.run(ctx, "sweep"); err != nil {
		return "", err
	}
	if err := s.reconciled(ctx); err != nil {
		return "", err
	}
	after, err := s.run(ctx, "measure")
	if err != nil {
		return "", err
	}
	if after.Data.Unexplained != 0 {
		return "", fmt.Errorf("%d differences are left", after.Data.Unexplained)
	}
	before := s.writes()
	if _, err := s.run(ctx, "sweep"); err != nil {
		return "", err
	}
	if err := s.reconciled(ctx); err != nil {
		return "", err
	}
	if n := s.writes() - before; n > 0 {
		return "", fmt.Errorf("the second sweep wrote %d times", n)
	}
	for _, c := range s.World.GHL.Contacts() {
		if there, ok := s.World.Aloware.Contact(c.Fields["phone"]); ok && !there.DNC && there.Fields["city"] != c.Fields["city"] {
			return "", errors.New("somebody's city still differs")
		}
	}
	return "0 differences left, 0 writes by the second sweep", nil
}
