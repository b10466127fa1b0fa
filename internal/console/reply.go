package console

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// handler answers with data, or with a page of data, or with an error that
// reply turns into the contract's error body.
type handler func(r *http.Request) (any, error)

// page is a list with the cursor of what follows it.
type page struct {
	Data any
	Next *string
}

// searched is a list that was searched for from the newest on, as far as the time
// allowed.
type searched struct {
	page
	SearchedTo *time.Time // how far back that was; nil when to the end
}

type body struct {
	Success    bool       `json:"success"`
	Data       any        `json:"data,omitempty"`
	NextCursor *string    `json:"nextCursor,omitempty"`
	Error      *errorBody `json:"error,omitempty"`
}

type listBody struct {
	Success    bool       `json:"success"`
	Data       any        `json:"data"`
	NextCursor *string    `json:"nextCursor"`
	SearchedTo *time.Time `json:"searchedTo,omitempty"`
}

type errorBody struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Details any    `json:"details,omitempty"`
}

func (s *Server) reply(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, err := h(r)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		switch list := data.(type) {
		case page:
			writeJSON(w, http.StatusOK, listBody{Success: true, Data: list.Data, NextCursor: list.Next})
			return
		case searched:
			writeJSON(w, http.StatusOK, listBody{true, list.Data, list.Next, list.SearchedTo})
			return
		}
		writeJSON(w, http.StatusOK, body{Success: true, Data: data})
	})
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	known := df.AsError(err)
	switch {
	case errors.Is(err, store.ErrNotFound):
		known = &df.Error{Code: "NOT_FOUND", Message: "there is nothing with this id", Status: http.StatusNotFound}
	case errors.Is(err, store.ErrState):
		known = &df.Error{Code: "CONFLICT", Message: "not possible in the state that it is in", Status: http.StatusConflict}
	}
	if known.Status >= 500 {
		s.Log.Error("a console request failed", "route", r.Pattern, "error", err)
	}
	writeJSON(w, known.Status, body{Error: &errorBody{known.Code, known.Message, known.Details}})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // the reader may have gone
}

func invalid(message string) error {
	return &df.Error{Code: "INVALID_REQUEST", Message: message, Status: http.StatusBadRequest}
}

// readJSON decodes a small JSON object into to; an empty body leaves it alone.
func readJSON(r *http.Request, to any) error {
	data, err := io.ReadAll(io.LimitReader(r.Body, 1<<20+1))
	switch {
	case err != nil:
		return invalid("the body ended before it was complete")
	case len(data) > 1<<20:
		return &df.Error{Code: "PAYLOAD_TOO_LARGE", Message: "the body may be 1 MiB at most", Status: http.StatusRequestEntityTooLarge}
	case len(data) == 0:
		return nil
	}
	if err := json.Unmarshal(data, to); err != nil {
		return invalid("the body must be a JSON object with fields of the right types")
	}
	return nil
}

// limitOf reads ?limit=, 50 by default, 500 at most.
func limitOf(r *http.Request) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return 50, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 500 {
		return 0, invalid("limit must be a whole number from 1 to 500")
	}
	return n, nil
}

// cursorOf reads ?cursor=, which an earlier page gave.
func cursorOf(r *http.Request) (int64, error) {
	text := r.URL.Query().Get("cursor")
	if text == "" {
		return 0, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		var seq int64
		if seq, err = strconv.ParseInt(string(raw), 10, 64); err == nil && seq > 0 {
			return seq, nil
		}
	}
	return 0, invalid("cursor must be the nextCursor of an earlier answer")
}

// nextCursor is the cursor after a page whose last row has the given seq, or nil
// when the page was not full.
func nextCursor(full bool, seq int64) *string {
	if !full {
		return nil
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(seq, 10)))
	return &text
}

// timeOf reads a time parameter, RFC 3339.
func timeOf(r *http.Request, name string) (time.Time, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, invalid(name + " must be a time such as 2030-01-02T15:04:05Z")
	}
	return t, nil
}

// oneOf refuses a parameter that is there and none of what it may be.
func oneOf[T ~string](r *http.Request, name string, allowed ...T) error {
	given := r.URL.Query().Get(name)
	if given == "" || slices.Contains(allowed, T(given)) {
		return nil
	}
	names := make([]string, len(allowed))
	for i, one := range allowed {
		names[i] = string(one)
	}
	return invalid(name + " must be one of " + strings.Join(names, ", "))
}

// optional returns nil for the zero time, which JSON then shows as null.
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
