package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// program is the binary under test.
var program string

// journal holds what all processes of the run have logged.
var journal logs

func TestMain(m *testing.M) {
	flag.Parse()
	// Most of a test's time is waiting: for leases to run out, for retries.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err) // the testing package has had this flag for ever
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "dfm-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	program = filepath.Join(folder, "dfm")
	build := exec.Command("go", "build", "-o", program, "../cmd/dfm")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build dfm: %v\n%s", err, out)
		return 1
	}
	code := m.Run()
	for _, leak := range journal.leaks() {
		fmt.Fprintln(os.Stderr, "--- FAIL: a log holds what must not be in it:", leak)
		code = 1
	}
	return code
}

// logs collects log lines and the secrets that must not be in them.
type logs struct {
	mu      sync.Mutex
	lines   []string
	secrets map[string]string // value to name
}

func (l *logs) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

// secret notes a value that no log may hold.
func (l *logs) secret(name, value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.secrets == nil {
		l.secrets = map[string]string{}
	}
	if len(value) >= 6 {
		l.secrets[value] = name
	}
}

// personal is every phone number and e-mail address that the tests invent, in
// whatever notation.
var personal = regexp.MustCompile(`(500|202)\D{0,3}555\D{0,2}\d{4}|(?i:[a-z0-9._+-]+(@|%40)example\.test)`)

// leaks lists the lines that hold a secret, a phone number or an address. The
// thing itself is not repeated.
func (l *logs) leaks() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for _, line := range l.lines {
		for value, name := range l.secrets {
			if strings.Contains(line, value) {
				found = append(found, name+" in: "+strings.ReplaceAll(line, value, "***"))
			}
		}
		if personal.MatchString(line) {
			found = append(found, "personal data in: "+personal.ReplaceAllString(line, "***"))
		}
	}
	return found
}
