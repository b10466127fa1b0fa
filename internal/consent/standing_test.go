package consent

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

const (
	ann = df.Phone("+15005550111")
	bob = df.Phone("+15005550122")
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

// minute is a time a number of minutes after noon.
func minute(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }

// drawAct draws an act on few numbers and times, so that they meet and tie.
func drawAct(t *rapid.T) Act {
	at := minute(rapid.IntRange(0, 6).Draw(t, "minute"))
	act := Act{
		Kind:   rapid.SampledFrom([]Kind{Stop, Stop, Start, Start, Help, Note}).Draw(t, "kind"),
		Phone:  rapid.SampledFrom([]df.Phone{ann, bob}).Draw(t, "phone"),
		Holder: rapid.SampledFrom([]Holder{Text, GHL, Aloware, Operator}).Draw(t, "holder"),
		Scopes: rapid.SampledFrom([][]Scope{{SMS}, {Call}, {SMS, Call}}).Draw(t, "scopes"),
		At:     at, HeardAt: minute(10), Actor: "kim", Words: "as said on the phone", Source: "texting", Rule: "test", Certain: true,
	}
	if act.Kind == Start && act.Holder != Operator {
		act.Holder = Text // flags never opt in
	}
	return act
}

// reference decides from the whole list of acts, in the words of the
// specification: a number is out when somebody's no is not answered by a later
// yes of the same person or of an operator.
func reference(acts []Act, phone df.Phone, scope Scope) bool {
	for _, no := range acts {
		if no.Kind != Stop || no.Phone != phone || !slices.Contains(no.Scopes, scope) {
			continue
		}
		answered := slices.ContainsFunc(acts, func(yes Act) bool {
			return yes.Kind == Start && yes.Phone == phone && slices.Contains(yes.Scopes, scope) &&
				(yes.Holder == no.Holder || yes.Holder == Operator) && yes.At.After(no.At)
		})
		if !answered {
			return true
		}
	}
	return false
}

func TestAnyOrderOfActsEndsInTheSameStanding(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		acts := rapid.SliceOfN(rapid.Custom(drawAct), 0, 12).Draw(t, "acts")
		shuffled := rapid.Permutation(acts).Draw(t, "order")
		for _, phone := range []df.Phone{ann, bob} {
			var one, other Standing
			for i, act := range acts {
				if act.Phone == phone {
					one = one.Join(act).Join(act) // hearing it twice is hearing it once
				}
				if shuffled[i].Phone == phone {
					other = other.Join(shuffled[i])
				}
			}
			for _, scope := range Scopes() {
				want := reference(acts, phone, scope)
				if one.Out(scope) != want || other.Out(scope) != want {
					t.Fatalf("%s out: %v and %v, want %v", scope, one.Out(scope), other.Out(scope), want)
				}
			}
			if !slices.Equal(one.rows(), other.rows()) {
				t.Fatalf("kept differently: %v and %v", one.rows(), other.rows())
			}
		}
	})
}

func TestWhoMayTakeANoBack(t *testing.T) {
	t.Parallel()
	stop := func(h Holder, at int) Act { return Act{Kind: Stop, Holder: h, Scopes: Scopes(), At: minute(at)} }
	start := func(h Holder, at int) Act { return Act{Kind: Start, Holder: h, Scopes: Scopes(), At: minute(at)} }
	tests := []struct {
		name string
		acts []Act
		out  bool
	}{
		{"nobody said anything", nil, false},
		{"a stop", []Act{stop(Text, 1)}, true},
		{"a later start", []Act{stop(Text, 1), start(Text, 2)}, false},
		{"an older start that comes late", []Act{stop(Text, 2), start(Text, 1)}, true},
		{"a tie", []Act{start(Text, 1), stop(Text, 1)}, true},
		{"a stop after a start", []Act{stop(Text, 1), start(Text, 2), stop(Text, 3)}, true},
		{"a text does not clear what Aloware set", []Act{stop(Aloware, 1), start(Text, 2)}, true},
		{"nor what GHL or an operator set", []Act{stop(GHL, 1), stop(Operator, 1), start(Text, 2)}, true},
		{"an operator clears everything", []Act{stop(Text, 1), stop(GHL, 1), stop(Aloware, 1), start(Operator, 2)}, false},
		{"but not what comes later", []Act{start(Operator, 2), stop(GHL, 3)}, true},
		{"nor a tie", []Act{start(Operator, 2), stop(Text, 2)}, true},
		{"a stop from before the operator's yes, heard after it", []Act{start(Operator, 2), stop(Text, 1)}, false},
		{"help changes nothing", []Act{{Kind: Help, Holder: Text, Scopes: Scopes(), At: noon}}, false},
	}
	for _, test := range tests {
		var s Standing
		for _, act := range test.acts {
			s = s.Join(act)
		}
		if s.Out(SMS) != test.out || s.Out(Call) != test.out {
			t.Errorf("%s: out of texts %v, of calls %v, want %v", test.name, s.Out(SMS), s.Out(Call), test.out)
		}
	}
}

func TestARowOfTheOriginalSystemStillCounts(t *testing.T) {
	t.Parallel()
	s := StandingOf(store.Consent{Phone: string(ann), Status: "opted_out", Source: "texting", LastEventAt: noon})
	if !s.Out(SMS) || !s.Out(Call) || !s.OutByText() {
		t.Errorf("holders %v %v", s.Holders(SMS), s.Holders(Call))
	}
	if s = s.Join(Act{Kind: Start, Holder: Text, Scopes: Scopes(), At: minute(1)}); s.Out(SMS) || s.Out(Call) {
		t.Error("a START does not answer the STOP that was imported")
	}
	s = StandingOf(store.Consent{Phone: string(ann), Status: "opted_out", Source: "import", LastEventAt: noon})
	if s = s.Join(Act{Kind: Start, Holder: Text, Scopes: Scopes(), At: minute(1)}); !s.Out(SMS) {
		t.Error("a START answered somebody else's no")
	}
	if s := StandingOf(store.Consent{Status: "opted_in"}); s.Out(SMS) || s.Out(Call) {
		t.Error("somebody who is in is out")
	}
}
