package people_test

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
)

// D-91: a phone change made a second contact and lost the old number.
func TestRekeyKeepsTheOldNumber(t *testing.T) {
	p := people.Rekey(people.Person{Phone: ann, OtherPhones: []df.Phone{bob}}, bob)
	if p.Phone != bob || !slices.Equal(p.OtherPhones, []df.Phone{ann}) {
		t.Errorf("rekeyed to %v with %v", p.Phone, p.OtherPhones)
	}
	if same := people.Rekey(p, ""); same.Phone != bob {
		t.Errorf("a cleared phone made the person unreachable")
	}
	for _, phone := range []df.Phone{ann, bob} {
		if !p.Knows(phone) {
			t.Errorf("does not know %v", phone)
		}
	}
}

func TestRekeyNeverForgetsANumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		phones := rapid.SliceOf(rapid.SampledFrom([]df.Phone{"", ann, bob, carol})).Draw(t, "phones")
		p := people.Person{}
		for _, phone := range phones {
			before := slices.Clone(p.OtherPhones)
			q := people.Rekey(p, phone)
			if !slices.Equal(before, p.OtherPhones) {
				t.Fatal("the given row was changed")
			}
			p = q
		}
		for _, phone := range phones {
			if phone != "" && !p.Knows(phone) {
				t.Fatalf("forgot %v: %+v", phone, p)
			}
		}
		if slices.Contains(p.OtherPhones, p.Phone) || !slices.IsSorted(p.OtherPhones) {
			t.Fatalf("phones %v beside %v", p.OtherPhones, p.Phone)
		}
	})
}

func TestMergeTakesOnlyWhatTheWinnerLacks(t *testing.T) {
	winner := people.Person{ID: "w", Status: people.Active, GHLContactID: "g1", Phone: ann}
	loser := people.Person{ID: "l", Status: people.Active, GHLContactID: "g2", AlowareContactID: "7", Phone: bob, Email: "bob@example.test"}
	w, l, err := people.Merge(winner, loser, noon, "test")
	if err != nil {
		t.Fatal(err)
	}
	if w.GHLContactID != "g1" || w.AlowareContactID != "7" || w.Phone != ann || !w.Knows(bob) || w.Email != "bob@example.test" {
		t.Errorf("winner %+v", w)
	}
	if l.Status != people.Ended || l.MergedInto != "w" || l.GHLContactID != "g2" {
		t.Errorf("loser %+v", l)
	}
	for _, test := range []struct {
		w, l people.Person
		err  error
	}{
		{winner, winner, people.ErrSamePerson},
		{winner, l, people.ErrEnded},
		{people.Person{ID: "w", Status: people.Active, ApartFrom: []string{"l"}}, loser, people.ErrApart},
	} {
		if _, _, err := people.Merge(test.w, test.l, noon, ""); !errors.Is(err, test.err) {
			t.Errorf("error %v, want %v", err, test.err)
		}
	}
}

func TestMergeAndSplitAreUndone(t *testing.T) {
	rows := []people.Person{
		{ID: "w", GHLContactID: "g1", Phone: ann},
		{ID: "l", AlowareContactID: "7", Phone: bob, OtherPhones: []df.Phone{carol}},
		{ID: "both", GHLContactID: "g3", AlowareContactID: "9", Phone: "+12025550104", OtherPhones: []df.Phone{"+12025550105"}},
	}
	changes := map[string]func(*people.Directory) error{
		"merge": func(d *people.Directory) error {
			_, _, err := d.Merge(t.Context(), people.Lease{}, "w", "l", "operator", "same human")
			return err
		},
		"split": func(d *people.Directory) error {
			_, _, err := d.Split(t.Context(), people.Lease{}, "both", people.Part{Side: df.SideAloware, Phones: []df.Phone{"+12025550104"}}, "operator", "two humans")
			return err
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			d, r := directory(t, rows...)
			if err := change(d); err != nil {
				t.Fatal(err)
			}
			undo := slices.Collect(maps.Keys(r.undos))
			if len(undo) != 1 {
				t.Fatalf("undo records %v", undo)
			}
			if err := d.Revert(t.Context(), people.Lease{}, undo[0], "operator"); err != nil {
				t.Fatal(err)
			}
			for _, before := range rows {
				after := r.rows[before.ID]
				before.Status, before.Version, before.UpdatedAt = people.Active, after.Version, after.UpdatedAt
				if !reflect.DeepEqual(after, before) {
					t.Errorf("after undo %+v\nwant       %+v", after, before)
				}
			}
			if err := d.Revert(t.Context(), people.Lease{}, undo[0], "operator"); !errors.Is(err, people.ErrNotFound) {
				t.Errorf("undone twice: %v", err)
			}
		})
	}
}

func TestAnUndoDoesNotOverwriteWhatCameLater(t *testing.T) {
	d, r := directory(t, people.Person{ID: "w", GHLContactID: "g1", Phone: ann}, people.Person{ID: "l", AlowareContactID: "7", Phone: ann})
	if _, _, err := d.Merge(t.Context(), people.Lease{}, "w", "l", "operator", ""); err != nil {
		t.Fatal(err)
	}
	later := people.Rekey(r.rows["w"], carol)
	r.rows["w"] = later
	for id := range r.undos {
		if err := d.Revert(t.Context(), people.Lease{}, id, "operator"); !errors.Is(err, people.ErrChangedSince) {
			t.Errorf("error %v", err)
		}
	}
	if r.rows["l"].Status != people.Ended {
		t.Error("half of the undo was kept")
	}
}

func TestSplitLeavesBothWithAContact(t *testing.T) {
	p := people.Person{ID: "p", Status: people.Active, GHLContactID: "g1", AlowareContactID: "7", Phone: ann, OtherPhones: []df.Phone{bob}}
	kept, cut, err := people.Split(p, people.Part{Side: df.SideAloware, Phones: []df.Phone{ann}}, "q", noon)
	if err != nil {
		t.Fatal(err)
	}
	if kept.AlowareContactID != "" || kept.Phone != bob || cut.AlowareContactID != "7" || cut.Phone != ann || !kept.Apart(cut) {
		t.Errorf("kept %+v, cut %+v", kept, cut)
	}
	if _, _, err := people.Split(kept, people.Part{Side: df.SideGHL}, "r", noon); !errors.Is(err, people.ErrNothingToCut) {
		t.Errorf("error %v", err)
	}
}

func TestKnownFollowsMerges(t *testing.T) {
	d, _ := directory(t,
		people.Person{ID: "a", GHLContactID: "g1", Status: people.Ended, EndedAt: noon, MergedInto: "b"},
		people.Person{ID: "b", GHLContactID: "g2", Status: people.Ended, EndedAt: noon, MergedInto: "c"},
		people.Person{ID: "c", GHLContactID: "g3"})
	p, ok, err := d.Known(t.Context(), df.SideGHL, "g1")
	if err != nil || !ok || p.ID != "c" {
		t.Fatalf("found %q, %v, %v", p.ID, ok, err)
	}
	if _, ok, err := d.Known(t.Context(), df.SideGHL, "nobody"); ok || err != nil {
		t.Fatalf("found somebody: %v, %v", ok, err)
	}
}
