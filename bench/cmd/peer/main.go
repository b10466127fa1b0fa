// Peer is what the gateway benchmark puts around the gateways:
//
//	peer upstream -listen 127.0.0.1:9000
//	peer proxy -listen 127.0.0.1:9001 -upstream http://127.0.0.1:9000 -key KEY
//
// The upstream answers every request with 1 KiB of JSON. The proxy is the
// standard library's reverse proxy behind a check of the bearer key, tuned in the
// two usual ways: enough idle connections, and buffers that are used again.
package main

import (
	"crypto/subtle"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("say upstream or proxy")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:0", "loopback address and port")
	upstream := flags.String("upstream", "", "URL that the proxy passes requests to")
	key := flags.String("key", "", "bearer key that the proxy asks for")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	var handler http.Handler
	switch args[0] {
	case "upstream":
		handler = answering(page())
	case "proxy":
		target, err := url.Parse(*upstream)
		if err != nil {
			return err
		}
		handler = proxy(target, *key)
	default:
		return fmt.Errorf("no role %q", args[0])
	}
	address, err := netip.ParseAddrPort(*listen)
	if err != nil || !address.Addr().IsLoopback() {
		return fmt.Errorf("listen on a loopback address, not %q", *listen)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(listener)
}

// page is 1 KiB of JSON.
func page() []byte {
	const start, end = `{"data":"`, `"}`
	return []byte(start + strings.Repeat("x", 1024-len(start)-len(end)) + end)
}

func answering(body []byte) http.Handler {
	length := strconv.Itoa(len(body))
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", length)
		_, _ = w.Write(body)
	})
}

// prefix is where the gateways' proxy route begins.
const prefix = "/api/verity/proxy"

func proxy(target *url.URL, key string) http.Handler {
	pass := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, prefix)
		},
		Transport:  &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
		BufferPool: &buffers{},
	}
	want := []byte("Bearer " + key)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc(prefix+"/", func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		pass.ServeHTTP(w, r)
	})
	return mux
}

// buffers lends the reverse proxy what it copies bodies with, which it would
// else make anew for each answer.
type buffers struct{ pool sync.Pool }

const bufferSize = 32 << 10

func (b *buffers) Get() []byte {
	if kept, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return kept[:]
	}
	return make([]byte, bufferSize)
}

func (b *buffers) Put(buffer []byte) { b.pool.Put((*[bufferSize]byte)(buffer)) }
