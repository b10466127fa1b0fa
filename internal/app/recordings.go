package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/calls"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
	"github.com/df-middleware/dfm/internal/store"
)

// callLinks makes links to recordings and voicemails. A link says which call's
// audio it leads to and when it ends, and is signed: whoever has it may listen
// until then, and nobody can make another of it.
type callLinks struct {
	base string
	keys [][]byte // the first signs; all are believed
}

func newCallLinks(base string, encryption [][]byte) *callLinks {
	l := &callLinks{base: base}
	for _, key := range encryption {
		// A key of its own, so that a link tells nothing about sealed values.
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte("df-middleware recording links"))
		l.keys = append(l.keys, mac.Sum(nil))
	}
	return l
}

// link is the same for the same call, audio and end.
func (l *callLinks) link(callID string, audio calls.Audio, until time.Time) string {
	claim := strings.Join([]string{string(audio), strconv.FormatInt(until.Unix(), 10), callID}, "\n")
	return l.base + "/recordings/" + base64.RawURLEncoding.EncodeToString([]byte(claim)) + "." +
		base64.RawURLEncoding.EncodeToString(signClaim(l.keys[0], claim))
}

func signClaim(key []byte, claim string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(claim))
	return mac.Sum(nil)
}

// read returns what a token leads to, if it is ours and has not ended.
func (l *callLinks) read(token string, now time.Time) (callID string, audio calls.Audio, ok bool) {
	encoded, signature, _ := strings.Cut(token, ".")
	claim, err := base64.RawURLEncoding.DecodeString(encoded)
	given, err2 := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || err2 != nil {
		return "", "", false
	}
	ours := false
	for _, key := range l.keys {
		ours = hmac.Equal(given, signClaim(key, string(claim))) || ours
	}
	parts := strings.SplitN(string(claim), "\n", 3)
	if !ours || len(parts) != 3 {
		return "", "", false
	}
	until, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || now.Unix() >= until {
		return "", "", false
	}
	return parts[2], calls.Audio(parts[0]), true
}

// listening streams audio to whoever has a link to it. The address that it comes
// from is never shown, nor are its redirects.
type listening struct {
	store     *store.Store
	links     *callLinks
	sealer    calls.Sealer
	transport http.RoundTripper // guarded: the address came in a payload
	clock     df.Clock
	refuse    func(w http.ResponseWriter, err *df.Error)
	warn      func(message string, err error)
}

// registerRecordings adds GET /recordings/{token}. It needs no other credential
// than the link.
func (a *App) registerRecordings(mux *http.ServeMux) {
	if a.calls.links == nil {
		return
	}
	l := &listening{
		store: a.store, links: a.calls.links, sealer: a.vault, clock: a.clock, refuse: writeError,
		transport: egress.GuardedTransport(egress.Policy{Allow: []string{hostOf(a.config.Aloware.BaseURL)}}),
		warn:      func(message string, err error) { a.log.Warn(message, "error", err) },
	}
	mux.Handle("GET /recordings/{token}", l)
}

// hostOf returns host and port of an address from the settings.
func hostOf(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return ""
	case u.Port() == "" && u.Scheme == "https":
		return u.Hostname() + ":443"
	case u.Port() == "":
		return u.Hostname() + ":80"
	}
	return u.Host
}

var (
	errNoAudio  = &df.Error{Code: "NOT_FOUND", Message: "the link is not valid, or has ended", Status: http.StatusNotFound}
	errNotThere = &df.Error{Code: "RECORDING_UNAVAILABLE", Message: "the recording cannot be fetched now", Status: http.StatusBadGateway}
	errNotAudio = errors.New("the answer is no audio")
)

// audioTime bounds one listening, from the request to the last byte.
const audioTime = 15 * time.Minute

