package consent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// Format is how evidence is written.
type Format string

// The formats of an export.
const (
	JSON Format = "json"
	CSV  Format = "csv"
)

// ErrFormat is returned for a format that is neither JSON nor CSV.
var ErrFormat = errors.New("consent: the format is json or csv")

// Filter says whose evidence is exported. Zero fields select everything.
type Filter struct {
	PersonID string // all numbers that the person has or had
	Phone    df.Phone
	From     time.Time // heard at or after
	Until    time.Time // heard before
}

// record is one line of an export: a link with its content, or only the hash of
// the content where the link is about somebody else.
type record struct {
	Seq      int64  `json:"seq"`
	Event    *body  `json:"event,omitempty"`
	Content  string `json:"content"` // hash of the event
	PrevHash string `json:"prevHash"`
	Hash     string `json:"hash"`
}

// head ends an export.
type head struct {
	Seq    int64  `json:"seq"`
	Hash   string `json:"hash"`
	Events int64  `json:"events"`
	At     string `json:"at"`
}

// sink writes an export in one format.
type sink interface {
	begin() error
	record(r record) error
	end(h head) error
}

// Export writes the evidence that the filter selects, with every link from the
// first selected one to the chain's head, so that VerifyExport can recompute the
// head from it. Links about others are in it as hashes only. What the export
// leaves out cannot be seen from it; that nothing in it was altered can.
func Export(ctx context.Context, s *store.Store, w io.Writer, f Filter, format Format, now time.Time) (Proof, error) {
	buffered := bufio.NewWriter(w)
	out, err := sinkFor(buffered, format)
	if err != nil {
		return Proof{}, err
	}
	wanted, err := selected(ctx, s, f)
	if err != nil {
		return Proof{}, err
	}
	if err := out.begin(); err != nil {
		return Proof{}, fmt.Errorf("write evidence: %w", err)
	}
	proof, err := copyChain(ctx, s, out, wanted, f, now)
	if err != nil {
		return Proof{}, err
	}
	if err := buffered.Flush(); err != nil {
		return Proof{}, fmt.Errorf("write evidence: %w", err)
	}
	return proof, nil
}

func sinkFor(w *bufio.Writer, format Format) (sink, error) {
	switch format {
	case JSON:
		return &jsonSink{w: w}, nil
	case CSV:
		return newCSVSink(w), nil
	}
	return nil, ErrFormat
}

// selected returns the filter for the store.
func selected(ctx context.Context, s *store.Store, f Filter) (store.ConsentFilter, error) {
	wanted := store.ConsentFilter{From: f.From, Until: f.Until}
	if f.Phone != "" {
		wanted.Phones = []string{string(f.Phone)}
	}
	if f.PersonID == "" {
		return wanted, nil
	}
	phones, err := Book{s}.PhonesOf(ctx, f.PersonID)
	if err != nil {
		return wanted, err
	}
	if len(phones) == 0 {
		return wanted, fmt.Errorf("export evidence: the person has no number: %w", store.ErrNotFound)
	}
	for _, phone := range phones {
		wanted.Phones = append(wanted.Phones, string(phone))
	}
	return wanted, nil
}

func copyChain(ctx context.Context, s *store.Store, out sink, wanted store.ConsentFilter, f Filter, now time.Time) (Proof, error) {
	headSeq, headHash, err := s.ChainHead(ctx)
	if err != nil {
		return Proof{}, err
	}
	proof := Proof{Head: headHash, At: now}
	wanted.UpTo, wanted.Limit = headSeq, 1
	first, err := s.ConsentEvents(ctx, wanted)
	if err != nil {
		return Proof{}, err
	}
	after := headSeq
	if len(first) > 0 && headSeq > 0 {
		after = first[0].Seq - 1
	}
	for after < headSeq {
		page, err := s.ConsentEvents(ctx, store.ConsentFilter{After: after, UpTo: headSeq, Limit: pageSize})
		if err != nil {
			return Proof{}, err
		}
		if len(page) == 0 {
			return Proof{}, &Fault{after + 1, "the link is missing"}
		}
		for _, e := range page {
			r := record{Seq: e.Seq, Content: bodyOf(e).digest(), PrevHash: e.PrevHash, Hash: e.Hash}
			if chosen(e, wanted, f) {
				content := bodyOf(e)
				r.Event = &content
				proof.Events++
			}
			if err := out.record(r); err != nil {
				return Proof{}, fmt.Errorf("write evidence: %w", err)
			}
			after = e.Seq
			proof.Links++
		}
	}
	err = out.end(head{Seq: headSeq, Hash: headHash, Events: proof.Events, At: now.UTC().Format(chainTime)})
	if err != nil {
		return Proof{}, fmt.Errorf("write evidence: %w", err)
	}
	return proof, nil
}

func chosen(e store.ConsentEvent, wanted store.ConsentFilter, f Filter) bool {
	return (len(wanted.Phones) == 0 || slices.Contains(wanted.Phones, e.Phone)) &&
		(f.From.IsZero() || !e.HeardAt.Before(f.From)) && (f.Until.IsZero() || e.HeardAt.Before(f.Until))
}

// jsonSink writes one JSON object, a record a line.
type jsonSink struct {
	w    *bufio.Writer
	some bool
}

// exportName names the form of the export, with its version.
const exportName = "dfm-consent-evidence/1"

func (j *jsonSink) begin() error {
	_, err := j.w.WriteString(`{"format":"` + exportName + `","records":[` + "\n")
	return err
}

func (j *jsonSink) record(r record) error {
	if j.some {
		if _, err := j.w.WriteString(",\n"); err != nil {
			return err
		}
	}
	j.some = true
	return j.put(r)
}

func (j *jsonSink) put(value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = j.w.Write(text)
	return err
}

func (j *jsonSink) end(h head) error {
	if _, err := j.w.WriteString("\n],\"head\":"); err != nil {
		return err
	}
	if err := j.put(h); err != nil {
		return err
	}
	_, err := j.w.WriteString("}\n")
	return err
}
