package app

import (
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/openapi"
)

// buildDocument writes the description of the web app.
func (a *App) buildDocument() error {
	document, err := openapi.Web(openapi.About{Version: a.version, URL: a.config.BaseURL})
	a.document = document
	return err
}

// registerDocument serves it, to those who may read what it describes.
func (a *App) registerDocument(mux *routes, admin func(http.Handler) http.Handler) {
	mux.Handle("GET /api/openapi.json", admin(http.HandlerFunc(a.serveDocument)))
}

func (a *App) serveDocument(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(a.document) // the reader may have gone
}

// queryMost bounds one value of a query, in bytes.
const queryMost = 2000

// plain refuses what no id, name or word that we know can hold, and no database
// takes alike: control characters, what is not UTF-8, and values without end.
func plain(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			for name, values := range r.URL.Query() {
				for _, value := range append(values, name) {
					if !clean(value) {
						writeError(w, badQuery)
						return
					}
				}
			}
		}
		if !clean(r.URL.Path) {
			writeError(w, badQuery)
			return
		}
		next.ServeHTTP(w, r)
	})
}

var badQuery = &df.Error{Code: "INVALID_REQUEST", Status: http.StatusBadRequest,
	Message: "an address may hold only text without control characters, and values of up to 2,000 bytes"}

func clean(text string) bool {
	return len(text) <= queryMost && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}
