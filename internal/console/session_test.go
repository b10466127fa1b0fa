package console

import (
	"crypto/rand"
	"errors"
	"testing"
	"testing/iotest"
	"time"
)

func TestSessionsAreBoundedAndTheOldestGoes(t *testing.T) {
	now := time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	s := newSessions(func() time.Time { return now }, rand.Reader)
	var ids []string
	for range sessionMost + 1 {
		now = now.Add(time.Millisecond)
		id, err := s.begin("admin")
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if _, ok := s.find(ids[0]); ok || len(s.byID) != sessionMost {
		t.Errorf("%d sessions, the oldest among them: %v", len(s.byID), ok)
	}
	if one, ok := s.find(ids[sessionMost]); !ok || one.actor != "admin" || one.csrf == "" || one.csrf == ids[sessionMost] {
		t.Errorf("the newest: %+v, %v", one, ok)
	}
	now = now.Add(sessionTime)
	if _, err := s.begin("admin"); err != nil || len(s.byID) != 1 {
		t.Errorf("%d sessions after all have expired, %v", len(s.byID), err)
	}
}

func TestNoticesAreHeardOnceAndOnlyByTheirSession(t *testing.T) {
	s := newSessions(time.Now, rand.Reader)
	mine, err := s.begin("admin")
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.begin("admin")
	if err != nil {
		t.Fatal(err)
	}
	s.say(mine, "saved")
	s.say("nobody", "lost")
	if s.hear(other) != "" || s.hear(mine) != "saved" || s.hear(mine) != "" || s.hear("nobody") != "" {
		t.Error("a notice was heard by somebody else, twice or never")
	}
}

func TestWithoutRandomnessThereIsNoSession(t *testing.T) {
	dry := errors.New("dry")
	s := newSessions(time.Now, iotest.ErrReader(dry))
	if _, err := s.begin("admin"); !errors.Is(err, dry) || len(s.byID) != 0 {
		t.Errorf("%v", err)
	}
}
