package catalogue

import "strings"

// node is one level of the tree in which paths are looked up. Each node has one
// way from the root, so a lookup visits each at most once.
type node struct {
	literals map[string]*node
	patterns []pattern // segments of text and parameters mixed, most text first
	param    *node
	ops      map[string]*Operation
}

type pattern struct {
	pieces []piece
	shape  string
	text   int // literal bytes
	node   *node
}

// insert adds the operation and returns the one that is already there for the
// same method and shape of path, if any.
func (n *node) insert(segments [][]piece, op *Operation) *Operation {
	for _, segment := range segments {
		n = n.child(segment)
	}
	if other := n.ops[op.Method]; other != nil {
		return other
	}
	if n.ops == nil {
		n.ops = make(map[string]*Operation, 1)
	}
	n.ops[op.Method] = op
	return nil
}

func (n *node) child(segment []piece) *node {
	switch {
	case len(segment) == 1 && !segment[0].param:
		if n.literals == nil {
			n.literals = make(map[string]*node)
		}
		text := segment[0].text
		if n.literals[text] == nil {
			n.literals[text] = &node{}
		}
		return n.literals[text]
	case len(segment) == 1:
		if n.param == nil {
			n.param = &node{}
		}
		return n.param
	}
	return n.mixed(segment)
}

func (n *node) mixed(segment []piece) *node {
	p := pattern{pieces: segment, node: &node{}}
	for _, piece := range segment {
		if piece.param {
			p.shape += "{}"
			continue
		}
		p.shape += piece.text
		p.text += len(piece.text)
	}
	at := len(n.patterns)
	for i, other := range n.patterns {
		if other.shape == p.shape {
			return other.node
		}
		if p.text > other.text && i < at {
			at = i
		}
	}
	n.patterns = append(n.patterns, pattern{})
	copy(n.patterns[at+1:], n.patterns[at:])
	n.patterns[at] = p
	return p.node
}

// find looks the rest of a path up, which begins without a slash.
func (n *node) find(method, path string) *Operation {
	segment, rest, more := strings.Cut(path, "/")
	if segment == "" {
		return nil
	}
	if next := n.literals[segment]; next != nil {
		if op := next.descend(method, rest, more); op != nil {
			return op
		}
	}
	for i := range n.patterns {
		if n.patterns[i].matches(segment) {
			if op := n.patterns[i].node.descend(method, rest, more); op != nil {
				return op
			}
		}
	}
	if n.param != nil {
		return n.param.descend(method, rest, more)
	}
	return nil
}

func (n *node) descend(method, rest string, more bool) *Operation {
	if !more {
		return n.ops[method]
	}
	return n.find(method, rest)
}

// matches takes each parameter as short as the text after it allows, the last
// one as long as needed; none may be empty.
func (p pattern) matches(segment string) bool { return capture(p.pieces, segment, nil) }

// capture fits the segment to the pieces and calls take with each parameter's
// text, when take is given.
func capture(pieces []piece, segment string, take func(name, value string)) bool {
	for i, piece := range pieces {
		if !piece.param {
			if !strings.HasPrefix(segment, piece.text) {
				return false
			}
			segment = segment[len(piece.text):]
			continue
		}
		end := len(segment)
		if i+1 < len(pieces) {
			end = valueEnd(segment, pieces[i+1], i+2 == len(pieces))
		}
		if end <= 0 {
			return false
		}
		if take != nil {
			take(piece.text, segment[:end])
		}
		segment = segment[end:]
	}
	return segment == ""
}

func valueEnd(segment string, after piece, last bool) int {
	switch {
	case after.param: // two parameters side by side: the first takes one byte
		return min(1, len(segment))
	case last:
		return len(segment) - len(after.text)
	case len(segment) == 0:
		return 0
	}
	if at := strings.Index(segment[1:], after.text); at >= 0 {
		return at + 1
	}
	return 0
}
