package toolset

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"strings"

	"github.com/df-middleware/dfm/internal/verity/catalogue"
)

// maxName is the longest name: the protocol allows 128 characters, OpenAI 64,
// and Cursor counts the server's name in its 60.
const maxName = 56

// NameExtension is the member of an OpenAPI operation that chooses its tool's name.
const NameExtension = "x-mcp-name"

// namesOf gives each operation a name of its own, beside it. A name comes from its
// operation alone, so that the order of the document plays no part. Where two
// operations want the same one, in whatever letter case, or one that is
// reserved, all of them carry a piece of a hash of method and path, longer
// until they differ.
func namesOf(operations []*catalogue.Operation, reserved []string) []string {
	levels := make([]int, len(operations))
	names := make([]string, len(operations))
	for i, op := range operations {
		names[i] = nameAt(op, 0)
	}
	for again := true; again; {
		again = false
		holders := make(map[string]int, len(names)+len(reserved))
		for _, name := range reserved {
			holders[strings.ToLower(name)]++
		}
		for _, name := range names {
			holders[strings.ToLower(name)]++
		}
		for i, op := range operations {
			if holders[strings.ToLower(names[i])] > 1 && levels[i] < len(hashLengths)-1 {
				levels[i]++
				names[i] = nameAt(op, levels[i])
				again = true
			}
		}
	}
	return names
}

// hashLengths are the characters of hash that a name carries at each level. The
// last is the whole hash, which nothing else can equal by accident.
var hashLengths = []int{0, 6, 12, 52}

// nameAt returns the operation's name with so much hash behind it.
func nameAt(op *catalogue.Operation, level int) string {
	name := wantedName(op)
	length := hashLengths[level]
	if length == 0 {
		if len(name) <= maxName {
			return name
		}
		length = hashLengths[1]
	}
	suffix := "_" + hashOf(op)[:length]
	if room := maxName - len(suffix); len(name) > room {
		name = strings.TrimRight(name[:room], "_-")
	}
	return strings.TrimLeft(name+suffix, "_-")
}

// hashOf returns 52 characters that stand for method and path.
func hashOf(op *catalogue.Operation) string {
	sum := sha256.Sum256([]byte(op.Method + " " + op.Path))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))
}

// actions are the last words of names. A word is never guessed from the path:
// the original called a list of removed items "delete".
var actions = map[string]string{
	"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete",
}

// wantedName returns the name that the document chooses, or else domain, path
// and action: warehouse_pallets_by_palletId_get.
func wantedName(op *catalogue.Operation) string {
	var chosen string
	if json.Unmarshal(op.Extensions[NameExtension], &chosen) == nil {
		if chosen = clean(chosen); chosen != "" {
			return chosen
		}
	}
	words := []string{}
	if domain := clean(op.Domain); domain != "" && domain != "root" {
		words = append(words, domain)
	}
	for i, segment := range strings.Split(strings.Trim(op.Path, "/"), "/") {
		word := segmentWord(segment)
		repeated := len(words) == 1 && strings.EqualFold(word, words[0])
		if word == "" || repeated || (i == 0 && word == "api") {
			continue
		}
		words = append(words, word)
	}
	if len(words) == 0 {
		words = append(words, "root")
	}
	return strings.Join(append(words, actions[op.Method]), "_")
}

// segmentWord returns a segment of a path as a word: by_palletId for {palletId}.
func segmentWord(segment string) string {
	if name, ok := strings.CutPrefix(segment, "{"); ok && strings.HasSuffix(name, "}") && !strings.Contains(name, "{") {
		segment = "by_" + name
	}
	return clean(segment)
}

// clean keeps letters, digits, underscores and hyphens, with one hyphen for
// whatever stood between them.
func clean(text string) string {
	var out strings.Builder
	gap := false
	for i := range len(text) {
		c := text[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' {
			if gap && out.Len() > 0 {
				out.WriteByte('-')
			}
			gap = false
			out.WriteByte(c)
			continue
		}
		gap = true
	}
	return strings.Trim(out.String(), "_-")
}
