package app

import (
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/calls"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
	"github.com/df-middleware/dfm/internal/store"
)

// containsMarker looks for the marker in a note as GHL shows it.
func containsMarker(body, marker string) bool {
	return strings.Contains(body, marker) || strings.Contains(html.UnescapeString(body), marker)
}

// recordingLink makes a link for somebody who wants to listen now. It stays the
// same for some minutes, so that a page that refreshes itself stands still.
func (a *App) recordingLink(callID string) string {
	links := a.calls.desk.Links
	links.Life = time.Hour
	return links.Make(callID, a.clock().Truncate(10*time.Minute))
}

// recordingMost is the longest recording that is passed on, in bytes.
const recordingMost = 512 << 20

// playRecording passes a recording on to whoever has a signed link to it. Where
// it comes from is not shown, and the call's audio is not kept by us.
func (a *App) playRecording(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex")
	link, callID, err := a.recordingOf(r)
	if err != nil {
		writeError(w, df.AsError(err))
		return
	}
	answer, err := a.fetchRecording(r, link)
	if err != nil {
		a.log.WarnContext(r.Context(), "a recording could not be fetched", "call", callID, "error", df.AsError(err).Error())
		writeError(w, &df.Error{Code: "UPSTREAM_UNAVAILABLE", Message: "the recording cannot be had now", Status: http.StatusBadGateway})
		return
	}
	defer func() { _ = answer.Body.Close() }()
	if err := a.store.Audit(r.Context(), store.AuditRow{At: a.clock(), Actor: "link", Action: "recording.play", Target: callID}); err != nil {
		writeError(w, df.AsError(err))
		return
	}
	for _, name := range []string{"Content-Type", "Content-Length", "Content-Range", "Accept-Ranges"} {
		if value := answer.Header.Get(name); value != "" {
			h.Set(name, value)
		}
	}
	h.Set("Content-Disposition", "inline")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, io.LimitReader(answer.Body, recordingMost)) // the listener may have gone
}

// recordingOf finds the recording that the request's link is about.
func (a *App) recordingOf(r *http.Request) (link, callID string, err error) {
	callID, err = a.calls.desk.Links.Read(r.PathValue("token"), a.clock())
	if errors.Is(err, calls.ErrLinkExpired) {
		return "", "", &df.Error{Code: "LINK_EXPIRED", Message: "this link has expired", Status: http.StatusGone}
	}
	if err != nil {
		return "", "", notFound("there is no recording here")
	}
	call, err := store.CallByID(r.Context(), a.store, callID)
	if errors.Is(err, store.ErrNotFound) || err == nil && call.Recording == "" {
		return "", "", notFound("there is no recording here")
	}
	if err != nil {
		return "", "", err
	}
	plain, err := a.vault.Open(calls.Purpose(callID), call.Recording)
	if err != nil {
		return "", "", fmt.Errorf("open the recording: %w", err)
	}
	return string(plain), callID, nil
}

// fetchRecording asks for it, and follows the one or two redirections that lead
// to the object store. Only public addresses are dialled, whatever they say.
func (a *App) fetchRecording(r *http.Request, link string) (*http.Response, error) {
	for range 4 {
		address, err := url.Parse(link)
		if err != nil || address.Scheme != "https" {
			return nil, &df.Error{Code: "INVALID_ADDRESS", Message: "the recording's address is not an https one", Status: http.StatusBadGateway}
		}
		request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, address.String(), nil)
		if err != nil {
			return nil, errFetch
		}
		if span := r.Header.Get("Range"); span != "" {
			request.Header.Set("Range", span)
		}
		answer, err := a.recordings.RoundTrip(request)
		if err != nil {
			return nil, errFetch // its text would hold the address
		}
		kind, _, _ := strings.Cut(answer.Header.Get("Content-Type"), "/")
		switch {
		case answer.StatusCode >= 300 && answer.StatusCode < 400 && answer.Header.Get("Location") != "":
			_ = answer.Body.Close()
			next, err := address.Parse(answer.Header.Get("Location"))
			if err != nil {
				return nil, errFetch
			}
			link = next.String()
			continue
		case answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusPartialContent,
			!strings.EqualFold(kind, "audio") && !strings.HasPrefix(answer.Header.Get("Content-Type"), "application/octet-stream"):
			_ = answer.Body.Close()
			return nil, errFetch
		}
		return answer, nil
	}
	return nil, errFetch
}

var errFetch = &df.Error{Code: "UPSTREAM_UNAVAILABLE", Message: "the recording's place did not give audio", Status: http.StatusBadGateway}

// recordingTransport dials only public addresses: the link is what a payload said.
func recordingTransport() http.RoundTripper { return egress.GuardedTransport(egress.Policy{}) }
