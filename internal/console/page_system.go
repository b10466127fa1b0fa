package console

import (
	"net/http"
	"time"
)

type connectionsView struct {
	Found    []Connection
	At       time.Time
	Webhooks []webhookRow
	Base     string
	Guessed  bool // there is no public address in the settings; the browser's is shown
	Install  string
}

type webhookRow struct {
	Webhook
	URLs []string
}

// connectionsPage shows a live check of everything, and what to paste where.
func (s *Server) connectionsPage(r *http.Request) (view, error) {
	data := connectionsView{Base: s.BaseURL, Install: s.InstallPath}
	data.Found, data.At = s.checks.latest(r.Context(), checkTime)
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
	return view{template: "connections.html", title: "Connections", section: "connections", data: data}, nil
}

func (s *Server) settingsPage(*http.Request) (view, error) {
	return view{template: "settings.html", title: "Settings", section: "settings", data: s.Settings}, nil
}