// ServeHTTP implements http.Handler.
func (l *listening) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), audioTime)
	defer cancel()
	header := w.Header()
	header.Set("Cache-Control", "private, no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Robots-Tag", "noindex")
	callID, audio, ok := l.links.read(r.PathValue("token"), l.clock())
	if !ok {
		l.refuse(w, errNoAudio)
		return
	}
	address, err := l.address(ctx, callID, audio)
	if err != nil {
		l.warn("a recording's address cannot be had", err)
		l.refuse(w, df.AsError(err))
		return
	}
	// Players ask for a recording in pieces; the first piece is the listening.
	if asked := r.Header.Get("Range"); r.Method == http.MethodGet && (asked == "" || strings.HasPrefix(asked, "bytes=0-")) {
		err := l.store.Audit(ctx, store.AuditRow{At: l.clock(), Actor: "link", Action: "recording.listen", Target: callID,
			Details: map[string]any{"audio": string(audio)}})
		if err != nil {
			l.warn("a listening cannot be noted, so it does not take place", err)
			l.refuse(w, df.AsError(err))
			return
		}
	}
	answer, err := l.fetch(ctx, address.Reveal(), r.Method, r.Header.Get("Range"))
	if err != nil {
		l.warn("a recording cannot be fetched", err)
		l.refuse(w, errNotThere)
		return
	}
	defer func() { _ = answer.Body.Close() }()
	for _, name := range []string{"Content-Type", "Content-Length", "Content-Range", "Accept-Ranges"} {
		if value := answer.Header.Get(name); value != "" {
			header.Set(name, value)
		}
	}
	header.Set("Content-Disposition", `inline; filename="`+string(audio)+`"`)
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body) // either end may have gone
}

// address opens the sealed address of a call's audio.
func (l *listening) address(ctx context.Context, callID string, audio calls.Audio) (df.Secret, error) {
	row, err := store.CallByID(ctx, l.store, callID)
	if errors.Is(err, store.ErrNotFound) {
		return "", errNoAudio
	}
	if err != nil {
		return "", err
	}
	sealed := map[calls.Audio]string{calls.TheRecording: row.Recording, calls.TheVoicemail: row.Voicemail}[audio]
	if sealed == "" {
		return "", errNoAudio
	}
	return calls.OpenAddress(l.sealer, audio.Purpose(callID), sealed)
}

// hops is how many addresses lead to a recording at most: Aloware's redirects to
// a storage that signs its own.
const hops = 4

// fetch asks for audio and follows redirects itself, each through the guard. Its
// errors quote no address.
func (l *listening) fetch(ctx context.Context, address, method, piece string) (*http.Response, error) {
	for range hops {
		request, err := http.NewRequestWithContext(ctx, method, address, http.NoBody)
		if err != nil || request.URL.Host == "" || request.URL.Scheme != "http" && request.URL.Scheme != "https" {
			return nil, errors.New("the address cannot be used")
		}
		if piece != "" {
			request.Header.Set("Range", piece)
		}
		answer, err := l.transport.RoundTrip(request)
		if err != nil {
			if errors.Is(err, egress.ErrForbiddenAddress) {
				return nil, egress.ErrForbiddenAddress
			}
			return nil, errors.New("no answer")
		}
		if next := answer.Header.Get("Location"); answer.StatusCode >= 300 && answer.StatusCode < 400 && next != "" {
			_ = answer.Body.Close() // nothing in it is wanted
			to, err := request.URL.Parse(next)
			if err != nil || request.URL.Scheme == "https" && to.Scheme != "https" {
				return nil, errors.New("a redirect cannot be followed")
			}
			address = to.String()
			continue
		}
		if err := isAudio(answer); err != nil {
			_ = answer.Body.Close() // nor in this
			return nil, err
		}
		return answer, nil
	}
	return nil, errors.New("too many redirects")
}

// isAudio lets through what can be listened to: Aloware answers paths that it
// does not know with 200 and a web page.
func isAudio(answer *http.Response) error {
	if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusPartialContent {
		return errors.New("answered " + strconv.Itoa(answer.StatusCode))
	}
	kind := strings.ToLower(answer.Header.Get("Content-Type"))
	for _, good := range []string{"audio/", "video/mp4", "application/octet-stream", "binary/octet-stream"} {
		if strings.HasPrefix(kind, good) {
			return nil
		}
	}
	return errNotAudio
}
