package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// timeLayout is how SQLite shows times that lost their declared column type,
// as the result of MAX() or COALESCE() does.
const timeLayout = "2006-01-02 15:04:05.999999999-07:00"

// scanTime scans a timestamp that may be NULL into *to, as the zero time then.
func scanTime(to *time.Time) sql.Scanner { return (*timeScanner)(to) }

type timeScanner time.Time

func (t *timeScanner) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*t = timeScanner{}
	case time.Time:
		*t = timeScanner(v.UTC())
	case string:
		parsed, err := time.Parse(timeLayout, v)
		if err != nil {
			return fmt.Errorf("store: scan time: %w", err)
		}
		*t = timeScanner(parsed.UTC())
	default:
		return fmt.Errorf("store: scan time from %T", value)
	}
	return nil
}

// scanText scans text that may be NULL into *to, as "" then.
func scanText(to *string) sql.Scanner { return (*textScanner)(to) }

type textScanner string

func (t *textScanner) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*t = ""
	case string:
		*t = textScanner(v)
	case []byte:
		*t = textScanner(v)
	default:
		return fmt.Errorf("store: scan text from %T", value)
	}
	return nil
}

// scanJSON decodes a JSON column into to; NULL and "" leave it alone.
func scanJSON(to any) sql.Scanner { return jsonScanner{to} }

type jsonScanner struct{ to any }

func (j jsonScanner) Scan(value any) error {
	var text textScanner
	if err := text.Scan(value); err != nil {
		return err
	}
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), j.to)
}

// asJSON encodes a value for a JSON column. The values are our own plain
// structs and maps, which always encode.
func asJSON(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("store: encode %T: %v", value, err))
	}
	return string(data)
}

// null returns nil for "", so that the column becomes NULL.
func null(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// NullTime returns nil for the zero time and the time in UTC, cut to the
// microseconds that PostgreSQL keeps, for any other. The engines apply it to
// every time among the arguments of a statement.
func NullTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Truncate(time.Microsecond)
}

// Kept returns the time as a row gives it back.
func Kept(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// tuples writes "($1,$2),($3,$4)" for the given number of rows and columns,
// starting after the first `after` parameters.
func tuples(rows, columns, after int) string {
	var b strings.Builder
	n := after
	for r := range rows {
		if r > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('(')
		for c := range columns {
			if c > 0 {
				b.WriteByte(',')
			}
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
		}
		b.WriteByte(')')
	}
	return b.String()
}

// list writes "$3,$4,$5" for n parameters, starting after the first `after`.
func list(n, after int) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = "$" + strconv.Itoa(after+i+1)
	}
	return strings.Join(parts, ",")
}

// anys turns texts into statement arguments.
func anys(texts []string) []any {
	args := make([]any, len(texts))
	for i, text := range texts {
		args[i] = text
	}
	return args
}
