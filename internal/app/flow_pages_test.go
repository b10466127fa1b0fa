package app

import (
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
	"github.com/df-middleware/dfm/internal/store"
)

func TestThePagesOfWhatFlowsShowItAndAct(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		b := w.visitor(t)
		holds(t, b.get("/broadcasts", 200), "No broadcast yet")
		holds(t, b.get("/appointments", 200), "None yet")
		w.says("hello")
		c := w.contact(t)
		settle(t, w.World, w.app)
		if _, err := w.GHL.Book(c.ID, "Visit <b>", time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := w.GHL.OpenOpportunity(c.ID, w.GHL.Settings().Pipelines[0].Stages[0].Name); err != nil {
			t.Fatal(err)
		}
		w.Verity.PostBroadcast("analytics_updated", "b1", map[string]any{"name": "Spring", "sent": 4, "delivered": 3})
		settle(t, w.World, w.app)
		holds(t, b.get("/broadcasts", 200), "Spring", "75.0 % delivered", "Ask anew")
		holds(t, b.post("/broadcasts/b1/refresh", 200, url.Values{}), "Its figures are asked for.")
		holds(t, b.get("/appointments", 200), "Visit &lt;b&gt;", "booked")
		holds(t, b.get("/appointments?kind=opportunity", 200), "open", w.GHL.Settings().Pipelines[0].Stages[0].Name)

		w.Verity.SetMischief(stage.Mischief{Operations: []string{"forward webhook"}, ServerError: 1})
		if err := w.GHL.EditContact(c.ID, map[string]string{"city": "Oslo"}); err != nil {
			t.Fatal(err)
		}
		var id string
		eventually(t, 10*time.Second, func() error {
			rows, err := w.app.store.Forwards(t.Context(), store.ForwardFilter{Status: store.ForwardFailed, Limit: 1})
			if err == nil && len(rows) == 1 {
				id = rows[0].EventID
				return nil
			}
			return errors.New("no forward has failed yet")
		})
		if err := w.app.forwardTask().Run(t.Context(), id, true); err == nil {
			t.Error("no error")
		}
		holds(t, b.get("/forwards?status=given_up", 200), "Pass on again", id)
		w.Verity.SetMischief(stage.Mischief{})
		holds(t, b.post("/forwards/"+id+"/retry", 200, url.Values{}), "It will be passed on again.")
		b.get("/forwards?status=odd", 400)
	})
}
