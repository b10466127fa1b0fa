package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
)

func (a *App) checkAloware(ctx context.Context) (string, error) {
	users, err := a.sync.aloware.Users(ctx)
	return fmt.Sprintf("%d users", len(users)), err
}

// checkAlowareWrites goes by what was written. Aloware's token has no scopes, and
// a write on trial would be a write.
func (a *App) checkAlowareWrites(ctx context.Context) (string, error) {
	counts, err := a.store.SyncsSince(ctx, a.clock().Add(-24*time.Hour))
	if err != nil {
		return "", err
	}
	var took, failed int64
	for _, c := range counts {
		switch {
		case c.Direction != df.GHLToAloware:
		case c.Status == "success":
			took += c.Lines
		case c.Status == "error":
			failed += c.Lines
		}
	}
	switch {
	case failed > 0 && took == 0:
		return "", caution(fmt.Sprintf("all %d writes of the last 24 hours failed; the sync log says why", failed))
	case took == 0:
		return "nothing was written in the last 24 hours, so nothing is known", nil
	}
	return fmt.Sprintf("%d writes of the last 24 hours took effect, %d failed", took, failed), nil
}

// checkVerity calls Verity with our key, when there is one, so that a refused key
// is seen before a text needs it.
func (a *App) checkVerity(ctx context.Context) (string, error) {
	header := http.Header{}
	key := a.config.Verity.APIKey
	if key.Set() {
		header.Set("Authorization", "Bearer "+key.Reveal())
	}
	answer, err := head(ctx, a.config.Verity.BaseURL, header)
	if err != nil {
		return a.config.Verity.BaseURL, err
	}
	if key.Set() && (answer.status == http.StatusUnauthorized || answer.status == http.StatusForbidden) {
		return "", caution(fmt.Sprintf("%s answers, but with %d to VERITY_API_KEY: look whether the key is still valid", a.config.Verity.BaseURL, answer.status))
	}
	return a.config.Verity.BaseURL, nil
}

func (a *App) checkCatalogue(ctx context.Context) (string, error) {
	loader := a.gateway.catalogue
	status := loader.Status()
	if status.CheckedAt.IsZero() { // as in the doctor, where nobody reads it
		_ = loader.Reload(ctx) // the status says how it went
		status = loader.Status()
	}
	if status.Err != nil && status.LoadedAt.IsZero() {
		return "", fmt.Errorf("no catalogue could be read: %w", status.Err)
	}
	message := fmt.Sprintf("%d operations, read %s", status.Operations, shownTime(status.LoadedAt))
	switch {
	case status.Err != nil:
		return "", caution(message + "; the last reading failed, and that catalogue stays: " + status.Err.Error())
	case status.Problems > 0:
		return "", caution(fmt.Sprintf("%s, with %d problems: run dfm catalog lint", message, status.Problems))
	}
	return message, nil
}

// checkTexting tells who is believed. There is nothing to call: texts come in by
// webhook and go out through Verity. Keys that cannot be read do not get past the
// settings.
func (a *App) checkTexting(context.Context) (string, error) {
	if a.config.Unsigned[df.SourceTexting] {
		return "", caution("takes texts from anybody: remove texting from DFM_ALLOW_UNSIGNED before real use")
	}
	if !a.config.Verity.APIKey.Set() {
		return "takes webhooks; no agent's text goes out, since VERITY_API_KEY is not set", nil
	}
	return "takes webhooks; texts go out through Verity", nil
}

// texts reports whether some texting system can prove its webhooks.
func (c Config) texts() bool {
	return c.Verity.WebhookSecret.Set() || len(c.Texting.TwilioTokens)+len(c.Texting.TelnyxKeys)+len(c.Texting.StandardSecrets) > 0 ||
		c.Unsigned[df.SourceTexting]
}

func (a *App) checkOwnToken(ctx context.Context) (string, error) {
	if _, err := a.token.Token(ctx); err != nil {
		return "", err
	}
	status := a.token.Status()
	if status.Trouble != "" {
		return "", caution(fmt.Sprintf("our own token is valid until %s, but the next one cannot be had: %s", shownTime(status.ExpiresAt), status.Trouble))
	}
	return "our own token was issued; valid until " + shownTime(status.ExpiresAt), nil
}

