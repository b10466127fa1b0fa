package legacy

import (
	"context"
	"regexp"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	original "github.com/df-middleware/dfm/internal/store/legacy"
)

// uuid is the form of Verity's conversation ids, which the original mixed up with
// GHL's.
var uuid = regexp.MustCompile(`(?i)^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$`)

// messages imports which ids one text has in which system, so that a text the
// original put into GHL is not put there again.
func (r *run) messages(ctx context.Context, t *Table) error {
	return r.Source.Messages(ctx, batchSize, func(rows []original.Message) error {
		return r.batch(ctx, t, len(rows), func(tx store.Tx, c *tally) error {
			for _, m := range rows {
				text, ok := r.message(m, c)
				if !ok {
					continue
				}
				added, err := store.AddMessage(ctx, tx, text)
				if err != nil {
					return err
				}
				c.add(added)
			}
			return nil
		})
	})
}

func (r *run) message(m original.Message, c *tally) (store.Message, bool) {
	at := m.CreatedAt
	if at.IsZero() {
		at = r.Clock()
	}
	text := store.Message{
		ID: store.PastID(at, "message_mappings", m.ID), TextingID: realID(m.TextingID), GHLID: realID(m.GHLID), AlowareID: realID(m.AlowareID),
		GHLContactID: realID(m.GHLContactID), AlowareContactID: realID(m.AlowareContactID), ConversationID: realID(m.ConversationID),
		From: r.phone(m.From), To: r.phone(m.To), OccurredAt: at, CreatedAt: at, UpdatedAt: at,
	}
	switch {
	case text.TextingID == "" && text.GHLID == "" && text.AlowareID == "":
		c.refuse("it names no message", row(m.ID, ""))
		return text, false
	case text.TextingID != "" && m.TextingTwins > 1 || text.GHLID != "" && m.GHLTwins > 1 || text.AlowareID != "" && m.AlowareTwins > 1:
		c.refuse("another row claims the same message", row(m.ID, ""))
		return text, false
	case r.tooOld(at, r.Keep.Records):
		c.refuse("it is older than DFM_RETENTION_RECORD_DAYS", row(m.ID, ""))
		return text, false
	}
	if uuid.MatchString(text.ConversationID) {
		c.remark("the conversation's id is not GHL's and was left out", row(m.ID, ""))
		text.ConversationID = ""
	}
	if way := strings.ToLower(strings.TrimSpace(m.Direction)); way == "inbound" || way == "outbound" {
		text.Direction = way
	}
	text.Source = sourceOf(text)
	return text, true
}

// sourceOf is where a text came from: from GHL when it went out and has ids of
// both, since the original could not bring a text into GHL.
func sourceOf(m store.Message) df.Source {
	switch {
	case m.GHLID != "" && (m.TextingID == "" || m.Direction == "outbound"):
		return df.SourceGHL
	case m.TextingID != "":
		return df.SourceTexting
	}
	return df.SourceAloware
}

// phone reads a number, and returns none for one that cannot be read.
func (r *run) phone(text string) df.Phone {
	phone, err := df.ParsePhone(text, r.Region)
	if err != nil {
		return ""
	}
	return phone
}

func (r *run) tooOld(at time.Time, kept time.Duration) bool {
	return kept > 0 && at.Before(r.Clock().Add(-kept))
}
