package egress

import (
	"net"
	"net/http"
	"time"
)

// NewTransport returns a transport tuned for calling few hosts often: it keeps
// 256 idle connections per host, where net/http keeps two and then pays a
// handshake for almost every call, bounds each phase of a call, and takes no
// proxy from the environment, since a token travels in some of our URLs.
// Redirects are for whoever wraps it; Client follows none.
func NewTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	return newTransport(dialer)
}

// NewStreamTransport returns a transport for what is passed on as it comes: it
// does not ask for compressed answers by itself, and waits at most
// headerTimeout for the first byte of an answer.
func NewStreamTransport(headerTimeout time.Duration) *http.Transport {
	transport := NewTransport()
	transport.DisableCompression = true
	transport.MaxIdleConnsPerHost = 512
	transport.ResponseHeaderTimeout = headerTimeout
	transport.WriteBufferSize, transport.ReadBufferSize = 0, 0 // net/http's 4 KiB do
	return transport
}

func newTransport(dialer *net.Dialer) *http.Transport {
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           1024,
		MaxIdleConnsPerHost:    256,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  60 * time.Second, // a backstop; a call's own Timeout is shorter
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		WriteBufferSize:        16 << 10,
		ReadBufferSize:         16 << 10,
	}
}
