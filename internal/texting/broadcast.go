package texting

import (
	"net/http"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Broadcast is the adapter of Verity's broadcast webhooks, proved by
// X-Broadcast-Signature or X-Signature (hex HMAC-SHA256 of the raw body), else by
// X-DF-Broadcast-Secret, the secret itself.
type Broadcast struct{ secret bodySecret }

// NewBroadcast returns the adapter. Without a secret it takes nothing.
func NewBroadcast(secret df.Secret) *Broadcast {
	return &Broadcast{bodySecret{secret, []string{"X-Broadcast-Signature", "X-Signature"}, "X-Df-Broadcast-Secret"}}
}

// Verify returns ProofHMAC or ProofSharedSecret. It returns ErrNoVerifier when no
// secret is set and ErrProof otherwise.
func (b *Broadcast) Verify(h http.Header, body []byte) (proof string, err error) {
	return b.secret.verify(h, body)
}

// Decode says which broadcast a delivery is about. Whatever the event is called,
// the broadcast's analytics are to be read again. It never fails: what cannot be
// read comes back with Skip set.
func (b *Broadcast) Decode(raw []byte) df.Notice {
	root, err := parseRecord(raw)
	switch {
	case err != nil:
		return df.Notice{Kind: df.KindUnknown, Skip: skipUnreadable}
	case len(root) == 0:
		return df.Notice{Kind: df.KindPing, Ping: pingEmpty}
	}
	l := layersOf(root, "data")
	notice := df.Notice{
		Type: root.name("eventtype", "type", "event"), Kind: df.KindBroadcast, EntityType: "broadcast",
		EntityID: firstText(l.id("broadcastid"), l.object("broadcast").id("id")), OccurredAt: l.at("timestamp", "occurredat"),
	}
	switch {
	case notice.Type == "":
		notice.Skip = skipNameless
	case notice.EntityID == "":
		notice.Skip = "names no broadcast"
	case !notice.OccurredAt.IsZero():
		notice.DeliveryID = notice.EntityID + ":" + notice.Type + ":" + notice.OccurredAt.Format(time.RFC3339Nano)
	}
	return notice
}
