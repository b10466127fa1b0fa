package auth

import (
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/df-middleware/dfm/internal/df"
)

const (
	// leastLife is the shortest life of a token that is worth using.
	leastLife = 10 * time.Second
	// longLife is where the two rules for the end of a token's use meet.
	longLife = 25 * time.Minute
	// tailOfLong is the part of a long life that is not used.
	tailOfLong = 5 * time.Minute
	// clockNoise is a difference of clocks that a Date header cannot show.
	clockNoise = 2 * time.Second
)

// ownToken is a token of ours. All its times are on our own clock, whatever the
// issuer's clock says.
type ownToken struct {
	value   df.Secret
	id      string // jti
	session string // sid
	offset  time.Duration

	issued  time.Time
	renewAt time.Time // from here on the next one is fetched
	softEnd time.Time // up to here it is used without a thought
	hardEnd time.Time // up to here it is used when there is no next one
	expires time.Time
}

// readOwnToken reads from a token that was just obtained how long it lives. It
// is not verified: it came from its issuer over TLS, and is only passed on.
// What was asked for does not count. The issuer's clock is told from date (the
// Date header of its answer) or, without one, from iat.
func readOwnToken(jwt string, now, date time.Time) (*ownToken, error) {
	c, err := peekClaims(jwt)
	if err != nil {
		return nil, err
	}
	issued := c.IssuedAt.time()
	reference := date
	if reference.IsZero() {
		reference = issued
	}
	offset := time.Duration(0)
	if !reference.IsZero() && reference.Sub(now).Abs() >= clockNoise {
		offset = reference.Sub(now)
	}
	if issued.IsZero() {
		issued = now.Add(offset)
	}
	token, err := newOwnToken(df.Secret(jwt), c, issued, offset)
	if err == nil && !now.Before(token.softEnd) {
		return nil, errors.New("the token is at its end already")
	}
	return token, err
}

// newOwnToken works out when to renew and when to stop using a token that was
// issued at a time of the issuer's clock, which is ahead of ours by offset.
func newOwnToken(value df.Secret, c *claims, issued time.Time, offset time.Duration) (*ownToken, error) {
	if c.Expiry == nil {
		return nil, errors.New("the token has no exp")
	}
	life := c.Expiry.time().Sub(issued)
	if life < leastLife {
		return nil, errors.New("the token lives less than 10 seconds")
	}
	tail := tailOfLong
	if life < longLife {
		tail = life / 5
	}
	expires := c.Expiry.time().Add(-offset)
	return &ownToken{value: value, id: c.ID, session: c.Session, offset: offset,
		issued: issued.Add(-offset), expires: expires,
		softEnd: expires.Add(-tail), hardEnd: expires.Add(-min(Leeway, life/10))}, nil
}

// peekClaims decodes a JWT's payload without verifying anything.
func peekClaims(jwt string) (*claims, error) {
	parts := strings.Split(jwt, ".")
	if !wellFormed(jwt) || len(parts) != 3 {
		return nil, errors.New("the answer holds no JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, errors.New("the token's payload is not base64url")
	}
	var c claims
	if json.Unmarshal(payload, &c) != nil {
		return nil, errors.New("the token's payload cannot be read")
	}
	return &c, nil
}
