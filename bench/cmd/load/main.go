// Load sends webhooks, or one request again and again, to a server on this
// machine's loopback and prints what came back:
//
//	go run ./bench/cmd/load -url http://127.0.0.1:3002/api/webhooks/ghl -secret S
//	go run ./bench/cmd/load -url … -secret S -rate 400      open loop
//	go run ./bench/cmd/load -url … -key ghl.pem             signed with Ed25519
//	go run ./bench/cmd/load -url … -get -header 'X-API-Key: K'
//
// With -new-key FILE it writes an Ed25519 key and prints the public half for
// GHL_WEBHOOK_PUBLIC_KEYS.
package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/df-middleware/dfm/bench/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var (
		l        load.Load
		webhooks load.Webhooks
	)
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.StringVar(&l.URL, "url", "", "what to load, on a loopback address")
	flags.IntVar(&l.Connections, "connections", 64, "connections")
	flags.DurationVar(&l.Measure, "measure", 5*time.Second, "how long")
	flags.DurationVar(&l.Warmup, "warmup", time.Second, "sent before, not measured")
	flags.Float64Var(&l.Rate, "rate", 0, "requests due in a second; 0 is a closed loop")
	flags.StringVar(&webhooks.Secret, "secret", "", "sign with hex HMAC-SHA256 under this")
	flags.IntVar(&webhooks.Contacts, "contacts", 1000, "people that the events are about")
	flags.Float64Var(&webhooks.Duplicates, "duplicates", 0, "share of repeated deliveries, 0 to 1")
	flags.Uint64Var(&webhooks.Seed, "seed", uint64(time.Now().Unix()), "of ids and people; the same seed sends the same events")
	keyFile := flags.String("key", "", "sign with the Ed25519 key in this PEM file")
	newKey := flags.String("new-key", "", "write a key to this file and stop")
	get := flags.Bool("get", false, "send GET requests instead of webhooks")
	headers := headerFlag{}
	flags.Var(headers, "header", "'Name: value' to send with -get; may be repeated")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *newKey != "" {
		return writeKey(*newKey, out)
	}
	if *keyFile != "" {
		key, err := readKey(*keyFile)
		if err != nil {
			return err
		}
		webhooks.Key = key
	}
	webhooks.URL = l.URL
	l.Source = webhooks.Source
	if *get {
		l.Source = load.Fixed(l.URL, headers, "")
	}
	result, err := load.Run(ctx, l, nil)
	if err != nil {
		return err
	}
	ms := func(q float64) float64 { return result.Latencies.Quantile(q).Seconds() * 1e3 }
	fmt.Fprintf(out, "%.0f req/s  p50 %.2f ms  p90 %.2f ms  p99 %.2f ms  p99.9 %.2f ms\n",
		result.PerSecond(), ms(0.5), ms(0.9), ms(0.99), ms(0.999))
	fmt.Fprintf(out, "statuses %v  no answer %d  different events accepted %d\n", result.Statuses, result.Errors, result.Accepted)
	return nil
}

// headerFlag collects 'Name: value' pairs.
type headerFlag map[string]string

func (h headerFlag) String() string { return "" }

func (h headerFlag) Set(text string) error {
	name, value, ok := strings.Cut(text, ":")
	if !ok {
		return errors.New("write it as 'Name: value'")
	}
	h[strings.TrimSpace(name)] = strings.TrimSpace(value)
	return nil
}

func writeKey(file string, out io.Writer) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600); err != nil {
		return err
	}
	open, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return err
	}
	return pem.Encode(out, &pem.Block{Type: "PUBLIC KEY", Bytes: open})
}

func readKey(file string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", file)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds no Ed25519 key", file)
	}
	return key, nil
}
