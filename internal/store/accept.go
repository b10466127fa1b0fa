package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/df-middleware/dfm/internal/df"
)

// MaxBatch is the most deliveries that one Accept takes.
const MaxBatch = 64

// Delivery is a verified webhook on its way into the store. The event brings
// its id and its decoded notice; its lane is decided here.
type Delivery struct {
	Event df.Event
	// DedupeKey is what makes two deliveries the same one (Event.DedupeKey is
	// the same with more words, for people).
	DedupeKey string
	// DedupeUntil ends the window in which the same dedupe key is the same
	// delivery. After it, the same bytes are news.
	DedupeUntil time.Time
}

// Along runs in the transaction that stores events, once they are in it, and is
// shown those of the batch that are new, in the order of the deliveries. It may
// take locks of its own, after those of dedupe keys and lanes; since it is asked
// once for all of a batch, it can take them in one order.
type Along func(ctx context.Context, tx Tx, fresh []df.Event) error

// Accepted is the fate of one Delivery.
type Accepted struct {
	EventID   string // the first one's, for a duplicate
	Duplicate bool
}

// Accept stores deliveries with the jobs that will process them, all in one
// transaction: dedupe, lane, event, job. The results are in the order of the
// deliveries. A returned error means that none of them is stored.
//
// Locks are taken in one order everywhere (dedupe keys sorted, then lanes
// sorted), so that two instances accepting at once do not deadlock. An event's
// seq is drawn under the lock of its lane: seq order is acceptance order.
func (s *Store) Accept(ctx context.Context, deliveries []Delivery, now time.Time) ([]Accepted, error) {
	return s.AcceptWith(ctx, deliveries, now, nil)
}

// AcceptWith is Accept with something that takes effect with the events or not
// at all.
func (s *Store) AcceptWith(ctx context.Context, deliveries []Delivery, now time.Time, along Along) ([]Accepted, error) {
	if len(deliveries) > MaxBatch {
		return nil, fmt.Errorf("store: accept %d deliveries at once, the most is %d", len(deliveries), MaxBatch)
	}
	var results []Accepted
	err := s.InTx(ctx, func(tx Tx) error {
		claim := newClaim(deliveries, now)
		people := newLookup(deliveries)
		if err := tx.Pipeline(ctx, append(people.steps(), claim.steps()...)...); err != nil {
			return err
		}
		var fresh []*Delivery
		var err error
		if results, fresh, err = claim.sort(ctx, tx, deliveries); err != nil || len(fresh) == 0 {
			return err
		}
		people.assignLanes(fresh)
		count := newCount(laneCounts(fresh), now)
		if err := tx.Pipeline(ctx, append(count.steps(), insertEvents(fresh)...)...); err != nil {
			return err
		}
		if along != nil {
			if err := along(ctx, tx, eventsIn(fresh)); err != nil {
				return err
			}
		}
		return ring(ctx, tx, count.idle)
	})
	if err != nil {
		return nil, fmt.Errorf("accept events: %w", err)
	}
	return results, nil
}

func eventsIn(fresh []*Delivery) []df.Event {
	events := make([]df.Event, len(fresh))
	for i, d := range fresh {
		events[i] = d.Event
	}
	return events
}

// claim takes the dedupe keys of a batch.
type claim struct {
	first   map[string]*Delivery // by key: the first of the batch
	keys    []string             // sorted
	now     time.Time
	claimed map[string]bool
}

func newClaim(deliveries []Delivery, now time.Time) *claim {
	c := &claim{first: make(map[string]*Delivery, len(deliveries)), now: now, claimed: make(map[string]bool, len(deliveries))}
	for i := range deliveries {
		if key := deliveries[i].DedupeKey; c.first[key] == nil {
			c.first[key] = &deliveries[i]
		}
	}
	c.keys = sortedKeys(c.first)
	return c
}

// steps claim every key that is new or whose window has ended.
func (c *claim) steps() []Step { return inChunks(c.keys, c.step) }

