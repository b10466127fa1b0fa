package egress

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/df-middleware/dfm/internal/df"
)

func TestPublicAddress(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "93.184.216.34": true, "2606:4700::1111": true, "2a00:1450::1": true, "::ffff:8.8.8.8": true,
		"127.0.0.1": false, "127.9.9.9": false, "0.0.0.0": false, "0.1.2.3": false, "10.1.2.3": false, "172.16.0.1": false,
		"172.31.255.255": false, "172.32.0.1": true, "192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false,
		"100.100.100.200": false, "100.128.0.1": true, "192.0.0.192": false, "192.0.2.1": false, "198.18.0.1": false,
		"198.51.100.7": false, "203.0.113.7": false, "224.0.0.1": false, "239.255.255.250": false, "240.0.0.1": false,
		"255.255.255.255": false, "168.63.129.16": false, "192.88.99.1": false,
		"::1": false, "::": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false, "fd00:ec2::254": false,
		"ff02::1": false, "::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "::127.0.0.1": false,
		"64:ff9b::7f00:1": false, "64:ff9b::808:808": false, "64:ff9b:1::1": false, "2002:7f00:1::": false,
		"2001::1": false, "2001:db8::1": false, "3fff::1": false, "fec0::1": false, "100::1": false, "5f00::1": false,
	} {
		if got := PublicAddress(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if PublicAddress(netip.Addr{}) {
		t.Error("no address at all is public")
	}
}

func TestGuardedTransportRefusesWhatIsNotPublic(t *testing.T) {
	server := status(t, 200)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	c := client(t, Options{Transport: GuardedTransport(Policy{})})
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254"} {
		_, err := c.Do(t.Context(), post("http://"+host+":"+port+"/", false))
		failure := verdict(t, err)
		if failure.Outcome != df.Refused || failure.Code != df.CodeInvalid || !errors.Is(err, ErrForbiddenAddress) {
			t.Errorf("%s: %v, %v", host, failure, failure.Outcome)
		}
	}
	if state := c.Breaker(); state.Failures != 0 {
		t.Errorf("a forbidden address counted as an upstream's failure: %+v", state)
	}
}

func TestGuardedTransportLetsConfiguredUpstreamsThrough(t *testing.T) {
	server := status(t, 200)
	address := server.Listener.Addr().String()
	c := client(t, Options{Transport: GuardedTransport(Policy{Allow: []string{strings.ToUpper(address)}})})
	if _, err := c.Do(t.Context(), post(server.URL, false)); err != nil {
		t.Error(err)
	}
}

func TestGuardedTransportChecksRedirects(t *testing.T) {
	inside := status(t, 200)
	outside := httptest.NewServer(http.RedirectHandler(inside.URL, http.StatusFound))
	defer outside.Close()
	transport := GuardedTransport(Policy{Allow: []string{outside.Listener.Addr().String()}})
	defer transport.CloseIdleConnections()
	follower := &http.Client{Transport: transport}
	response, err := follower.Get(outside.URL)
	if err == nil {
		_ = response.Body.Close()
		t.Fatal("was led to an address inside")
	}
	if !errors.Is(err, ErrForbiddenAddress) {
		t.Error(err)
	}
}

func TestCheckDialRefusesWhatIsNoTCPAddress(t *testing.T) {
	for _, test := range [][2]string{{"unix", "/tmp/socket"}, {"tcp4", "name:80"}, {"tcp4", ""}, {"udp4", "8.8.8.8:53"}} {
		if err := checkDial(test[0], test[1], nil); !errors.Is(err, ErrForbiddenAddress) {
			t.Errorf("%v: %v", test, err)
		}
	}
	if err := checkDial("tcp6", "[2606:4700::1111]:443", nil); err != nil {
		t.Error(err)
	}
}

func TestTransportsTakeNoProxyAndKeepConnections(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://proxy.invalid:1")
	for _, transport := range []*http.Transport{NewTransport(), GuardedTransport(Policy{})} {
		if transport.Proxy != nil || transport.MaxIdleConnsPerHost < 64 || transport.TLSHandshakeTimeout == 0 ||
			transport.ResponseHeaderTimeout == 0 || transport.DialContext == nil {
			t.Errorf("%+v", transport)
		}
	}
}
