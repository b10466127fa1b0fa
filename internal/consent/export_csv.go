package consent

import (
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
)

// csvHeader names the columns of an export as CSV. The first column is "event",
// "link" (about somebody else) or "head" (the last line).
var csvHeader = []string{"record", "seq", "id", "key", "phone", "kind", "scopes", "holder", "actor", "at", "heard_at",
	"source", "words", "rule", "certain", "message_id", "event_id", "person_id", "content", "prev_hash", "hash"}

type csvSink struct{ w *csv.Writer }

func newCSVSink(w io.Writer) *csvSink { return &csvSink{csv.NewWriter(w)} }

func (c *csvSink) begin() error { return c.w.Write(csvHeader) }

func (c *csvSink) record(r record) error { return c.w.Write(lineOf(r)) }

func lineOf(r record) []string {
	line := make([]string, len(csvHeader))
	line[0], line[1] = "link", strconv.FormatInt(r.Seq, 10)
	if b := r.Event; b != nil {
		line[0] = "event"
		for i, text := range []string{b.ID, b.Key, b.Phone, b.Kind, b.Scopes, b.Holder, b.Actor, b.At, b.HeardAt, b.Source,
			b.Words, b.Rule, strconv.FormatBool(b.Certain), b.MessageID, b.EventID, b.PersonID} {
			line[2+i] = cell(text)
		}
		line[4] = b.Phone // its plus makes no formula
	}
	line[18], line[19], line[20] = r.Content, r.PrevHash, r.Hash
	return line
}

func (c *csvSink) end(h head) error {
	line := make([]string, len(csvHeader))
	line[0], line[1], line[9], line[20] = "head", strconv.FormatInt(h.Seq, 10), h.At, h.Hash
	line[14] = strconv.FormatInt(h.Events, 10)
	if err := c.w.Write(line); err != nil {
		return err
	}
	c.w.Flush()
	return c.w.Error()
}

var (
	escape   = strings.NewReplacer(`\`, `\\`, "\r", `\r`, "\n", `\n`)
	unescape = strings.NewReplacer(`\\`, `\`, `\r`, "\r", `\n`, "\n")
)

// cell makes a text safe to open in a spreadsheet, which takes what begins with
// one of these signs for a formula, and keeps line ends from CSV's readers,
// which rewrite them. uncell takes both back.
func cell(text string) string {
	text = escape.Replace(text)
	if text != "" && strings.ContainsRune("=+-@\t'", rune(text[0])) {
		return "'" + text
	}
	return text
}

func uncell(text string) string { return unescape.Replace(strings.TrimPrefix(text, "'")) }

// readCSV reads an export as CSV.
func readCSV(r io.Reader, each func(record) error) (head, error) {
	lines := csv.NewReader(r)
	lines.FieldsPerRecord = len(csvHeader)
	if names, err := lines.Read(); err != nil || strings.Join(names, ",") != strings.Join(csvHeader, ",") {
		return head{}, ErrExport
	}
	for {
		line, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return head{}, ErrExport // it ends without its head
		}
		if err != nil {
			return head{}, ErrExport
		}
		seq, err := strconv.ParseInt(line[1], 10, 64)
		if err != nil {
			return head{}, ErrExport
		}
		if line[0] == "head" {
			events, err := strconv.ParseInt(line[14], 10, 64)
			if _, more := lines.Read(); err != nil || !errors.Is(more, io.EOF) {
				return head{}, ErrExport
			}
			return head{Seq: seq, Hash: line[20], Events: events, At: line[9]}, nil
		}
		one := recordOf(seq, line)
		if !slices.Equal(lineOf(one), line) {
			return head{}, &Fault{seq, "the line was changed"}
		}
		if err := each(one); err != nil {
			return head{}, err
		}
	}
}

func recordOf(seq int64, line []string) record {
	r := record{Seq: seq, Content: line[18], PrevHash: line[19], Hash: line[20]}
	if line[0] == "event" {
		at := func(i int) string { return uncell(line[i]) }
		r.Event = &body{Seq: seq, ID: at(2), Key: at(3), Phone: line[4], Kind: at(5), Scopes: at(6), Holder: at(7),
			Actor: at(8), At: at(9), HeardAt: at(10), Source: at(11), Words: at(12), Rule: at(13), Certain: line[14] == "true",
			MessageID: at(15), EventID: at(16), PersonID: at(17)}
	}
	return r
}
