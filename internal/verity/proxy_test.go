package verity

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/egress"
)

func (r *rig) proxied(method, path, body string, header ...string) *http.Request {
	r.t.Helper()
	request := r.request(method, "/api/verity/proxy"+path, body)
	request.Header.Set("X-Api-Key", goodKey)
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Add(header[i], header[i+1])
	}
	return request
}

func TestProxyPassesStatusHeadersAndBodyAsTheyAre(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "image/png")
		h.Set("X-From-Verity", "yes")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Content-Encoding", "gzip")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.Copy(w, q.Body)
	}, nil)
	e := r.send(r.proxied("PATCH", "/apiwarehouse/pallets?b=2&a=1", "\x00\xff", "Authorization", "Bearer user",
		"Accept-Encoding", "gzip", "Cookie", "a=b", "X-Forwarded-For", "1.2.3.4", "X-Middleware-Secret", "x", "Range", "bytes=0-",
		"Connection", "X-Hop, keep-alive", "X-Hop", "1", "Upgrade", "websocket", "Content-Type", "image/png"))
	equal(t, "status", e.status, http.StatusTeapot)
	equal(t, "body", e.raw, "\x00\xff")
	equal(t, "header", e.header.Get("X-From-Verity"), "yes")
	equal(t, "encoding", e.header.Get("Content-Encoding"), "gzip")
	equal(t, "their CORS", e.header.Get("Access-Control-Allow-Origin"), "")
	got := r.reached()[0]
	equal(t, "request", got.Method+" "+got.URI, "PATCH /api/warehouse/pallets?b=2&a=1")
	equal(t, "token", got.Header.Get("Authorization"), "Bearer user")
	equal(t, "range", got.Header.Get("Range"), "bytes=0-")
	for _, name := range []string{"Cookie", "X-Api-Key", "X-Forwarded-For", "X-Middleware-Secret", "X-Hop", "Upgrade", "Connection"} {
		equal(t, name, got.Header.Get(name), "")
	}
}

func TestProxyMakesTheSameChecks(t *testing.T) {
	r := newRig(t, nil, func(c *Config) { c.Mode = Enforce })
	text := `{"to":"+15005550199"}`
	tests := []struct {
		name    string
		request *http.Request
		status  int
		code    string
	}{
		{"no key", r.request("GET", "/api/verity/proxy/api/any", ""), 401, "UNAUTHORIZED"},
		{"two keys", r.proxied("GET", "/api/any", "", "X-Api-Key", goodKey), 401, "UNAUTHORIZED"},
		{"forged token", r.proxied("GET", "/api/any", "", "Authorization", "Bearer forged"), 401, "INVALID_TOKEN"},
		{"two tokens", r.proxied("GET", "/api/any", "", "Authorization", "Bearer user", "Authorization", "Bearer admin"), 401, "INVALID_TOKEN"},
		{"no token", r.proxied("GET", "/api/any", ""), 401, "AUTH_REQUIRED"},
		{"too little", r.proxied("GET", "/api/admin", "", "Authorization", "Bearer user"), 403, "FORBIDDEN"},
		{"unlisted", r.proxied("GET", "/api/unlisted", ""), 404, "ENDPOINT_NOT_FOUND"},
		{"method", r.proxied("PURGE", "/api/any", ""), 400, "INVALID_METHOD"},
		{"opted out", r.proxied("POST", "/apisms", text), 403, "OPTED_OUT"},
		{"opted out, key twice", r.proxied("POST", "/apisms", `{"to":"+15005550199","to":"+15005550100"}`), 400, "INVALID_REQUEST"},
		{"text, compressed", r.proxied("POST", "/apisms", text, "Content-Encoding", "gzip"), 400, "INVALID_REQUEST"},
		{"text, no JSON", r.proxied("POST", "/apisms", "to=%2B15005550199"), 400, "INVALID_REQUEST"},
	}
	for _, test := range tests {
		e := r.send(test.request)
		equal(t, test.name+" status", e.status, test.status)
		equal(t, test.name+" code", e.Error.Code, test.code)
	}
	if got := r.reached(); len(got) > 0 {
		t.Fatalf("Verity got %+v", got)
	}
	e := r.send(r.proxied("POST", "/apisms", `{"to":"+15005550100"}`))
	equal(t, "allowed text", e.status, 200)
	equal(t, "its bytes", r.reached()[0].Body, `{"to":"+15005550100"}`)
	head := r.send(r.proxied("HEAD", "/api/warehouse/pallets/1", ""))
	equal(t, "HEAD", head.status, 200)
}

