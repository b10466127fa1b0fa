package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

func TestTextsAreFilteredAndPagedNewestFirst(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		for i := range 5 {
			at := noon.Add(time.Duration(i) * time.Minute)
			m := store.Message{ID: fmt.Sprintf("m%d", i), PersonID: "p", From: "+15005550111", To: "+15005550199", Direction: "inbound", CreatedAt: at, UpdatedAt: at}
			if i == 4 {
				m.PersonID, m.From, m.To = "q", "+15005550199", "+15005550112"
			}
			inTx(t, s, func(tx store.Tx) error { return store.SaveMessage(t.Context(), tx, m) })
		}
		for name, test := range map[string]struct {
			filter store.MessageFilter
			want   string
		}{
			"all, a page":  {store.MessageFilter{Limit: 2}, "m4 m3 "},
			"the next":     {store.MessageFilter{Limit: 2, Before: "m3"}, "m2 m1 "},
			"a person's":   {store.MessageFilter{Limit: 9, PersonID: "q"}, "m4 "},
			"to a number":  {store.MessageFilter{Limit: 9, Phone: "+15005550112"}, "m4 "},
			"either end":   {store.MessageFilter{Limit: 9, Phone: "+15005550199"}, "m4 m3 m2 m1 m0 "},
			"in some time": {store.MessageFilter{Limit: 9, From: noon.Add(time.Minute), Until: noon.Add(3 * time.Minute)}, "m2 m1 "},
		} {
			got, err := s.Messages(t.Context(), test.filter)
			ids := ""
			for _, m := range got {
				ids += m.ID + " "
			}
			if err != nil || ids != test.want {
				t.Errorf("%s: %q, %v", name, ids, err)
			}
		}
	})
}
