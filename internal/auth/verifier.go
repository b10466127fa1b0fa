package auth

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"

	"github.com/df-middleware/dfm/internal/df"
)

// Leeway is the difference between two clocks that is forgiven, the same as in
// Clerk's own SDKs.
const Leeway = 5 * time.Second

// maxToken is the size of the largest token that is looked at, in bytes.
const maxToken = 8 << 10

// maxKid is the longest key id that is looked up, in bytes.
const maxKid = 128

// The reasons for which a token is refused, a closed set fit for metrics.
const (
	ReasonMalformed  = "malformed"        // not a JWT that we read: size, form, claims of the wrong type, duplicates, crit
	ReasonAlgorithm  = "algorithm"        // not RS256
	ReasonType       = "type"             // an OAuth access token (at+jwt) where none will do, or no JWT
	ReasonUnknownKey = "unknown_key"      // signed with a key that Clerk does not publish
	ReasonSignature  = "signature"        // the signature does not fit
	ReasonNoExpiry   = "no_expiry"        // no exp
	ReasonExpired    = "expired"          // exp has passed
	ReasonNotYet     = "not_yet"          // nbf or iat lies ahead
	ReasonIssuer     = "issuer"           // not our instance
	ReasonParty      = "authorized_party" // azp, or the client of an OAuth token, is not in the list
	ReasonSubject    = "subject"          // neither a user nor a machine
	ReasonSession    = "session"          // a user's token without a session
	ReasonPending    = "pending"          // signed in, but a required step is unfinished
	ReasonMachine    = "machine"          // a machine where a person is asked for, or one that is not meant for us
)

// TokenError says why a token was refused. It is ErrInvalidToken, so outsiders
// read only that; the reason is for logs and metrics.
type TokenError struct {
	Reason string
	Err    error // cause, may be nil
}

// Error names the reason.
func (e *TokenError) Error() string { return "invalid token: " + e.Reason }

// Unwrap returns ErrInvalidToken and the cause.
func (e *TokenError) Unwrap() []error { return []error{ErrInvalidToken, e.Err} }

// KeySource finds the public key with which a token was signed. JWKS and
// StaticKey are the two there are.
type KeySource interface {
	// Key returns the key with that id. The errors are a *TokenError with
	// ReasonUnknownKey, ErrKeysUnavailable, and the context's.
	Key(ctx context.Context, kid string) (*rsa.PublicKey, error)
	// NeedsKid reports whether a token without a kid is to be refused.
	NeedsKid() bool
}

// StaticKey is the one key of CLERK_JWT_KEY: it needs no network, and tokens'
// key ids are ignored.
type StaticKey struct {
	key *rsa.PublicKey
}

// ParseStaticKey reads a PEM public key (PKIX or PKCS #1, at least 2048 bits).
// Environment files often hold PEM text with \n for line ends; that is read too.
func ParseStaticKey(text string) (*StaticKey, error) {
	block, _ := pem.Decode([]byte(strings.ReplaceAll(text, `\n`, "\n")))
	if block == nil {
		return nil, errors.New("CLERK_JWT_KEY must be a PEM public key (-----BEGIN PUBLIC KEY-----)")
	}
	if key, err := x509.ParsePKCS1PublicKey(block.Bytes); err == nil {
		return newStaticKey(key)
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("CLERK_JWT_KEY: %w", err)
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("CLERK_JWT_KEY must be an RSA key: Clerk signs with RS256")
	}
	return newStaticKey(key)
}

func newStaticKey(key *rsa.PublicKey) (*StaticKey, error) {
	if !soundKey(key) {
		return nil, errors.New("CLERK_JWT_KEY must have 2048 to 8192 bits")
	}
	return &StaticKey{key}, nil
}

// Key returns the key, whatever the id.
func (s *StaticKey) Key(context.Context, string) (*rsa.PublicKey, error) { return s.key, nil }

// NeedsKid reports false.
func (s *StaticKey) NeedsKid() bool { return false }

// soundKey reports whether a key is neither weak nor so large that checking
// with it would be an attack.
func soundKey(key *rsa.PublicKey) bool {
	bits := key.N.BitLen()
	return bits >= 2048 && bits <= 8192 && key.E >= 3 && key.E%2 == 1
}

