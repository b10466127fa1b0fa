package lists

import (
	"slices"
	"testing"
)

// D-68: users were matched by parts of their names: "Ann" was found in "Joanne".
func TestUsersAreMatchedByTheirWholeAddressAndNeverGuessed(t *testing.T) {
	t.Parallel()
	ghl := []User{{"g1", "Ann", "ann@example.test"}, {"g2", "Joanne Ann", "joanne@example.test"}, {"g3", "Lee", " LEE@example.test"},
		{"g4", "Lee", "lee@example.test"}, {"g5", "Max", "max@example.test"}, {"g6", "Nobody", ""}, {"g7", "Eli", "eli@example.test"},
		{"g8", "Zoe", "zoe@example.test"}}
	aloware := []User{{"1", "Ann B.", "Ann@Example.test"}, {"3", "Lee", "lee@example.test"}, {"7", "Eli", "eli@example.test"},
		{"8", "Zoe", "zoe@example.test"}, {"9", "Ann", "other@example.test"}}
	directory := []Agent{{Key: "ELI", GHLEmail: "eli@example.test", Active: true}, {Key: "ZOE", GHLUserID: "somebody else", GHLEmail: "zoe@example.test"}}
	got := Match(directory, ghl, aloware)
	if len(got.Create) != 1 || got.Create[0].Key != "ANN" || got.Create[0].GHLUserID != "g1" || got.Create[0].AlowareUserID != "1" ||
		got.Create[0].RequiredTag != "Owner: Ann" {
		t.Errorf("created %+v", got.Create)
	}
	if len(got.Update) != 1 || got.Update[0].Key != "ELI" || got.Update[0].GHLUserID != "g7" || got.Update[0].AlowareUserID != "7" {
		t.Errorf("updated %+v", got.Update)
	}
	var doubts []string
	for _, d := range got.Doubts {
		doubts = append(doubts, d.Email)
		if d.Why == "" {
			t.Errorf("%s: no reason", d.Email)
		}
	}
	if !slices.Equal(doubts, []string{"lee@example.test", "zoe@example.test"}) {
		t.Errorf("doubts %+v", got.Doubts)
	}
	if len(got.Alone) != 4 {
		t.Errorf("alone %+v", got.Alone)
	}
	again := Match(append(directory, got.Create...), ghl, aloware)
	if len(again.Create) != 0 || !slices.Contains(again.Same, "ANN") {
		t.Errorf("seeding twice: %+v", again)
	}
}

func TestAnAgentsKeyThatIsTakenIsADoubt(t *testing.T) {
	t.Parallel()
	got := Match([]Agent{{Key: "DANA_REYES"}}, []User{{"g", "Dana Reyes", "dana@example.test"}}, []User{{"1", "Dana", "dana@example.test"}})
	if len(got.Create) != 0 || len(got.Doubts) != 1 {
		t.Errorf("%+v", got)
	}
}
