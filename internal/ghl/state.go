package ghl

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// StateStore remembers which states were used.
type StateStore interface {
	// ConsumeState marks the nonce as used and reports whether it was not used
	// before. It may forget the nonce once expires has passed.
	ConsumeState(ctx context.Context, nonce string, expires time.Time) (fresh bool, err error)
}

const (
	stateTime  = 15 * time.Minute // an administrator picks a location and confirms
	nonceSize  = 16
	stateSize  = nonceSize + 8 // nonce, expiry in Unix seconds
	stateScope = "ghl oauth state\n"
)

// NewState returns a state for Install: random, signed, and good for one
// callback within 15 minutes. It keeps others from having their own installation
// taken for ours.
func (a *App) NewState() (string, error) {
	payload := make([]byte, nonceSize, stateSize)
	if _, err := io.ReadFull(a.random, payload); err != nil {
		return "", fmt.Errorf("make an OAuth state: %w", err)
	}
	payload = binary.BigEndian.AppendUint64(payload, uint64(a.clock().Add(stateTime).Unix())) //nolint:gosec // after 1970
	return base64.RawURLEncoding.EncodeToString(append(payload, a.signState(payload)...)), nil
}

func (a *App) signState(payload []byte) []byte {
	mac := hmac.New(sha256.New, []byte(a.stateKey.Reveal()))
	mac.Write([]byte(stateScope))
	mac.Write(payload)
	return mac.Sum(nil)
}

// checkState accepts a state of ours that is not expired and not used.
func (a *App) checkState(ctx context.Context, state string) error {
	refused := &df.Error{Code: "INVALID_STATE", Status: 400,
		Message: "this installation was not started here, is too old, or was completed before; start it again"}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(state)
	if err != nil || len(raw) != stateSize+sha256.Size {
		return refused
	}
	payload, signature := raw[:stateSize], raw[stateSize:]
	if !hmac.Equal(signature, a.signState(payload)) {
		return refused
	}
	expires := time.Unix(int64(binary.BigEndian.Uint64(payload[nonceSize:])), 0) //nolint:gosec // signed by us
	if !a.clock().Before(expires) {
		return refused
	}
	fresh, err := a.states.ConsumeState(ctx, hex.EncodeToString(payload[:nonceSize]), expires)
	if err != nil {
		return fmt.Errorf("check the OAuth state: %w", err)
	}
	if !fresh {
		return refused
	}
	return nil
}
