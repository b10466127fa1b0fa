package app

import (
	"encoding/json"
	"net/http"

	"github.com/df-middleware/dfm/internal/df"
)

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the reader may have gone
}

func writeError(w http.ResponseWriter, err *df.Error) {
	writeJSON(w, err.Status, map[string]any{"success": false, "error": map[string]string{"code": err.Code, "message": err.Message}})
}
