package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
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
	Trace       string // W3C traceparent, or empty
}

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
	if len(deliveries) > MaxBatch {
		return nil, fmt.Errorf("store: accept %d deliveries at once, the most is %d", len(deliveries), MaxBatch)
	}
	var results []Accepted
	err := s.InTx(ctx, func(tx Tx) error {
		var fresh []*Delivery
		var err error
		results, fresh, err = dedupe(ctx, tx, deliveries, now)
		if err != nil || len(fresh) == 0 {
			return err
		}
		if err := assignLanes(ctx, tx, fresh); err != nil {
			return err
		}
		rung, err := countIn(ctx, tx, laneCounts(fresh), now)
		if err != nil {
			return err
		}
		if err := insertEvents(ctx, tx, fresh); err != nil {
			return err
		}
		return ring(ctx, tx, rung)
	})
	if err != nil {
		return nil, fmt.Errorf("accept events: %w", err)
	}
	return results, nil
}

// dedupe claims the keys of the deliveries and tells the fresh ones from the
// duplicates, within the batch and against what is stored.
func dedupe(ctx context.Context, tx Tx, deliveries []Delivery, now time.Time) ([]Accepted, []*Delivery, error) {
	first := make(map[string]*Delivery, len(deliveries))
	for i := range deliveries {
		if key := deliveries[i].DedupeKey; first[key] == nil {
			first[key] = &deliveries[i]
		}
	}
	keys := sortedKeys(first)
	claimed, err := claimKeys(ctx, tx, keys, first, now)
	if err != nil {
		return nil, nil, err
	}
	known, err := eventsOfKeys(ctx, tx, slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return claimed[k] }))
	if err != nil {
		return nil, nil, err
	}
	results := make([]Accepted, len(deliveries))
	var fresh []*Delivery
	for i := range deliveries {
		d := &deliveries[i]
		key := d.DedupeKey
		switch {
		case !claimed[key]:
			results[i] = Accepted{EventID: known[key], Duplicate: true}
		case first[key] != d:
			results[i] = Accepted{EventID: first[key].Event.ID, Duplicate: true}
		default:
			results[i] = Accepted{EventID: d.Event.ID}
			fresh = append(fresh, d)
		}
	}
	return results, fresh, nil
}

func claimKeys(ctx context.Context, tx Tx, keys []string, first map[string]*Delivery, now time.Time) (map[string]bool, error) {
	args := make([]any, 0, 3*len(keys)+1)
	for _, key := range keys {
		args = append(args, key, first[key].Event.ID, first[key].DedupeUntil)
	}
	args = append(args, now)
	claimed := make(map[string]bool, len(keys))
	err := tx.Each(ctx, `INSERT INTO webhook_dedupe (key, event_id, expires_at) VALUES `+tuples(len(keys), 3, 0)+`
		ON CONFLICT (key) DO UPDATE SET event_id = excluded.event_id, expires_at = excluded.expires_at
		WHERE webhook_dedupe.expires_at <= $`+strconv.Itoa(len(args))+`
		RETURNING key`, args,
		func(row Row) error {
			var key string
			err := row.Scan(&key)
			claimed[key] = true
			return err
		})
	return claimed, err
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

// assignLanes gives every open event its lane: the mapped person's, else the
// phone's, else that of the entity at its source.
func assignLanes(ctx context.Context, tx Tx, fresh []*Delivery) error {
	people, err := peopleByContact(ctx, tx, fresh)
	if err != nil {
		return err
	}
	for _, d := range fresh {
		e := &d.Event
		if !e.Status.Open() {
			continue
		}
		if person := people[contactKey(e.Source, e.Notice.ContactID)]; person != "" {
			e.PersonID = person
			e.Lane = PersonLane(person)
			continue
		}
		e.Lane = strangerLane(e)
	}
	return nil
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

func contactKey(source df.Source, id string) string { return string(source) + ":" + id }

func peopleByContact(ctx context.Context, tx Tx, fresh []*Delivery) (map[string]string, error) {
	ids := map[string]bool{}
	for _, d := range fresh {
		if id := d.Event.Notice.ContactID; id != "" && d.Event.Status.Open() {
			ids[id] = true
		}
	}
	people := make(map[string]string, len(ids))
	if len(ids) == 0 {
		return people, nil
	}
	in := list(len(ids), 0)
	err := tx.Each(ctx, `SELECT id, ghl_contact_id, aloware_contact_id FROM contact_mappings
		WHERE ended_at IS NULL AND (ghl_contact_id IN (`+in+`) OR aloware_contact_id IN (`+in+`))`,
		anys(sortedKeys(ids)), func(row Row) error {
			var person, ghl, aloware string
			err := row.Scan(&person, scanText(&ghl), scanText(&aloware))
			people[contactKey(df.SourceGHL, ghl)] = person
			people[contactKey(df.SourceAloware, aloware)] = person
			return err
		})
	delete(people, contactKey(df.SourceGHL, ""))
	delete(people, contactKey(df.SourceAloware, ""))
	return people, err
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

func insertEvents(ctx context.Context, tx Tx, fresh []*Delivery) error {
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
			null(e.PersonID), e.Verified, asJSON(e.Headers), text, raw, processed, null(d.Trace))
	}
	_, err := tx.Exec(ctx, `INSERT INTO webhook_events (`+eventColumns+`) VALUES `+tuples(len(fresh), columns, 0), args...)
	return err
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

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
