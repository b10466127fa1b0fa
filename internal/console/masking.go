package console

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"strings"
)

// webLink finds links in a text. It takes more rather than less.
var webLink = regexp.MustCompile(`https?:(?:\\?/){2}[^\s"'<>]+`)

// masked returns a body without links to recordings: Aloware's need no login, so
// whoever reads one can listen. A link is one when it stands under a name that
// speaks of a recording or a voicemail, and then it is hidden wherever it stands.
// What is no JSON has no names: there every link is hidden. A link shows as the
// start of its hash, so that two can be told apart. Bodies without any come back as
// they are.
func masked(raw []byte) []byte {
	if !json.Valid(raw) {
		return webLink.ReplaceAllFunc(raw, func(link []byte) []byte { return []byte(hidden(string(link))) })
	}
	secrets := map[string]bool{}
	eachString(raw, func(names, value string, _, _ int) {
		if names = strings.ToLower(names); strings.Contains(names, "recording") || strings.Contains(names, "voicemail") {
			for _, link := range webLink.FindAllString(value, -1) {
				secrets[link] = true
			}
		}
	})
	if len(secrets) == 0 {
		return raw
	}
	var out bytes.Buffer
	copied := 0
	eachString(raw, func(_, value string, from, to int) {
		clean := value
		for link := range secrets {
			clean = strings.ReplaceAll(clean, link, hidden(link))
		}
		if clean == value {
			return
		}
		text, err := json.Marshal(clean)
		if err != nil {
			return // a text always encodes
		}
		out.Write(raw[copied:from])
		out.Write(text)
		copied = to
	})
	out.Write(raw[copied:])
	return out.Bytes()
}

func hidden(link string) string {
	sum := sha256.Sum256([]byte(link))
	return "[hidden link " + hex.EncodeToString(sum[:4]) + "]"
}

// eachString calls f with every text value of a JSON body, the names that lead to
// it, and where its literal begins and ends.
func eachString(raw []byte, f func(names, value string, from, to int)) {
	type level struct {
		object, key bool // key: a name comes next
		outer, name string
	}
	levels := []level{{}}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	for {
		before := int(dec.InputOffset())
		token, err := dec.Token()
		if err != nil {
			return // the end: it was valid before
		}
		top := &levels[len(levels)-1]
		text, isText := token.(string)
		if isText && top.object && top.key {
			top.name, top.key = text, false
			continue
		}
		if isText {
			f(top.outer+"/"+top.name, text, before+bytes.IndexByte(raw[before:], '"'), int(dec.InputOffset()))
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			top.key = true
			levels = append(levels, level{object: token == json.Delim('{'), key: true, outer: top.outer + "/" + top.name})
			continue
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:len(levels)-1]
			continue
		}
		top.key = true
	}
}
