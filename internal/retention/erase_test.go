package retention

import (
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

func TestAnErasureIsCountedFirstAndAudited(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		err := s.InTx(ctx, func(tx store.Tx) error {
			return store.InsertPerson(ctx, tx, store.Person{ID: "person", GHLContactID: "C1", Phone: "+15005550111", Status: "active", CreatedAt: noon, UpdatedAt: noon})
		})
		if err != nil {
			t.Fatal(err)
		}
		eraser := Eraser{Store: s, Clock: func() time.Time { return noon }, Random: rand.Reader}
		counted, err := eraser.Count(ctx, "person")
		if err != nil || counted.People != 1 || counted.Numbers != 1 {
			t.Fatalf("%+v, %v", counted, err)
		}
		if _, err := eraser.Erase(ctx, "person", "kim", " "); !errors.Is(err, ErrReason) {
			t.Errorf("without a reason: %v", err)
		}
		done, err := eraser.Erase(ctx, "person", "kim", "asked by letter of 3 May")
		if err != nil || fmt.Sprint(done) != fmt.Sprint(counted) {
			t.Errorf("counted %+v, erased %+v, %v", counted, done, err)
		}
		audit, err := s.AuditLog(ctx, 0, 9)
		if err != nil || len(audit) != 1 || audit[0].Actor != "kim" || audit[0].Target != "person" || audit[0].Details["reason"] == nil {
			t.Errorf("%+v, %v", audit, err)
		}
		for _, again := range []func() (Erasure, error){
			func() (Erasure, error) { return eraser.Count(ctx, "person") },
			func() (Erasure, error) { return eraser.Erase(ctx, "person", "kim", "again") },
		} {
			if _, err := again(); !errors.Is(err, ErrNobody) {
				t.Errorf("again: %v", err)
			}
		}
	})
}
