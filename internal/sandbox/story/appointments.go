package story

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Appointments is the story of what is booked and comes to nothing.
func Appointments() []Step {
	return []Step{
		{"An appointment is booked, moved, and nobody comes", "one appointment with its history, not three of the same", nobodyComes},
	}
}

func nobodyComes(ctx context.Context, s *Stage) (string, error) {
	contact, err := s.World.GHL.CreateContact(map[string]string{"firstName": "Noor", "phone": "+15005550187"})
	if err != nil {
		return "", err
	}
	start := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Hour)
	booked, err := s.World.GHL.Book(contact.ID, "Visit", start)
	if err != nil {
		return "", err
	}
	for _, change := range []func() error{
		func() error { return s.World.GHL.Reschedule(booked.ID, start.Add(24*time.Hour)) },
		func() error { return s.World.GHL.SetAppointmentStatus(booked.ID, "noshow") },
	} {
		if err := s.quiet(ctx); err != nil {
			return "", err
		}
		if err := change(); err != nil {
			return "", err
		}
	}
	if err := s.quiet(ctx); err != nil {
		return "", err
	}
	var answer struct {
		Data []struct {
			ID, Status string
			History    []struct{ What string }
		}
	}
	if err := s.admin(ctx, http.MethodGet, "/api/admin/appointments", &answer); err != nil {
		return "", err
	}
	if len(answer.Data) != 1 || answer.Data[0].ID != booked.ID || answer.Data[0].Status != "no-show" {
		return "", fmt.Errorf("%+v", answer.Data)
	}
	var acts []string
	for _, act := range answer.Data[0].History {
		acts = append(acts, act.What)
	}
	history := strings.Join(acts, ", ")
	if !strings.Contains(history, "rescheduled") {
		return "", errors.New(history)
	}
	return history, nil
}