func (c *claim) step(keys []string) Step {
	args := make([]any, 0, 3*len(keys)+1)
	for _, key := range keys {
		args = append(args, key, c.first[key].Event.ID, c.first[key].DedupeUntil)
	}
	args = append(args, c.now)
	return Step{
		Query: `INSERT INTO webhook_dedupe (key, event_id, expires_at) VALUES ` + tuples(len(keys), 3, 0) + `
			ON CONFLICT (key) DO UPDATE SET event_id = excluded.event_id, expires_at = excluded.expires_at, repeats = 0, repeated_at = NULL
			WHERE webhook_dedupe.expires_at <= $` + strconv.Itoa(len(args)) + `
			RETURNING key`,
		Args: args,
		Scan: func(row Row) error {
			var key string
			err := row.Scan(&key)
			c.claimed[key] = true
			return err
		},
	}
}

// sort tells the fresh deliveries from the duplicates, within the batch and
// against what is stored.
func (c *claim) sort(ctx context.Context, tx Tx, deliveries []Delivery) ([]Accepted, []*Delivery, error) {
	known, err := eventsOfKeys(ctx, tx, slices.DeleteFunc(slices.Clone(c.keys), func(k string) bool { return c.claimed[k] }))
	if err != nil {
		return nil, nil, err
	}
	results := make([]Accepted, len(deliveries))
	fresh := make([]*Delivery, 0, len(c.claimed))
	for i := range deliveries {
		d := &deliveries[i]
		key := d.DedupeKey
		switch {
		case !c.claimed[key]:
			results[i] = Accepted{EventID: known[key], Duplicate: true}
		case c.first[key] != d:
			results[i] = Accepted{EventID: c.first[key].Event.ID, Duplicate: true}
		default:
			results[i] = Accepted{EventID: d.Event.ID}
			fresh = append(fresh, d)
		}
	}
	return results, fresh, c.countRepeats(ctx, tx, results, deliveries)
}

// countRepeats notes how often what is known came again. The rows are those that
// were claimed in vain, which this transaction holds anyway.
func (c *claim) countRepeats(ctx context.Context, tx Tx, results []Accepted, deliveries []Delivery) error {
	times := map[string]int{}
	for i, r := range results {
		if r.Duplicate {
			times[deliveries[i].DedupeKey]++
		}
	}
	var steps []Step
	for _, key := range sortedKeys(times) {
		steps = append(steps, Step{Query: `UPDATE webhook_dedupe SET repeats = repeats + $2, repeated_at = $3 WHERE key = $1`,
			Args: []any{key, times[key], c.now}})
	}
	return tx.Pipeline(ctx, steps...)
}

func eventsOfKeys(ctx context.Context, tx Tx, keys []string) (map[string]string, error) {
	found := make(map[string]string, len(keys))
	if len(keys) == 0 {
		return found, nil
	}
	err := tx.Each(ctx, `SELECT key, event_id FROM webhook_dedupe WHERE key IN (`+list(len(keys), 0)+`)`, anys(keys),
		func(row Row) error {
			var key, id string
			err := row.Scan(&key, &id)
			found[key] = id
			return err
		})
	return found, err
}

// lookup finds the people whose contacts a batch is about.
type lookup struct {
	ids    []string
	people map[string]string // by source and contact id
}

func newLookup(deliveries []Delivery) *lookup {
	ids := make(map[string]bool, len(deliveries))
	for i := range deliveries {
		e := &deliveries[i].Event
		if id := e.Notice.ContactID; id != "" && e.Status.Open() {
			ids[id] = true
		}
	}
	return &lookup{ids: sortedKeys(ids), people: make(map[string]string, len(ids))}
}

func (l *lookup) steps() []Step { return inChunks(l.ids, l.step) }

func (l *lookup) step(ids []string) Step {
	in := list(len(ids), 0)
	return Step{
		Query: `SELECT id, ghl_contact_id, aloware_contact_id FROM contact_mappings
			WHERE ended_at IS NULL AND (ghl_contact_id IN (` + in + `) OR aloware_contact_id IN (` + in + `))`,
		Args: anys(ids),
		Scan: func(row Row) error {
			var person, ghl, aloware string
			err := row.Scan(&person, scanText(&ghl), scanText(&aloware))
			if ghl != "" {
				l.people[contactKey(df.SourceGHL, ghl)] = person
			}
			if aloware != "" {
				l.people[contactKey(df.SourceAloware, aloware)] = person
			}
			return err
		},
	}
}

