package stage

import (
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"time"
)

// die is chance for one decision. It depends on nothing but the seed and the
// name of what is decided.
type die struct{ source *rand.Rand }

func newDie(seed uint64, kind, name string, n int) *die {
	h := fnv.New64a()
	for _, part := range []string{kind, name, strconv.Itoa(n)} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return &die{source: rand.New(rand.NewPCG(seed, h.Sum64()))}
}

// falls always draws, so that changing one probability leaves the fate of the
// others as it was.
func (d *die) falls(chance float64) bool { return d.source.Float64() < chance }

func (d *die) upTo(longest time.Duration) time.Duration {
	return time.Duration(d.source.Float64() * float64(longest))
}

func (d *die) jitter(nominal time.Duration) time.Duration {
	return nominal + time.Duration((d.source.Float64()-0.5)*0.2*float64(nominal))
}
