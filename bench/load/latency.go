package load

import (
	"math/bits"
	"time"
)

// A Histogram counts latencies in buckets whose width is at most 1/64 of their
// value, from 1 µs to over half an hour. The zero Histogram is empty and ready.
type Histogram struct {
	counts [26 * half]int64
	total  int64
	max    time.Duration
}

// half is how many buckets cover each doubling of the latency.
const half = 64

// Record adds one latency.
func (h *Histogram) Record(d time.Duration) {
	h.counts[bucket(d)]++
	h.total++
	h.max = max(h.max, d)
}

// Merge adds all of another histogram's latencies.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.max = max(h.max, other.max)
}

// Count is how many latencies were recorded.
func (h *Histogram) Count() int64 { return h.total }

// Quantile is the smallest latency that at least the share q (0 to 1) of all
// do not exceed, rounded up to the end of its bucket; 0 when there is none.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := max(1, int64(q*float64(h.total)+0.5))
	var seen int64
	for i, n := range h.counts {
		seen += n
		if seen >= rank {
			return min(ceiling(i), h.max)
		}
	}
	return h.max
}

// bucket is the index for a latency: exact below 128 µs, then 64 for each doubling.
func bucket(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	shift := max(bits.Len64(us)-bits.Len64(2*half-1), 0)
	index := shift*half + int(us>>shift)
	return min(index, 26*half-1)
}

// ceiling is the largest latency of a bucket.
func ceiling(index int) time.Duration {
	shift := max(index/half-1, 0)
	us := (uint64(index-shift*half)+1)<<shift - 1
	return time.Duration(us)*time.Microsecond + time.Microsecond - time.Nanosecond
}