func contactKey(source df.Source, id string) string { return string(source) + ":" + id }

// assignLanes gives every open event its lane: the mapped person's, else the
// phone's, else that of the entity at its source.
func (l *lookup) assignLanes(fresh []*Delivery) {
	for _, d := range fresh {
		e := &d.Event
		if !e.Status.Open() {
			continue
		}
		if person := l.people[contactKey(e.Source, e.Notice.ContactID)]; person != "" {
			e.PersonID = person
			e.Lane = PersonLane(person)
			continue
		}
		e.Lane = strangerLane(e)
	}
}

// PersonLane is the lane of a person: all convergence of the person happens there.
func PersonLane(personID string) string { return "person:" + personID }

// PhoneLane is the lane of a phone number whose person is not known yet. Lane
// keys appear in job arguments and logs, so the number itself is not in it.
func PhoneLane(phone df.Phone) string {
	sum := sha256.Sum256([]byte(phone))
	return "phone:" + hex.EncodeToString(sum[:8])
}

// strangerLane is the lane of an event whose person is not known yet.
func strangerLane(e *df.Event) string {
	switch {
	case e.Notice.Phone != "":
		return PhoneLane(e.Notice.Phone)
	case e.Notice.ContactID != "":
		return string(e.Source) + ":contact:" + e.Notice.ContactID
	default:
		return string(e.Source) + ":" + e.Notice.EntityType + ":" + e.Notice.EntityID
	}
}

func laneCounts(fresh []*Delivery) map[string]int {
	counts := map[string]int{}
	for _, d := range fresh {
		if d.Event.Status.Open() {
			counts[d.Event.Lane]++
		}
	}
	return counts
}

const eventColumns = `id, received_at, source, route, event_type, kind, entity_type, entity_id, contact_id, phone,
	delivery_id, occurred_at, dedupe_key, status, reason, lane, person_id, verified, headers, payload_json, payload_raw,
	processed_at, trace`

func insertEvents(fresh []*Delivery) []Step { return inChunks(fresh, insertChunk) }

func insertChunk(fresh []*Delivery) Step {
	const columns = 23
	args := make([]any, 0, columns*len(fresh))
	for _, d := range fresh {
		e, n := &d.Event, &d.Event.Notice
		text, raw := payloadColumns(e.Raw)
		var processed time.Time
		if !e.Status.Open() {
			processed = e.ReceivedAt
		}
		args = append(args, e.ID, e.ReceivedAt, string(e.Source), e.Route, clean(n.Type), string(n.Kind),
			n.EntityType, clean(n.EntityID), null(clean(n.ContactID)), null(string(n.Phone)),
			null(clean(n.DeliveryID)), n.OccurredAt, clean(e.DedupeKey), string(e.Status), null(e.Reason), e.Lane,
			null(e.PersonID), e.Verified, asJSON(e.Headers), text, raw, processed, null(e.Trace))
	}
	return Step{Query: `INSERT INTO webhook_events (` + eventColumns + `) VALUES ` + tuples(len(fresh), columns, 0), Args: args}
}

// payloadColumns keeps a body byte for byte, as text where the JSON column can
// hold it (so that operators can query it) and as bytes otherwise.
func payloadColumns(body []byte) (text, raw any) {
	if utf8.Valid(body) && json.Valid(body) && !bytes.Contains(body, []byte(`\u0000`)) {
		return string(body), nil
	}
	return nil, body
}

// clean takes out what PostgreSQL's TEXT cannot hold.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
}

// inChunks cuts the items into runs of a power of two and makes a step of each,
// so that a statement over many rows comes in a handful of sizes. Every size is
// prepared on every connection, and one statement of 64 rows takes the server a
// megabyte; in a pipeline the cuts cost no round trip.
func inChunks[T any](items []T, step func([]T) Step) []Step {
	var steps []Step
	for len(items) > 0 {
		size := 1 << (bits.Len(uint(len(items))) - 1)
		steps = append(steps, step(items[:size]))
		items = items[size:]
	}
	return steps
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