// Accept says whose tokens will do.
type Accept int

// SessionOnly takes a person's session; SessionOrMachine also takes an M2M
// token that is meant for one of VerifierConfig.Machines; AnyCaller also takes an
// OAuth access token (at+jwt) that VerifierConfig.OAuth allows.
const (
	SessionOnly Accept = iota
	SessionOrMachine
	AnyCaller
)

// OAuth says which OAuth access tokens of the instance are meant for us. All of
// them are signed with the same keys, also those for other services.
type OAuth struct {
	Resource string   // our own URL; a token with it in aud is for us. "" for none
	Clients  []string // ids of OAuth applications whose tokens are for us
}

// VerifierConfig says which Clerk tokens are good.
type VerifierConfig struct {
	Issuer string // CLERK_ISSUER, compared letter by letter
	Keys   KeySource
	// Parties is CLERK_AUTHORIZED_PARTIES. When it is empty, azp is not looked
	// at; a token without azp passes in any case, as Clerk advises.
	Parties []string
	// Machines holds the ids (mch_…) of the machines for which M2M tokens must
	// be meant. When it is empty no M2M token is accepted: a token for another
	// machine of the same Clerk instance carries a good signature too.
	Machines []string
	OAuth    OAuth // the zero value accepts no OAuth access token
	Clock    df.Clock
	// OnRefuse, which may be nil, is told the reason of each refusal.
	OnRefuse func(reason string)
}

// Verifier checks Clerk's JWTs without asking Clerk. Nothing about verified
// tokens is remembered: verifying one takes some 60 µs, two thirds of them RSA, and so a token
// ends on the second and a withdrawn key counts at once.
type Verifier struct {
	VerifierConfig
}

// NewVerifier returns a verifier. The issuer is required: any Clerk instance's
// tokens are well signed with some key of Clerk's.
func NewVerifier(config VerifierConfig) (*Verifier, error) {
	if config.Issuer == "" || config.Keys == nil {
		return nil, errors.New("CLERK_ISSUER and one of CLERK_JWT_KEY, CLERK_JWKS_URL must be set to verify tokens")
	}
	if config.OnRefuse == nil {
		config.OnRefuse = func(string) {}
	}
	return &Verifier{config}, nil
}

// Verify returns whom the token speaks for. A token that is not good is a
// *TokenError; without any key to judge it by the error is ErrKeysUnavailable.
func (v *Verifier) Verify(ctx context.Context, token string, accept Accept) (Identity, error) {
	id, err := v.verify(ctx, token, accept)
	if refused, ok := errors.AsType[*TokenError](err); ok {
		v.OnRefuse(refused.Reason)
	}
	return id, err
}

func (v *Verifier) verify(ctx context.Context, token string, accept Accept) (Identity, error) {
	signed, kid, err := parseToken(token, v.Keys.NeedsKid())
	if err != nil {
		return Identity{}, err
	}
	oauth := isAccessToken(signed)
	if oauth && accept != AnyCaller {
		return Identity{}, &TokenError{Reason: ReasonType}
	}
	key, err := v.Keys.Key(ctx, kid)
	if err != nil {
		return Identity{}, err
	}
	payload, err := signed.Verify(key)
	if err != nil {
		return Identity{}, &TokenError{Reason: ReasonSignature, Err: err}
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return Identity{}, &TokenError{Reason: ReasonMalformed, Err: err}
	}
	reason := v.judge(&c, accept)
	if oauth {
		reason = v.judgeOAuth(&c)
	}
	if reason != "" {
		return Identity{}, &TokenError{Reason: reason}
	}
	id, err := c.identity()
	id.Machine = err == nil && isMachine(&c)
	return id, err
}

