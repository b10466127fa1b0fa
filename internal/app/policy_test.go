package app

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/consent"
)

func policyOf(env map[string]string) (consent.Policy, error) {
	c, err := Load(func(name string) (string, bool) { value, ok := env[name]; return value, ok })
	return c.Consent, err
}

func TestThePolicyAboutConsentIsTheStrictOneUnlessSaidOtherwise(t *testing.T) {
	p, err := policyOf(nil)
	if err != nil || p.TextOnly || p.KeepDND || p.KeepTags || p.ClearDNC || p.Quiet != nil || p.AlertAfter != time.Hour || p.Grace != 2*time.Minute {
		t.Errorf("%+v, %v", p, err)
	}
	p, err = policyOf(map[string]string{"DFM_OPTOUT_SCOPE": "sms", "DFM_OPTIN_CLEARS": "aloware_dnc", "DFM_OPTOUT_SMS_TAGS": "no texts",
		"DFM_QUIET_HOURS": "21:00 - 08:30", "DFM_QUIET_ZONES": "America/New_York,America/Los_Angeles"})
	if err != nil || !p.TextOnly || !p.KeepDND || !p.KeepTags || !p.ClearDNC || len(p.TextTags) != 1 || p.Quiet == nil ||
		p.Quiet.From != 21*time.Hour || p.Quiet.Until != 8*time.Hour+30*time.Minute || len(p.Quiet.Elsewhere) != 2 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestNonsenseAboutConsentStopsTheStart(t *testing.T) {
	for name, value := range map[string]string{"DFM_OPTOUT_SCOPE": "calls", "DFM_OPTIN_CLEARS": "everything", "DFM_QUIET_HOURS": "9pm",
		"DFM_QUIET_ZONES": "Mars/Olympus", "DFM_OPTOUT_ALERT_AFTER": "soon"} {
		env := map[string]string{name: value}
		if name == "DFM_QUIET_ZONES" {
			maps.Copy(env, map[string]string{"DFM_QUIET_HOURS": "21:00-08:00"})
		}
		if _, err := policyOf(env); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s is not complained about: %v", name, value, err)
		}
	}
	if _, err := policyOf(map[string]string{"DFM_QUIET_ZONES": "America/New_York"}); err == nil {
		t.Error("zones without hours are taken for quiet hours that are on")
	}
}
