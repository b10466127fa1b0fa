package converge

import (
	"context"
	"testing"

	"github.com/df-middleware/dfm/internal/df"
)

// fakeFollower notes what it is shown. It asks for opportunities.
type fakeFollower struct {
	followed []Result
	fails    error
}

func (f *fakeFollower) Asks(e df.Event) bool { return e.Notice.Kind == df.KindOpportunity }

func (f *fakeFollower) Follow(_ context.Context, _ Lease, result Result, _ []df.Event) error {
	f.followed = append(f.followed, result)
	return f.fails
}

func TestAFollowerSeesWhatAConvergenceSawOnceForATurn(t *testing.T) {
	w := linked(t)
	f := &fakeFollower{}
	w.h.Followers = append(w.h.Followers, f)
	deal := event("2", df.SourceGHL, df.KindOpportunity, "g1", "")
	if got := w.handle(t, "ghl:g1", deal)[0]; got.MoveTo != "person:p" {
		t.Fatalf("an event that only the follower asks for is not sent to its person: %+v", got)
	}
	for _, o := range w.handle(t, "person:p", event("1", df.SourceGHL, df.KindContactUpdated, "g1", annPhone), deal) {
		if o.Status != df.Done {
			t.Errorf("outcome %+v", o)
		}
	}
	if len(f.followed) != 1 || f.followed[0].Seen[df.SideGHL].ID != "g1" || f.followed[0].Seen[df.SideAloware].ID != "7" {
		t.Errorf("followed %+v", f.followed)
	}
}

// What follows and fails is tried again with the events that asked for it; a text
// that waits in the same turn is none of them.
func TestAFollowersFailureIsTheTurnsToTryAgain(t *testing.T) {
	w := linked(t)
	f := &fakeFollower{fails: &df.CallError{Upstream: "aloware", Outcome: df.RetryLater, Code: df.CodeUnavailable}}
	w.h.Followers = append(w.h.Followers, f)
	withEffects(w)
	got, err := w.h.Handle(t.Context(), Lease{Lane: "person:p"}, []df.Event{text("1"), event("2", df.SourceGHL, df.KindContactUpdated, "g1", annPhone)}, 0)
	if err != nil || len(got) != 2 || got[0].Status != df.Done || got[1].Status != df.Failed {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := w.h.Handle(t.Context(), Lease{Lane: "person:p"}, nil, 1); !df.IsCode(err, df.CodeUnavailable) {
		t.Errorf("a nudge that failed counts as answered: %v", err)
	}
	if got := w.handle(t, "person:p", text("3")); got[0].Status != df.Done || len(f.followed) != 2 {
		t.Errorf("a text alone: %+v, followed %d times", got, len(f.followed))
	}
}
