//go:build browser

package browsertest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// axeVersion is the release of axe-core, which knows the rules of accessible pages.
const axeVersion = "4.10.3"

// axeCore returns the text of axe-core, kept in artifacts/axe of the project; it
// is fetched when it is not there yet.
func axeCore(t *testing.T) string {
	t.Helper()
	return axeIn(t, filepath.Join(root(t), "artifacts", "axe"))
}

// axeIn returns the text that is kept in the folder.
//
// Tests of several packages run at once. npm writes where it is told to while it
// works, so each fetches into a folder of its own and renames: who finds the file
// finds all of it.
func axeIn(t *testing.T, folder string) string {
	t.Helper()
	file := filepath.Join(folder, "axe-"+axeVersion+".min.js")
	if _, err := os.Stat(file); err != nil {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		fetch(t, folder, file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func fetch(t *testing.T, folder, file string) {
	t.Helper()
	own, err := os.MkdirTemp(folder, "fetch-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(own) }()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--prefix", own, "axe-core@"+axeVersion)
	if out, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("install axe-core: %v\n%s", err, out)
	}
	if err := os.Rename(filepath.Join(own, "node_modules", "axe-core", "axe.min.js"), file); err != nil {
		t.Fatal(err)
	}
}

// root is the project's folder.
func root(t *testing.T) string {
	t.Helper()
	folder, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder
		}
		above := filepath.Dir(folder)
		if above == folder {
			t.Fatal("no go.mod above the test's folder")
		}
		folder = above
	}
}
