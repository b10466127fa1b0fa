package story

import (
	"context"
	"errors"
	"fmt"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// Verity is the story of what is passed on to Verity, and of what it tells.
func Verity() []Step {
	return []Step{
		{"A contact changes while Verity is down", "the webhook is passed on later, byte for byte, and holds back nobody", forwardedLate},
		{"Verity tells three times of one broadcast", "one record in GoHighLevel with the newest figures, no rate above 1", broadcast},
	}
}

func forwardedLate(ctx context.Context, s *Stage) (string, error) {
	before := len(s.World.Verity.Forwards())
	s.World.Verity.Next("forward webhook", stage.ServerError)
	if _, err := s.World.GHL.CreateContact(map[string]string{"firstName": "Vera", "phone": "+15005550186"}); err != nil {
		return "", err
	}
	if err := s.quiet(ctx); err != nil {
		return "", err
	}
	err := eventually(ctx, func() error {
		var answer struct{ Data []struct{ Status string } }
		if err := s.admin(ctx, "GET", "/api/admin/forwards?limit=500", &answer); err != nil {
			return err
		}
		for _, forward := range answer.Data {
			if forward.Status != "done" {
				return errors.New("a forward is " + forward.Status)
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	forwards := s.World.Verity.Forwards()[before:]
	for _, forward := range forwards {
		if !forward.Verified {
			return "", errors.New("a signature does not fit its bytes")
		}
	}
	if len(forwards) == 0 {
		return "", errors.New("nothing was passed on")
	}
	return fmt.Sprintf("%d webhooks passed on since, all signed", len(forwards)), nil
}

func broadcast(ctx context.Context, s *Stage) (string, error) {
	const id = "spring-mailing"
	s.World.Verity.SetAnalytics(id, map[string]any{"name": "Spring mailing", "channel": "sms", "recipients": 100, "sent": 80, "delivered": 60,
		"responses": 30, "appointments": 40})
	s.World.Verity.PostBroadcast("analytics_updated", id, map[string]any{"sent": 10, "delivered": 9})
	s.World.Verity.PostBroadcast("analytics_updated", id, map[string]any{"sent": 50, "delivered": 40})
	s.World.Verity.PostBroadcast("broadcast_completed", id, nil)
	if err := s.quiet(ctx); err != nil {
		return "", err
	}
	records := s.World.GHL.Records("custom_objects.broadcasts")
	if len(records) != 1 {
		return "", fmt.Errorf("%d records", len(records))
	}
	p := records[0].Properties
	got := fmt.Sprintf("sent %v, delivered %v, conversion %v", p["sent"], p["delivery_rate"], p["conversion_rate"])
	if got != "sent 80, delivered 0.75, conversion 1" {
		return "", errors.New(got)
	}
	return "one record: " + got, nil
}
