package console

import "net/http"

func (s *Server) settingsPage(*http.Request) (view, error) {
	return view{template: "settings.html", title: "Settings", section: "settings", data: s.Settings}, nil
}