// parseToken reads the form and the header. Everything in the header but alg,
// typ and kid is ignored, keys that a token brings along above all; what claims
// to be critical is refused, since we understand no extension.
func parseToken(token string, needsKid bool) (signed *jose.JSONWebSignature, kid string, err error) {
	if !wellFormed(token) {
		return nil, "", &TokenError{Reason: ReasonMalformed}
	}
	signed, err = jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if _, other := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err); other {
		return nil, "", &TokenError{Reason: ReasonAlgorithm, Err: err}
	}
	if err != nil {
		return nil, "", &TokenError{Reason: ReasonMalformed, Err: err}
	}
	header := signed.Signatures[0].Protected
	for _, extension := range []jose.HeaderKey{"crit", "b64"} {
		if _, there := header.ExtraHeaders[extension]; there {
			return nil, "", &TokenError{Reason: ReasonMalformed}
		}
	}
	if kind, _ := header.ExtraHeaders[jose.HeaderType].(string); !strings.EqualFold(kind, "JWT") && !isAccessToken(signed) {
		return nil, "", &TokenError{Reason: ReasonType}
	}
	if needsKid && (header.KeyID == "" || len(header.KeyID) > maxKid) {
		return nil, "", &TokenError{Reason: ReasonUnknownKey}
	}
	return signed, header.KeyID, nil
}

// wellFormed reports whether the token has three parts of base64url letters, in
// the one way to spell them. Go's decoder skips line breaks and ignores the
// unused bits of the last letter, so without this a token had many spellings.
func wellFormed(token string) bool {
	if len(token) > maxToken || strings.Count(token, ".") != 2 {
		return false
	}
	for part := range strings.SplitSeq(token, ".") {
		if _, err := base64.RawURLEncoding.Strict().DecodeString(part[len(part)/4*4:]); err != nil {
			return false
		}
	}
	for i := range len(token) {
		c := token[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// judge returns why the claims are not acceptable, or "".
func (v *Verifier) judge(c *claims, accept Accept) string {
	if reason := judgeTimes(c, v.Clock()); reason != "" {
		return reason
	}
	if c.Issuer != v.Issuer {
		return ReasonIssuer
	}
	if c.Party != "" && len(v.Parties) > 0 && !slices.Contains(v.Parties, c.Party) {
		return ReasonParty
	}
	if isMachine(c) {
		return v.judgeMachine(c, accept)
	}
	switch {
	case !strings.HasPrefix(c.Subject, "user_"):
		return ReasonSubject
	case c.Session == "":
		return ReasonSession
	case c.Status == "pending":
		return ReasonPending
	}
	return ""
}

func judgeTimes(c *claims, now time.Time) string {
	switch {
	case c.Expiry == nil:
		return ReasonNoExpiry
	case !now.Before(c.Expiry.time().Add(Leeway)):
		return ReasonExpired
	case c.NotBefore.time().After(now.Add(Leeway)), c.IssuedAt.time().After(now.Add(Leeway)):
		return ReasonNotYet
	}
	return ""
}

// isAccessToken reports whether the header says that this is an OAuth access
// token (RFC 9068).
func isAccessToken(signed *jose.JSONWebSignature) bool {
	kind, _ := signed.Signatures[0].Protected.ExtraHeaders[jose.HeaderType].(string)
	return strings.EqualFold(kind, "at+jwt") || strings.EqualFold(kind, "application/at+jwt")
}

// judgeOAuth returns why an OAuth access token is not acceptable, or "".
func (v *Verifier) judgeOAuth(c *claims) string {
	if reason := judgeTimes(c, v.Clock()); reason != "" {
		return reason
	}
	forUs := v.OAuth.Resource != "" && slices.Contains(stringOrList(c.Audience), v.OAuth.Resource)
	switch {
	case c.Issuer != v.Issuer:
		return ReasonIssuer
	case !strings.HasPrefix(c.Subject, "user_"):
		return ReasonSubject
	case !forUs && !slices.Contains(v.OAuth.Clients, c.Client):
		return ReasonParty
	}
	return ""
}

// judgeMachine checks that the machine's token may be used here: an M2M JWT
// cannot be revoked and the receiver has to check for whom it is.
func (v *Verifier) judgeMachine(c *claims, accept Accept) string {
	if accept == SessionOnly {
		return ReasonMachine
	}
	for _, machine := range c.machines() {
		if slices.Contains(v.Machines, machine) {
			return ""
		}
	}
	return ReasonMachine
}

func isMachine(c *claims) bool { return strings.HasPrefix(c.Subject, "mch_") }
