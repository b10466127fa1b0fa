package app

import (
	"net/http"
	"net/netip"
	"strings"
)

// remote returns who makes a request, for the brake on guessing: the peer, or,
// when the peer is one of our own proxies (DFM_TRUSTED_PROXIES), the last hop
// that no proxy of ours added. What a stranger writes into the header is never
// believed.
func (a *App) remote(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !a.trusted(peer.Addr()) {
		return r.RemoteAddr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		if !a.trusted(hop) {
			return hop.String()
		}
	}
	return r.RemoteAddr
}

func (a *App) trusted(address netip.Addr) bool {
	for _, network := range a.config.Proxies {
		if network.Contains(address.Unmap()) {
			return true
		}
	}
	return false
}
