package auth

import (
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"
)

// Identity is whom a verified Clerk token speaks for. Version 1 and version 2
// of Clerk's claims come out the same.
type Identity struct {
	Subject     string // user_…, or mch_… for a machine
	SessionID   string // sess_…; empty for a machine
	TokenID     string // jti; empty in version 1
	OrgID       string
	OrgSlug     string
	OrgRole     string   // "org:admin", "org:member", …; empty without an active organisation
	Permissions []string // "org:<feature>:<permission>"
	Actor       string   // who impersonates the subject, or empty
	Machine     bool     // a machine's token (M2M), not a person's session
	ExpiresAt   time.Time
	Issuer      string
}

// claims is the payload of Clerk's JWTs: sessions of both versions and
// machines. The JSON decoder of go-jose refuses names that occur twice and
// names in another letter case.
type claims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Expiry    *instant `json:"exp"`
	NotBefore *instant `json:"nbf"`
	IssuedAt  *instant `json:"iat"`
	ID        string   `json:"jti"`

	Session  string          `json:"sid"`
	Party    string          `json:"azp"`
	Client   string          `json:"client_id"` // of OAuth access tokens
	Status   string          `json:"sts"`
	Version  int             `json:"v"`
	Features string          `json:"fea"`
	Act      *actorClaim     `json:"act"`
	Org      json.RawMessage `json:"o"`

	OrgID          string   `json:"org_id"`
	OrgSlug        string   `json:"org_slug"`
	OrgRole        string   `json:"org_role"`
	OrgPermissions []string `json:"org_permissions"`

	Audience json.RawMessage `json:"aud"`
	Scopes   json.RawMessage `json:"scopes"`
}

type actorClaim struct {
	Subject string `json:"sub"`
}

// organisation is the claim "o" of version 2.
type organisation struct {
	ID          string `json:"id"`
	Slug        string `json:"slg"`
	Role        string `json:"rol"` // without the prefix "org:"
	Permissions string `json:"per"` // comma list
	Masks       string `json:"fpm"` // comma list, one bit mask over per for each feature
}

// instant is a NumericDate (RFC 7519, §2) that fits the calendar.
type instant time.Time

// latestInstant is the last second of the year 9999.
const latestInstant = 253402300799

func (i *instant) UnmarshalJSON(text []byte) error {
	seconds, err := strconv.ParseFloat(string(text), 64)
	if err != nil || math.IsNaN(seconds) || seconds < 0 || seconds > latestInstant {
		return &TokenError{Reason: ReasonMalformed}
	}
	*i = instant(time.Unix(int64(seconds), 0).UTC())
	return nil
}

// time returns the moment, and the zero time when the claim is absent.
func (i *instant) time() time.Time {
	if i == nil {
		return time.Time{}
	}
	return time.Time(*i)
}

// identity maps the claims, which have been verified, to an Identity.
func (c *claims) identity() (Identity, error) {
	id := Identity{Subject: c.Subject, SessionID: c.Session, TokenID: c.ID, ExpiresAt: c.Expiry.time(), Issuer: c.Issuer,
		OrgID: c.OrgID, OrgSlug: c.OrgSlug, OrgRole: c.OrgRole, Permissions: c.OrgPermissions}
	if c.Act != nil {
		if c.Act.Subject == "" {
			return Identity{}, &TokenError{Reason: ReasonMalformed}
		}
		id.Actor = c.Act.Subject
	}
	if c.Version < 2 {
		return id, nil
	}
	var org organisation
	if len(c.Org) > 0 {
		if err := json.Unmarshal(c.Org, &org); err != nil {
			return Identity{}, &TokenError{Reason: ReasonMalformed, Err: err}
		}
	}
	id.OrgID, id.OrgSlug, id.OrgRole = org.ID, org.Slug, ""
	if org.Role != "" {
		id.OrgRole = "org:" + org.Role
	}
	id.Permissions = orgPermissions(c.Features, org.Permissions, org.Masks)
	return id, nil
}

// orgPermissions recovers the permissions of version 2. The masks are paired by
// position with those features that are in the organisation's scope ("o:" or
// "uo:"), and the lowest bit of each stands for the first permission. Masks are
// decimal and may be wider than any machine word (Clerk's own SDK reads them
// digit by digit). A mask that is no number grants nothing.
func orgPermissions(features, permissions, masks string) []string {
	if permissions == "" || masks == "" {
		return nil
	}
	names := splitList(permissions)
	scoped := orgFeatures(features)
	var granted []string
	for i, mask := range splitList(masks) {
		if i >= len(scoped) {
			break
		}
		bits, ok := parseMask(mask)
		if !ok {
			continue
		}
		for b, name := range names {
			if bits.Bit(b) == 1 {
				granted = append(granted, "org:"+scoped[i]+":"+name)
			}
		}
	}
	return granted
}

func parseMask(text string) (*big.Int, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return nil, false
	}
	return new(big.Int).SetString(text, 10)
}

// orgFeatures returns the names of the features in the organisation's scope.
func orgFeatures(features string) []string {
	var names []string
	for _, feature := range splitList(features) {
		scope, name, ok := strings.Cut(feature, ":")
		if ok && strings.Contains(scope, "o") {
			names = append(names, name)
		}
	}
	return names
}

// splitList splits a comma list and trims its members.
func splitList(text string) []string {
	members := strings.Split(text, ",")
	for i, member := range members {
		members[i] = strings.TrimSpace(member)
	}
	return members
}

// machines returns the machines that an M2M token is meant for: the ids in aud
// and scopes, each of which may be one text or a list.
func (c *claims) machines() []string {
	return slices.Concat(stringOrList(c.Audience), stringOrList(c.Scopes))
}

func stringOrList(raw json.RawMessage) []string {
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return list
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return strings.Fields(text)
	}
	return nil
}