// keysOld is the age at which Clerk's keys were due several times over.
const keysOld = 3 * time.Hour

func (a *App) checkClerkKeys(ctx context.Context) (string, error) {
	if a.jwks == nil {
		return "the key of CLERK_JWT_KEY, which is never fetched anew: change it when Clerk rotates", nil
	}
	// A key that nobody has makes it ask Clerk, though not more often than it may.
	_, err := a.jwks.Key(ctx, "dfm-doctor")
	keys, at := a.jwks.Status()
	switch age := a.clock().Sub(at); {
	case at.IsZero():
		return "", fmt.Errorf("no caller's token is accepted, since the public keys of Clerk cannot be read: %w", err)
	case age > keysOld:
		return "", caution(fmt.Sprintf("%d keys, but %s old: Clerk does not answer, and a rotated key would not be known", keys, age.Round(time.Minute)))
	default:
		return fmt.Sprintf("%d keys of %s, %s old", keys, a.config.Clerk.Issuer, age.Round(time.Second)), nil
	}
}

// skewAllowed is how far clocks may be apart before signatures and tokens with a
// time in them begin to be refused.
const skewAllowed = 30 * time.Second

// checkClock compares our clock with those of the upstreams.
func (a *App) checkClock(ctx context.Context) (string, error) {
	urls := map[string]string{"verity": a.config.Verity.BaseURL}
	if a.sync.ghl != nil {
		urls["ghl"] = a.config.GHL.BaseURL
	}
	if a.sync.aloware != nil {
		urls["aloware"] = a.config.Aloware.BaseURL
	}
	if a.token != nil {
		urls["clerk"] = a.config.Clerk.APIURL
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime/2) // who is slow has no say
	defer cancel()
	var mu sync.Mutex
	var asking sync.WaitGroup
	told, ahead, whose := 0, time.Duration(0), ""
	for name, url := range urls {
		asking.Go(func() {
			sent := a.clock()
			answer, err := head(ctx, url, nil)
			if err != nil || answer.date.IsZero() {
				return
			}
			// The header has whole seconds and was written somewhere between.
			middle := sent.Add(a.clock().Sub(sent) / 2)
			skew := middle.Sub(answer.date.Add(500 * time.Millisecond))
			mu.Lock()
			defer mu.Unlock()
			if told++; skew.Abs() > ahead.Abs() || told == 1 {
				ahead, whose = skew, name
			}
		})
	}
	asking.Wait()
	switch {
	case told == 0:
		return "no upstream told its time", nil
	case ahead.Abs() > skewAllowed:
		return "", caution(fmt.Sprintf("this machine's clock is %s of %s: have it set by NTP, or signatures and tokens will be refused", apart(ahead), whose))
	case ahead.Abs() < 2*time.Second:
		return fmt.Sprintf("agrees with %d upstreams", told), nil
	}
	return fmt.Sprintf("%s of %s", apart(ahead), whose), nil
}

func apart(ahead time.Duration) string {
	if ahead < 0 {
		return (-ahead).Round(time.Second).String() + " behind that"
	}
	return ahead.Round(time.Second).String() + " ahead of that"
}

// headed is what a server says when it is only asked whether it is there.
type headed struct {
	status int
	date   time.Time // zero when it does not say
}

// head finds out whether a server answers at all, whatever it answers.
func head(ctx context.Context, url string, header http.Header) (headed, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return headed{}, err
	}
	if header != nil {
		request.Header = header
	}
	transport := egress.NewTransport()
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return headed{}, errors.New("does not answer")
	}
	date, _ := http.ParseTime(response.Header.Get("Date")) // zero when there is none
	return headed{response.StatusCode, date}, response.Body.Close()
}

// reach finds out whether a server answers.
func reach(ctx context.Context, url string) error {
	_, err := head(ctx, url, nil)
	return err
}

func shownTime(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 UTC") }

func fourDigits(n int) string { return strings.TrimSpace(fmt.Sprintf("%04d", n)) }
