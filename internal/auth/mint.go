package auth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/df-middleware/dfm/internal/df"
)

// clerkVersion is the version of Clerk's Backend API that this code speaks.
const clerkVersion = "2026-05-12"

const (
	clerk        = "clerk"
	mintAttempt  = "mint token"
	mintTimeout  = 10 * time.Second
	mintMaxBytes = 64 << 10
	minTTL       = 30 * time.Second // Clerk's least expires_in_seconds
	maxTTL       = 365 * 24 * time.Hour
)

// MinterConfig says as whom the middleware gets its own token.
type MinterConfig struct {
	APIURL string // CLERK_API_URL, with /v1

	// MachineSecret is CLERK_MACHINE_SECRET_KEY (ak_…). When it is set, M2M JWTs
	// are made and the session is not looked at.
	MachineSecret df.Secret

	// Secret is CLERK_SECRET_KEY (sk_…), Session CLERK_SESSION_ID and Template,
	// which may be empty, CLERK_JWT_TEMPLATE. The session is always named by the
	// operator: no user is ever looked up or chosen.
	Secret   df.Secret
	Session  string
	Template string

	TTL    time.Duration // CLERK_TOKEN_TTL: what is asked for, not what is believed
	Client Doer
	Clock  df.Clock
}

// Minter asks Clerk for tokens.
type Minter struct {
	MinterConfig
	url  string
	body []byte
	key  df.Secret
	name string
}

// NewMinter returns a minter, or an error that names the settings at fault. With
// neither kind of credential the error is a *df.CallError with code
// not_configured.
func NewMinter(config MinterConfig) (*Minter, error) {
	if config.TTL < minTTL || config.TTL > maxTTL {
		return nil, fmt.Errorf("CLERK_TOKEN_TTL must be between %s and %s", minTTL, maxTTL)
	}
	base := strings.TrimRight(config.APIURL, "/")
	if parsed, err := url.Parse(base); err != nil || parsed.Host == "" {
		return nil, errors.New("CLERK_API_URL must be an http(s) URL such as https://api.clerk.com/v1")
	}
	m := &Minter{MinterConfig: config}
	ttl := int64(config.TTL / time.Second)
	switch {
	case config.MachineSecret.Set():
		m.key, m.url = config.MachineSecret, base+"/m2m_tokens"
		m.body = fmt.Appendf(nil, `{"token_format":"jwt","seconds_until_expiration":%d}`, ttl)
	case config.Secret.Set() && config.Session != "":
		if !plainID(config.Session) || config.Template != "" && !plainID(config.Template) {
			return nil, errors.New("CLERK_SESSION_ID and CLERK_JWT_TEMPLATE must consist of letters, digits, _ and -")
		}
		m.key, m.url = config.Secret, base+"/sessions/"+config.Session+"/tokens"
		if config.Template != "" {
			m.url += "/" + config.Template
		}
		m.body = fmt.Appendf(nil, `{"expires_in_seconds":%d}`, ttl)
	default:
		return nil, &df.CallError{Upstream: clerk, Operation: mintAttempt, Outcome: df.Refused, Code: df.CodeUnconfigured,
			Message: "set CLERK_MACHINE_SECRET_KEY, or CLERK_SECRET_KEY and CLERK_SESSION_ID"}
	}
	m.name = m.fingerprint()
	return m, nil
}

// Name tells this token from any other: it changes with every setting that
// changes the token, so what instances share about a token (that its session
// is dead, say) ends with the settings it was true for.
func (m *Minter) Name() string { return m.name }

func (m *Minter) fingerprint() string {
	sum := sha256.New()
	for _, part := range []string{m.url, m.key.Reveal(), string(m.body)} {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	return "verity-" + hex.EncodeToString(sum.Sum(nil)[:12])
}

func plainID(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && r != '_' && r != '-'
	}) < 0
}

// mint asks for one token. Its errors are *df.CallError, or ctx's own when it
// was cancelled. Asking twice does no harm, so a time-out may be retried.
func (m *Minter) mint(ctx context.Context) (*ownToken, error) {
	answer, body, err := m.post(ctx)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusCreated {
		return nil, m.refusal(answer, body)
	}
	var reply struct {
		JWT   string `json:"jwt"`   // sessions
		Token string `json:"token"` // machines
	}
	if err := json.Unmarshal(body, &reply); err != nil {
		return nil, m.fault(df.CodeGarbled, df.RetryLater, "the answer is not JSON", err)
	}
	if reply.JWT == "" {
		reply.JWT = reply.Token
	}
	now := m.Clock()
	token, err := readOwnToken(reply.JWT, now, serverDate(answer.Header))
	if err != nil {
		return nil, m.fault(df.CodeGarbled, df.Refused, err.Error(), nil)
	}
	return token, nil
}