func TestProxyAnswers502And504(t *testing.T) {
	reset := newRig(t, func(w http.ResponseWriter, _ *http.Request) { abort(w) }, nil)
	e := reset.send(reset.proxied("GET", "/api/x", ""))
	equal(t, "reset", e.status, 502)
	equal(t, "code", e.Error.Code, "PROXY_ERROR")
	closed := newRig(t, nil, func(c *Config) { c.BaseURL = "http://127.0.0.1:1" })
	equal(t, "closed", closed.send(closed.proxied("GET", "/api/x", "")).status, 502)
	slow := newRig(t, func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() }, func(c *Config) { c.Transport = egress.NewStreamTransport(50 * time.Millisecond) })
	equal(t, "slow", slow.send(slow.proxied("GET", "/api/x", "")).status, 504)
}

func TestProxyPassesOnWhatHasCome(t *testing.T) {
	read := make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		reader := bufio.NewReader(q.Body)
		line, _ := reader.ReadString('\n') // arrives before the caller's next line
		read <- struct{}{}
		rest, _ := io.ReadAll(reader)
		_, _ = io.WriteString(w, "got "+line+string(rest))
		w.(http.Flusher).Flush()
		<-read
		_, _ = io.WriteString(w, "end\n")
	}, nil)
	body, sender := io.Pipe()
	request := r.proxied("POST", "/api/x", "")
	request.Body, request.ContentLength, request.GetBody = body, -1, nil
	go func() {
		_, _ = io.WriteString(sender, "one\n")
		<-read
		_, _ = io.WriteString(sender, "two\n")
		_ = sender.Close()
	}()
	response, err := r.server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	reader := bufio.NewReader(response.Body)
	for _, want := range []string{"got one\n", "two\n"} {
		if line, err := reader.ReadString('\n'); err != nil || line != want {
			t.Fatalf("got %q, %v", line, err)
		}
	}
	close(read)
	if line, err := reader.ReadString('\n'); err != nil || line != "end\n" {
		t.Fatalf("got %q, %v", line, err)
	}
}

func TestProxyStopsAStreamThatStandsStill(t *testing.T) {
	ended := make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.WriteString(w, "begun")
		w.(http.Flusher).Flush()
		<-q.Context().Done()
		close(ended)
	}, func(c *Config) { c.StreamIdle = 50 * time.Millisecond })
	response, err := r.server.Client().Do(r.proxied("GET", "/api/x", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.ReadAll(response.Body); err == nil {
		t.Error("a broken-off answer looks whole")
	}
	<-ended
}

func TestProxyBoundsUploads(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) { _, _ = io.Copy(io.Discard, q.Body) }, func(c *Config) { c.MaxStreamBody = 1 << 16 })
	equal(t, "declared", r.send(r.proxied("POST", "/api/x", strings.Repeat("x", 1<<17))).status, 413)
	request := r.proxied("POST", "/api/x", "")
	request.Body, request.ContentLength = io.NopCloser(io.LimitReader(endless{}, 1<<20)), -1
	request.GetBody = nil
	equal(t, "chunked", r.send(request).status, 413)
}

// endless is a body of zeros without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestMemoryStaysFlatWhileMuchStreamsThrough streams 64 MiB both ways, or what
// DFM_STREAM_MIB says (1024 for the full measurement).
func TestMemoryStaysFlatWhileMuchStreamsThrough(t *testing.T) {
	size := int64(64)
	if given, err := strconv.ParseInt(os.Getenv("DFM_STREAM_MIB"), 10, 64); err == nil {
		size = given
	}
	size <<= 20
	var uploaded atomic.Int64
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		n, _ := io.Copy(io.Discard, q.Body)
		uploaded.Store(n)
		_, _ = io.Copy(w, io.LimitReader(endless{}, size))
	}, nil)
	request := r.proxied("POST", "/api/x", "")
	request.Body, request.ContentLength = io.NopCloser(io.LimitReader(endless{}, size)), -1
	request.GetBody = nil

	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	base, peak := stats.HeapAlloc, atomic.Uint64{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				var now runtime.MemStats
				runtime.ReadMemStats(&now)
				peak.Store(max(peak.Load(), now.HeapAlloc))
			}
		}
	}()
	response, err := r.server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	cancel()
	<-done
	if err != nil || n != size || uploaded.Load() != size {
		t.Fatalf("%d down, %d up of %d, %v", n, uploaded.Load(), size, err)
	}
	grown := int64(peak.Load()) - int64(base)
	t.Logf("%d MiB each way, heap grew by %d KiB at most", size>>20, grown>>10)
	if grown > 16<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}

