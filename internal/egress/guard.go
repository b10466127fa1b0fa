package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// ErrForbiddenAddress is wrapped by the error of a call whose host resolved to an
// address that the guard does not let out. Client answers it with df.Refused.
var ErrForbiddenAddress = errors.New("address is not allowed")

// Policy says where a guarded transport may connect to.
type Policy struct {
	// Allow lists "host:port" of upstreams that the operator configured. They
	// are dialled as they are, on any network: the sandbox listens on loopback.
	Allow []string
}

// GuardedTransport returns a transport for URLs that users or payloads supply. It
// looks at the address that is about to be dialled, after name resolution, so a
// name that resolves elsewhere the second time gains nothing, and a redirect
// that the caller follows is checked as well, since it needs a dial of its own.
// Only public unicast addresses pass.
func GuardedTransport(policy Policy) *http.Transport {
	allowed := make(map[string]bool, len(policy.Allow))
	for _, address := range policy.Allow {
		allowed[strings.ToLower(address)] = true
	}
	open := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	guarded := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second, Control: checkDial}
	transport := newTransport(guarded)
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if allowed[strings.ToLower(address)] {
			return open.DialContext(ctx, network, address)
		}
		return guarded.DialContext(ctx, network, address)
	}
	return transport
}

// checkDial is called with the literal address of each connection attempt.
func checkDial(network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w: network %s", ErrForbiddenAddress, network)
	}
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: not an IP address", ErrForbiddenAddress)
	}
	if !PublicAddress(target.Addr()) {
		return fmt.Errorf("%w: not a public address", ErrForbiddenAddress)
	}
	return nil
}

// PublicAddress reports whether the address is one that any machine on the
// internet reaches the same way: not loopback, private, link-local, carrier-grade
// NAT, multicast, reserved or a cloud's metadata service, nor an IPv6 form that
// carries an IPv4 address (NAT64, 6to4, Teredo, IPv4-compatible), behind which
// any of those could hide.
func PublicAddress(address netip.Addr) bool {
	address = address.Unmap()
	if !address.IsValid() || address.Zone() != "" || !address.IsGlobalUnicast() {
		return false
	}
	ranges := forbidden6
	if address.Is4() {
		ranges = forbidden4
	} else if !globalUnicast6.Contains(address) {
		return false
	}
	for _, prefix := range ranges {
		if prefix.Contains(address) {
			return false
		}
	}
	return true
}

// globalUnicast6 is the only part of IPv6 from which public addresses have been
// given out; NAT64's 64:ff9b::/96, unique local fc00::/7 and all special ranges
// below it lie outside.
var globalUnicast6 = netip.MustParsePrefix("2000::/3")

var forbidden4 = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"168.63.129.16/32", // Azure's metadata and DNS service, on an address that looks public
)

var forbidden6 = prefixes(
	"2001::/23",     // IETF protocol assignments: Teredo, benchmarking, ORCHID
	"2001:db8::/32", // documentation
	"2002::/16",     // 6to4
	"3fff::/20",     // documentation
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}
