package stage

import (
	"encoding/hex"
	"hash/fnv"
	"math/rand/v2"
	"sync"
)

// ids makes the identifiers that an upstream hands out.
type ids struct {
	mu     sync.Mutex
	source *rand.Rand
}

func newIDs(seed uint64, name string) *ids {
	h := fnv.New64a()
	h.Write([]byte("ids " + name))
	return &ids{source: rand.New(rand.NewPCG(seed, h.Sum64()))}
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// ID returns a new random identifier of n letters and digits, as GHL's
// 20-character ones.
func (s *Stage) ID(n int) string {
	s.ids.mu.Lock()
	defer s.ids.mu.Unlock()
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[s.ids.source.IntN(len(letters))]
	}
	return string(b)
}

// HexID returns a new random identifier of n bytes in hex: 12 for a Mongo id.
func (s *Stage) HexID(n int) string { return hex.EncodeToString(s.Bytes(n)) }

// UUID returns a new random UUID, version 4.
func (s *Stage) UUID() string {
	b := s.Bytes(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// Bytes returns n seeded bytes: the same ones in the same run, which is what a
// sandbox wants of its keys and nobody else.
func (s *Stage) Bytes(n int) []byte {
	s.ids.mu.Lock()
	defer s.ids.mu.Unlock()
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(s.ids.source.UintN(256))
	}
	return b
}
