package console

import (
	"net/http"
	"time"
)

type connectionsView struct {
	Outward
	Found    []Connection
	At       time.Time
	Native   string // what was found of Aloware's own integration, when it is on
	Sources  []sourceRow
	Webhooks []webhookRow
	Base     string
	Guessed  bool // there is no public address in the settings; the browser's is shown
	Install  string
}

type webhookRow struct {
	Webhook
	URLs []string
}

// connectionsPage shows a live check of everything, what may still be called, and
// what to paste where.
func (s *Server) connectionsPage(r *http.Request) (view, error) {
	ctx := r.Context()
	data := connectionsView{Base: s.BaseURL, Install: s.InstallPath}
	data.Found, data.At = s.checks.latest(ctx, checkTime)
	for _, c := range data.Found {
		if c.Name == "aloware-native" && c.Status == "warning" {
			data.Native = c.Message
		}
	}
	var err error
	if data.Sources, err = s.sources(ctx); err != nil {
		return view{}, err
	}
	if s.Outward != nil {
		if data.Outward, err = s.Outward(ctx); err != nil {
			return view{}, err
		}
	}
	s.addresses(r, &data)
	return view{template: "connections.html", title: "Connections", section: "connections", data: data}, nil
}

// addresses fills in what senders are to post to.
func (s *Server) addresses(r *http.Request, data *connectionsView) {
	if data.Base == "" {
		data.Base, data.Guessed = "http://"+r.Host, true
		if s.secure(r) {
			data.Base = "https://" + r.Host
		}
	}
	for _, hook := range s.Webhooks {
		row := webhookRow{Webhook: hook}
		for _, path := range hook.Paths {
			row.URLs = append(row.URLs, data.Base+path)
		}
		data.Webhooks = append(data.Webhooks, row)
	}
}
