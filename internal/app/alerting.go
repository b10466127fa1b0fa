package app

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/alerts"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
	"github.com/df-middleware/dfm/internal/store"
)

// AlertConfig is who is told of alerts.
type AlertConfig struct {
	URL   df.Secret // whoever knows it can write to the channel
	Slack bool
}

func (s *settings) alerts() AlertConfig {
	c := AlertConfig{URL: s.secret("ALERT_WEBHOOK_URL")}
	format := s.oneOf("DFM_ALERT_FORMAT", "auto", "auto", "slack", "json")
	c.Slack = format == "slack" || format == "auto" && alerts.IsSlack(c.URL.Reveal())
	if u, err := url.Parse(c.URL.Reveal()); c.URL.Set() && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		s.wrong("ALERT_WEBHOOK_URL", "must be a URL that starts with http:// or https://")
	}
	return c
}

// watchEvery is how often the system is judged.
const watchEvery = time.Minute

// How long alerts keep what they judge by, and their own history.
const (
	figuresKept = 24 * time.Hour
	alertsKept  = 400 * 24 * time.Hour
)

// buildTally makes what counts for the alerts; whatever sees something to count
// comes later.
func (a *App) buildTally() error {
	a.tally = alerts.NewTally(a.store, a.clock, a.log)
	return nil
}

// buildAlerts makes what judges the system and tells somebody.
func (a *App) buildAlerts() error {
	watch := &alerts.Watch{
		Store: a.store, Rules: alerts.Rules(), Probes: alerts.Probes(a.store), Clock: a.clock, NewID: a.newID, Log: a.log,
	}
	watch.Probes = append(watch.Probes, alerts.Probe{Name: alerts.ProbeConsent, Read: a.probeConsent})
	watch.Probes = append(watch.Probes, alerts.Probe{Name: alerts.ProbeDrift, Read: a.probeDrift},
		alerts.Probe{Name: alerts.ProbeMissed, Read: a.probeMissed}, alerts.Probe{Name: alerts.ProbeForwardings, Read: a.probeForwards})
	if a.keeper != nil {
		watch.Probes = append(watch.Probes, alerts.Probe{Name: alerts.ProbeBackup, Read: a.probeBackup})
	}
	if address := a.config.Alerts.URL; address.Set() {
		watch.Send = alerts.Webhook{
			URL: address, Slack: a.config.Alerts.Slack, Console: a.config.BaseURL,
			Caller: egress.New(egress.Options{
				Upstream: "alerts", Clock: a.clock, Log: a.log, Redactor: a.config.Redactor(), Observe: a.observeCall,
				Transport: egress.GuardedTransport(egress.Policy{Allow: []string{hostPort(address.Reveal())}}),
			}),
		}
	}
	if a.token != nil {
		a.tally.Gauge(alerts.FigureTokenTrouble, "clerk", func() (int64, bool) {
			if a.token.Status().Valid {
				return 0, true
			}
			return 1, true
		})
	}
	if a.spill != nil {
		a.tally.Gauge(alerts.FigureSpilled, "", func() (int64, bool) { return int64(a.spill.Waiting()), true })
	}
	a.watch = watch
	return nil
}

// hostPort returns where a URL leads, as a transport dials it.
func hostPort(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// probeConsent finds the systems that were not told of opt-outs in good time.
func (a *App) probeConsent(ctx context.Context, s *alerts.Sample) error {
	late, err := a.consent.fan.Late(ctx, 1000)
	byTarget := map[string]int{}
	for _, l := range late {
		i, ok := byTarget[string(l.Target)]
		if !ok {
			i = len(s.LateOptOuts)
			byTarget[string(l.Target)] = i
			s.LateOptOuts = append(s.LateOptOuts, alerts.LateOptOut{Target: string(l.Target), Deadline: l.Deadline})
		}
		s.LateOptOuts[i].People++
		if l.Deadline.Before(s.LateOptOuts[i].Deadline) {
			s.LateOptOuts[i].Deadline = l.Deadline
		}
	}
	return err
}

// probeDrift counts, for each kind and field, who differs unexplained. Somebody who
// differs in two fields is counted twice, which errs on the loud side.
func (a *App) probeDrift(ctx context.Context, s *alerts.Sample) error {
	counts, err := a.store.DriftCounts(ctx)
	for _, c := range counts {
		if c.Reason == store.DriftUnexplained {
			s.Unexplained += c.People
		}
	}
	return err
}

func (a *App) probeMissed(ctx context.Context, s *alerts.Sample) error {
	counts, err := a.store.MissedCounts(ctx, s.At.Add(-24*time.Hour))
	s.Missed = map[string]int64{}
	for _, c := range counts {
		s.Missed[string(c.Source)] += c.Missed
	}
	return err
}

func (a *App) probeForwards(ctx context.Context, s *alerts.Sample) error {
	counts, err := a.store.ForwardCounts(ctx)
	s.GivenUp = counts[store.ForwardGivenUp]
	return err
}

// checkAlerts is the schedule: whoever is elected takes a sample.
func (a *App) checkAlerts(ctx context.Context) error { return a.watch.Check(ctx) }

func (a *App) pruneAlerts(ctx context.Context) error {
	now := a.clock()
	return a.store.PruneAlerts(ctx, now.Add(-figuresKept), now.Add(-alertsKept))
}

// observeWebhook counts one delivery for metrics and alerts.
func (a *App) observeWebhook(route, result string, took time.Duration) {
	a.metrics.Webhook(route, result, took)
	switch result {
	case "unauthorized":
		a.tally.Count(alerts.FigureBadProof, route)
	case "lost":
		a.tally.Count(alerts.FigureLost, route)
	}
}

// observeCall counts one call of an upstream for metrics and alerts.
func (a *App) observeCall(o egress.Observed) {
	a.metrics.Call(o.Upstream, o.Operation, o.Outcome.String(), o.Took)
	a.tally.Count(alerts.FigureCalls, o.Upstream)
	unanswered := o.Code == df.CodeUnavailable || o.Code == df.CodeTimeout
	if unanswered {
		a.tally.Count(alerts.FigureFailedCalls, o.Upstream)
	}
	token := strings.Contains(o.Operation, "token")
	if token && (unanswered || o.Status >= http.StatusBadRequest) {
		a.tally.Count(alerts.FigureFailedToken, o.Upstream)
	}
	if !token && (o.Status == http.StatusUnauthorized || o.Code == df.CodeUnauthorized) {
		a.tally.Count(alerts.FigureUnauthorized, o.Upstream)
	}
	if o.Rate.Known && o.Rate.Daily >= 0 {
		left := int64(o.Rate.Daily)
		a.tally.Gauge(alerts.FigureDailyLeft, o.Upstream, func() (int64, bool) { return left, true })
	}
}
