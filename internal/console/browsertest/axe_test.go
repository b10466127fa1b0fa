//go:build browser

package browsertest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
)

func TestEachLookFindsWhatItLooksFor(t *testing.T) {
	const page = `data:text/html,<!doctype html><html lang="en" class="js"><title>A page</title><main><h1>A page</h1>` +
		`<p style="color:%23ccc;background:%23fff">pale</p><img src="data:,"></main></html>`
	b := Open(t)
	for _, test := range []struct {
		look Look
		want []string
	}{{Desk, []string{"color-contrast", "image-alt"}}, {DeskDark, []string{"color-contrast"}}, {Phone, []string{"image-alt"}}, {PhoneDark, []string{"color-contrast", "image-alt"}}} {
		b.Dress(test.look)
		b.Do("open", chromedp.Navigate(page))
		var found []string
		for _, fault := range b.faults() {
			rule, _, _ := strings.Cut(fault, ":")
			found = append(found, rule)
		}
		slices.Sort(found)
		if !slices.Equal(found, test.want) {
			t.Errorf("%s finds %q, want %q", test.look.Name, found, test.want)
		}
	}
}

// npm writes a file bit by bit. Another package's test once read axe-core while it
// was being written, and its page had half a script.
func TestAxeIsFoundOnlyOnceAllOfItIsThere(t *testing.T) {
	folder := t.TempDir()
	half, rest := filepath.Join(folder, "half"), filepath.Join(folder, "rest")
	for _, pipe := range []string{half, rest} {
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// npm install --no-audit --no-fund --prefix FOLDER axe-core@VERSION
	npm := "#!/bin/sh\nmkdir -p $5/node_modules/axe-core\nfile=$5/node_modules/axe-core/axe.min.js\n" +
		"printf 'one ' >$file\necho >" + half + "\nread -r line <" + rest + "\nprintf 'two' >>$file\n"
	if err := os.WriteFile(filepath.Join(folder, "npm"), []byte(npm), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	kept := filepath.Join(folder, "kept")
	got := make(chan string, 1)
	go func() { got <- axeIn(t, kept) }()
	if _, err := os.ReadFile(half); err != nil { // until half is written
		t.Fatal(err)
	}
	if found, _ := filepath.Glob(filepath.Join(kept, "*.js")); len(found) > 0 {
		t.Errorf("%s is there before all of it is", found)
	}
	if err := os.WriteFile(rest, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text := <-got; text != "one two" {
		t.Errorf("got %q", text)
	}
	t.Setenv("PATH", "")
	if text := axeIn(t, kept); text != "one two" {
		t.Errorf("then got %q without npm", text)
	}
}
