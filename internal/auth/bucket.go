package auth

import "time"

// bucket is a token bucket in the form of the generic cell rate algorithm: all
// it holds is the moment at which it will be full again. The zero bucket is full.
type bucket struct {
	full time.Time
}

// take takes one token out of a bucket of size burst that gains one token per
// every. It returns zero, or how long to wait until there is a token, in which
// case nothing is taken.
func (b *bucket) take(now time.Time, every time.Duration, burst int) time.Duration {
	if wait := b.wait(now, every, burst); wait > 0 {
		return wait
	}
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(every)
	return 0
}

// wait returns how long it takes until take would succeed, zero for now.
func (b *bucket) wait(now time.Time, every time.Duration, burst int) time.Duration {
	if !b.full.After(now) { // also keeps the zero time out of the subtraction
		return 0
	}
	return max(0, b.full.Sub(now)-time.Duration(burst-1)*every)
}