func TestUploadsThatStandStillAreEnded(t *testing.T) {
	ended := make(chan error, 1)
	r := newRig(t, func(_ http.ResponseWriter, q *http.Request) {
		_, err := io.Copy(io.Discard, q.Body)
		ended <- err
	}, func(c *Config) { c.StreamIdle = 50 * time.Millisecond })
	body, sender := io.Pipe()
	request := r.proxied("POST", "/api/x", "")
	request.Body, request.ContentLength, request.GetBody = body, -1, nil
	go func() {
		if err := <-ended; err == nil {
			t.Error("Verity took half a body for a whole one")
		}
		_ = sender.Close()
	}()
	response, err := r.server.Client().Do(request)
	if err == nil {
		_ = response.Body.Close()
		t.Errorf("status %d", response.StatusCode)
	}
}

func TestBodyThatTricklesInIsRefusedInTime(t *testing.T) {
	r := newRig(t, nil, func(c *Config) { c.BodyTimeout = 50 * time.Millisecond })
	body, sender := io.Pipe()
	defer func() { _ = sender.Close() }()
	request := r.request("POST", "/api/verity", "")
	request.Header.Set("Authorization", "Bearer "+goodKey)
	request.Body, request.ContentLength, request.GetBody = body, -1, nil
	e := r.send(request)
	equal(t, "status", e.status, 400)
	equal(t, "code", e.Error.Code, "INVALID_REQUEST")
}

func BenchmarkProxy(b *testing.B) {
	r := benchRig(b)
	for _, parallel := range []int{16, 64} {
		b.Run(strconv.Itoa(parallel), func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(parallel / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				client := &http.Client{Transport: egress.NewStreamTransport(0)}
				for pb.Next() {
					request, _ := http.NewRequest("GET", r.server.URL+"/api/verity/proxy/api/warehouse/pallets/p-1", nil)
					request.Header.Set("X-Api-Key", goodKey)
					drain(b, client, request)
				}
			})
		})
	}
}

func drain(b *testing.B, client *http.Client, request *http.Request) {
	response, err := client.Do(request)
	if err != nil {
		b.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if response.StatusCode != 200 {
		b.Errorf("status %d", response.StatusCode)
	}
}

func benchRig(b *testing.B) *rig {
	answer := []byte(`{"text":"` + strings.Repeat("x", 1000) + `"}`)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = jsonType
		_, _ = w.Write(answer)
	}))
	b.Cleanup(upstream.Close)
	return newRig(b, nil, func(c *Config) { c.BaseURL = upstream.URL; c.Observer = nil; c.Mode = Enforce })
}

func BenchmarkEnvelope(b *testing.B) {
	r := benchRig(b)
	for _, parallel := range []int{16, 64} {
		b.Run(strconv.Itoa(parallel), func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(parallel / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				client := &http.Client{Transport: egress.NewStreamTransport(0)}
				for pb.Next() {
					request, _ := http.NewRequest("POST", r.server.URL+"/api/verity", strings.NewReader(getPallet))
					request.Header.Set("Authorization", "Bearer "+goodKey)
					drain(b, client, request)
				}
			})
		})
	}
}

// BenchmarkHandler leaves the caller's side of the network out: what one call
// costs the gateway itself, the connection to Verity included.
func BenchmarkHandler(b *testing.B) {
	r := benchRig(b)
	b.ReportAllocs()
	for b.Loop() {
		request := httptest.NewRequest("POST", "/api/verity", strings.NewReader(getPallet))
		request.Header.Set("Authorization", "Bearer "+goodKey)
		recorder := httptest.NewRecorder()
		r.gateway.ServeHTTP(recorder, request)
		if recorder.Code != 200 {
			b.Fatal(recorder.Code)
		}
	}
}

// BenchmarkPlainReverseProxy is what the standard library does on the same
// transport without any of our checks: the bar for the two above.
func BenchmarkPlainReverseProxy(b *testing.B) {
	r := benchRig(b)
	plain := &httputil.ReverseProxy{
		Transport: egress.NewStreamTransport(0), BufferPool: newCopyBuffers(),
		Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(r.gateway.base) },
	}
	server := httptest.NewServer(plain)
	b.Cleanup(server.Close)
	for _, parallel := range []int{16, 64} {
		b.Run(strconv.Itoa(parallel), func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(parallel / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				client := &http.Client{Transport: egress.NewStreamTransport(0)}
				for pb.Next() {
					request, _ := http.NewRequest("GET", server.URL+"/api/warehouse/pallets/p-1", nil)
					drain(b, client, request)
				}
			})
		})
	}
}