// post sends the request and reads the answer whole.
func (m *Minter) post(ctx context.Context) (*http.Response, []byte, error) {
	limited, cancel := context.WithTimeout(ctx, mintTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(limited, http.MethodPost, m.url, bytes.NewReader(m.body))
	if err != nil {
		return nil, nil, m.fault(df.CodeInvalid, df.Refused, "the address is not usable", nil)
	}
	request.Header.Set("Authorization", "Bearer "+m.key.Reveal())
	request.Header.Set("Clerk-API-Version", clerkVersion)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	answer, err := m.Client.Do(request)
	if err != nil {
		return nil, nil, m.unanswered(ctx, limited, err)
	}
	defer answer.Body.Close()
	body, err := readAtMost(answer.Body, mintMaxBytes)
	if err != nil {
		return nil, nil, m.unanswered(ctx, limited, err)
	}
	return answer, body, nil
}

func (m *Minter) unanswered(ctx, limited context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case limited.Err() != nil:
		return m.fault(df.CodeTimeout, df.RetryLater, "no answer in time", err)
	default:
		return m.fault(df.CodeUnavailable, df.RetryLater, "no answer", err)
	}
}

// refusal turns an answer that is no success into a verdict. Clerk answers 404
// for a session that has ended, 401 for a bad secret, 429 with Retry-After.
func (m *Minter) refusal(answer *http.Response, body []byte) error {
	fault := m.fault("", df.Refused, clerkErrors(answer, body), nil)
	fault.Status = answer.StatusCode
	switch status := answer.StatusCode; {
	case status == http.StatusTooManyRequests:
		fault.Code, fault.Outcome = df.CodeRateLimited, df.RetryLater
		fault.RetryAt = retryAt(answer.Header, m.Clock())
	case status >= 500, status == http.StatusRequestTimeout:
		fault.Code, fault.Outcome = df.CodeUnavailable, df.RetryLater
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		fault.Code = df.CodeUnauthorized
	case status == http.StatusNotFound, status == http.StatusGone:
		fault.Code = df.CodeNotFound
	default:
		fault.Code = df.CodeInvalid
	}
	return fault
}

func (m *Minter) fault(code string, outcome df.Outcome, message string, cause error) *df.CallError {
	return &df.CallError{Upstream: clerk, Operation: mintAttempt, Outcome: outcome, Code: code, Message: message, Err: cause}
}

// clerkErrors returns the codes of Clerk's error body and its trace id, which
// its support asks for. The messages may name people and are left out.
func clerkErrors(answer *http.Response, body []byte) string {
	var reply struct {
		Errors []struct {
			Code string `json:"code"`
		} `json:"errors"`
		Trace string `json:"clerk_trace_id"`
	}
	if json.Unmarshal(body, &reply) != nil {
		return ""
	}
	if reply.Trace == "" {
		reply.Trace = answer.Header.Get("Clerk-Trace-Id")
	}
	var parts []string
	for _, e := range reply.Errors[:min(len(reply.Errors), 3)] {
		if plainID(e.Code) && len(e.Code) <= 64 {
			parts = append(parts, e.Code)
		}
	}
	if reply.Trace != "" && plainID(reply.Trace) && len(reply.Trace) <= 64 {
		parts = append(parts, "trace "+reply.Trace)
	}
	return strings.Join(parts, ", ")
}

// retryAt reads Retry-After, in seconds or as a date; half a minute when it is
// absent or senseless, ten minutes at most.
func retryAt(header http.Header, now time.Time) time.Time {
	const usual, longest = 30 * time.Second, 10 * time.Minute
	value := header.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil && seconds >= 0 {
		return now.Add(min(time.Duration(min(seconds, 3600))*time.Second, longest))
	}
	if date, err := http.ParseTime(value); err == nil && date.After(now) {
		return now.Add(min(date.Sub(now), longest))
	}
	return now.Add(usual)
}

// serverDate returns the time on the server's clock, or the zero time.
func serverDate(header http.Header) time.Time {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return date
}
