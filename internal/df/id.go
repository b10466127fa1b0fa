package df

import (
	"crypto/rand"
	"encoding/hex"
)

// IDs returns a maker of UUIDs of version 7: the clock's milliseconds first, so
// that they sort by age and keep database indexes compact, then 74 random bits.
func IDs(clock Clock) func() string {
	return func() string {
		var id [16]byte
		_, _ = rand.Read(id[:]) // crypto/rand never fails
		ms := clock().UnixMilli()
		for i := range 6 {
			id[i] = byte(ms >> (40 - 8*i))
		}
		id[6] = id[6]&0x0f | 0x70
		id[8] = id[8]&0x3f | 0x80
		text := hex.EncodeToString(id[:])
		return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
	}
}
