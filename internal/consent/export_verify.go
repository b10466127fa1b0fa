package consent

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"time"
)

// ErrExport is returned for what is no export of ours, or one that was cut off.
var ErrExport = errors.New("consent: this is no whole export of evidence")

// VerifyExport reads an export, JSON or CSV, and recomputes its chain. It
// returns a *Fault for the first line that was altered, ErrExport for a file that
// is cut off or something else, and otherwise what the file proves. Compare
// Proof.Head with a head that was noted elsewhere: who made the file could have
// made all of it.
func VerifyExport(r io.Reader) (Proof, error) {
	var c checker
	read := readCSV
	buffered := bufio.NewReader(r)
	if first, err := buffered.Peek(1); err == nil && bytes.Equal(first, []byte("{")) {
		read = readJSON
	}
	end, err := read(buffered, c.next)
	if err != nil {
		return Proof{}, err
	}
	return c.proof(end)
}

// checker follows a chain record by record.
type checker struct {
	seq    int64
	hash   string
	links  int64
	events int64
}

func (c *checker) next(r record) error {
	switch {
	case c.links > 0 && r.Seq != c.seq+1:
		return &Fault{c.seq + 1, "the link is missing"}
	case c.links > 0 && r.PrevHash != c.hash, r.Seq == 1 && r.PrevHash != genesis:
		return &Fault{r.Seq, "the link does not follow the one before it"}
	case r.Event != nil && (r.Event.Seq != r.Seq || r.Event.digest() != r.Content), r.Hash != link(r.PrevHash, r.Content):
		return &Fault{r.Seq, "the content was changed"}
	}
	if r.Event != nil {
		c.events++
	}
	c.seq, c.hash = r.Seq, r.Hash
	c.links++
	return nil
}

func (c *checker) proof(end head) (Proof, error) {
	at, err := time.Parse(chainTime, end.At)
	switch {
	case err != nil:
		return Proof{}, ErrExport
	case c.links > 0 && (c.seq != end.Seq || c.hash != end.Hash):
		return Proof{}, &Fault{end.Seq, "the head says otherwise"}
	case c.events != end.Events:
		return Proof{}, &Fault{end.Seq, "an event's content was left out"}
	}
	return Proof{Links: c.links, Events: c.events, Head: end.Hash, At: at}, nil
}

// readJSON reads an export as JSON, one record at a time.
func readJSON(r io.Reader, each func(record) error) (head, error) {
	decoder := json.NewDecoder(r)
	for _, want := range []any{json.Delim('{'), "format", exportName, "records", json.Delim('[')} {
		if token, err := decoder.Token(); err != nil || token != want {
			return head{}, ErrExport
		}
	}
	for decoder.More() {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return head{}, ErrExport
		}
		one, err := strict(raw)
		if err != nil {
			return head{}, err
		}
		if err := each(one); err != nil {
			return head{}, err
		}
	}
	for _, want := range []any{json.Delim(']'), "head"} {
		if token, err := decoder.Token(); err != nil || token != want {
			return head{}, ErrExport
		}
	}
	var end head
	if err := decoder.Decode(&end); err != nil {
		return head{}, ErrExport
	}
	if token, err := decoder.Token(); err != nil || token != json.Delim('}') {
		return head{}, ErrExport
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return head{}, ErrExport
	}
	return end, nil
}

// strict reads a record that says what we would have written and nothing else:
// no member twice, none that is not ours.
func strict(raw json.RawMessage) (record, error) {
	var one record
	if err := json.Unmarshal(raw, &one); err != nil {
		return one, ErrExport
	}
	var plain bytes.Buffer
	if err := json.Compact(&plain, raw); err != nil {
		return one, ErrExport
	}
	again, err := json.Marshal(one)
	if err != nil || !bytes.Equal(again, plain.Bytes()) {
		return one, &Fault{one.Seq, "the line was changed"}
	}
	return one, nil
}
