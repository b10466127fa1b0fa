package texting

import (
	"testing"

	"github.com/df-middleware/dfm/internal/payload"
)

var states = []Status{"", Queued, Receiving, Sending, Sent, Received, Delivered, Failed, Canceled, Read}

func TestStatesNeverGoBackwards(t *testing.T) {
	for _, test := range []struct {
		a, b Status
		want bool
	}{
		{Queued, "", true}, {Sending, Queued, true}, {Sent, Sending, true}, {Sent, Queued, true}, {Delivered, Sent, true}, {Failed, Sent, true},
		{Canceled, Queued, true}, {Read, Delivered, true}, {Read, Sent, true}, {Received, Receiving, true}, {Read, Failed, true},
		{Queued, Sent, false}, {Sent, Delivered, false}, {Sending, Sent, false}, {Delivered, Read, false}, {Sent, Failed, false},
		{Failed, Delivered, false}, {Delivered, Failed, false}, {Canceled, Delivered, false}, {"", Queued, false}, {"exploded", Queued, false}, {"exploded", "", false},
	} {
		if got := Later(test.a, test.b); got != test.want {
			t.Errorf("%q after %q: %v", test.a, test.b, got)
		}
	}
	for _, a := range states {
		if Later(a, a) {
			t.Errorf("%q is later than itself", a)
		}
		for _, b := range states {
			for _, c := range states {
				if Later(a, b) && Later(b, c) && !Later(a, c) || Later(a, b) && Later(b, a) {
					t.Errorf("%q, %q, %q have no order", a, b, c)
				}
			}
		}
	}
}

// However reports are shuffled and repeated, the same state is reached.
func TestShuffledReportsReachTheSameState(t *testing.T) {
	reports := []Status{Queued, Sending, Sent, Delivered, Sent, Read}
	var permute func(done []Status, rest []Status)
	permute = func(done, rest []Status) {
		if len(rest) == 0 {
			var state Status
			for _, report := range done {
				if Later(report, state) {
					state = report
				}
			}
			if state != Read {
				t.Fatalf("%v ends as %s", done, state)
			}
		}
		for i := range rest {
			others := append(append([]Status{}, rest[:i]...), rest[i+1:]...)
			permute(append(append([]Status{}, done...), rest[i]), others)
		}
	}
	permute(nil, reports)
}

func TestEveryWordOfACarrierHasAStateAndAnEvent(t *testing.T) {
	for _, word := range []string{"accepted", "scheduled", "queued", "sending", "sent", "delivered", "undelivered", "failed", "read", "canceled", // Twilio
		"receiving", "received", "partially_delivered",
		"sending_failed", "delivery_failed", "delivery_unconfirmed"} { // Telnyx
		status := statusWords[payload.Fold(word)]
		if ranks[status] == 0 || eventOf(status) == EventUnknown {
			t.Errorf("%s is the state %q", word, status)
		}
	}
	for _, status := range states[1:] {
		if eventOf(status) == EventUnknown || directionOf(eventOf(status)) == "" {
			t.Errorf("%s reports nothing", status)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		provider Provider
		code     string
		want     bool
	}{
		{ProviderTwilio, "21610", true}, {ProviderTwilio, "40300", false}, {ProviderTwilio, "30003", false}, {ProviderTwilio, "30007", false}, {ProviderTwilio, "", false},
		{ProviderTelnyx, "40300", true}, {ProviderTelnyx, "21610", false}, {ProviderTelnyx, "40002", false},
		{ProviderDF, "21610", true}, {ProviderDF, "40300", true}, {ProviderDF, "failed", false}, {ProviderStandard, "40300", true}, {"another", "21610", false},
	} {
		if got := RefusalMeansOptOut(test.provider, test.code); got != test.want {
			t.Errorf("%s %q: %v", test.provider, test.code, got)
		}
	}
}

func TestProviderOfARoute(t *testing.T) {
	for route, want := range map[string]Provider{"texting": ProviderDF, "texting/twilio": ProviderTwilio, "texting/telnyx": ProviderTelnyx,
		"texting/standard": ProviderStandard, "twilio": "", "texting/df-hmac": "", "texting/": "", "ghl": "", "": "", "broadcast": ""} {
		if got, ok := ProviderOf(route); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", route, got, ok)
		}
	}
}
