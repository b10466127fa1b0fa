package consent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/store"
)

// genesis is the hash before the first link.
var genesis = strings.Repeat("0", 2*sha256.Size)

// body is the content of one link as it is hashed: JSON of these members in this
// order, times in UTC with microseconds. It is also the form of the export.
type body struct {
	Seq       int64  `json:"seq"`
	ID        string `json:"id"`
	Key       string `json:"key"`
	Phone     string `json:"phone"`
	Kind      string `json:"kind"`
	Scopes    string `json:"scopes"`
	Holder    string `json:"holder"`
	Actor     string `json:"actor"`
	At        string `json:"at"`
	HeardAt   string `json:"heardAt"`
	Source    string `json:"source"`
	Words     string `json:"words"`
	Rule      string `json:"rule"`
	Certain   bool   `json:"certain"`
	MessageID string `json:"messageId"`
	EventID   string `json:"eventId"`
	PersonID  string `json:"personId"`
}

const chainTime = "2006-01-02T15:04:05.000000Z"

func bodyOf(e store.ConsentEvent) body {
	return body{
		Seq: e.Seq, ID: e.ID, Key: e.Key, Phone: e.Phone, Kind: e.Kind, Scopes: e.Scopes, Holder: e.Holder, Actor: e.Actor,
		At: e.At.UTC().Format(chainTime), HeardAt: e.HeardAt.UTC().Format(chainTime), Source: e.Source, Words: e.Words,
		Rule: e.Rule, Certain: e.Certain, MessageID: e.MessageID, EventID: e.EventID, PersonID: e.PersonID,
	}
}

// digest is the hash of the content alone. An export shows it in place of links
// that are about others: the random id in the content keeps it from being
// guessed.
func (b body) digest() string {
	text, err := json.Marshal(b)
	if err != nil {
		panic(fmt.Sprintf("consent: encode link: %v", err)) // plain texts always encode
	}
	return digest(text)
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// link is the hash of a link: of the one before it and of its own content.
func link(prev, content string) string { return digest([]byte(prev + content)) }

// chained fills in numbers and hashes of links that follow the given head.
func chained(events []store.ConsentEvent, seq int64, hash string) {
	for i := range events {
		seq++
		events[i].Seq, events[i].PrevHash = seq, hash
		hash = link(hash, bodyOf(events[i]).digest())
		events[i].Hash = hash
	}
}

// Fault says where a chain is broken.
type Fault struct {
	Seq    int64 // of the first link that does not fit
	Reason string
}

// Error implements error.
func (f *Fault) Error() string {
	return fmt.Sprintf("the chain of evidence is broken at %d: %s", f.Seq, f.Reason)
}

// Proof is what a verified chain amounts to.
type Proof struct {
	Links  int64  // how many links were checked
	Events int64  // how many of them with their content
	Head   string // hash of the last link; note it elsewhere to prove later that nothing was rewritten
	At     time.Time
}

const pageSize = 500

// beforeAll is below any number that a link may have been given by hand.
const beforeAll int64 = -1 << 62

// VerifyChain reads all the evidence and checks that no link was edited, removed,
// added or moved since it was written. It returns a *Fault for the first one
// that does not fit. Who can write to the database can write the whole chain
// anew; a head that was noted elsewhere, as every export does, shows that.
func VerifyChain(ctx context.Context, s *store.Store, now time.Time) (Proof, error) {
	headSeq, headHash, err := s.ChainHead(ctx)
	if err != nil {
		return Proof{}, err
	}
	seq, hash, after := int64(0), genesis, beforeAll
	for seq < headSeq {
		page, err := s.ConsentEvents(ctx, store.ConsentFilter{After: after, UpTo: headSeq, Limit: pageSize})
		if err != nil {
			return Proof{}, err
		}
		if len(page) == 0 {
			return Proof{}, &Fault{seq + 1, "the link is missing"}
		}
		for _, e := range page {
			if fault := follows(e, seq, hash); fault != nil {
				return Proof{}, fault
			}
			seq, hash, after = e.Seq, e.Hash, e.Seq
		}
	}
	if hash != headHash {
		return Proof{}, &Fault{headSeq, "the head says otherwise"}
	}
	beyond, err := s.ConsentEvents(ctx, store.ConsentFilter{After: headSeq, Limit: 1})
	if err != nil {
		return Proof{}, err
	}
	if err := stray(ctx, s, beyond, headSeq); err != nil {
		return Proof{}, err
	}
	return Proof{Links: headSeq, Events: headSeq, Head: headHash, At: now}, nil
}

// stray tells links that were added past the head from those that were properly
// written while the chain was being read: the head has moved on to the latter.
func stray(ctx context.Context, s *store.Store, beyond []store.ConsentEvent, headSeq int64) error {
	if len(beyond) == 0 {
		return nil
	}
	now, _, err := s.ChainHead(ctx)
	if err != nil {
		return err
	}
	if now <= headSeq || beyond[0].Seq > now {
		return &Fault{beyond[0].Seq, "the link is past the head"}
	}
	return nil
}

func follows(e store.ConsentEvent, seq int64, hash string) error {
	switch {
	case e.Seq != seq+1:
		return &Fault{seq + 1, "the link is missing"}
	case e.PrevHash != hash:
		return &Fault{e.Seq, "the link does not follow the one before it"}
	case e.Hash != link(hash, bodyOf(e).digest()):
		return &Fault{e.Seq, "the content was changed"}
	}
	return nil
}
