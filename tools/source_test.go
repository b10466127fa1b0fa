package tools

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// source is one file of the tree, named by its slash-separated path from the
// module's root.
type source struct {
	name string
	text []byte
}

// inTest reports whether the file is only compiled into tests: a _test.go file,
// or part of a test suite that lives in a package of its own (storetest).
func (s source) inTest() bool {
	return strings.HasSuffix(s.name, "_test.go") || isSuite(path.Dir(s.name))
}

// isSuite reports whether the package at the path is a test suite, which the
// field names with the suffix "test" (httptest, storetest).
func isSuite(dir string) bool {
	return strings.HasSuffix(path.Base(dir), "test")
}

// room names the room that the file or package at the path belongs to:
// "store" for internal/store/sqlite, "cmd" for cmd/dfm.
func room(name string) string {
	parts := strings.Split(name, "/")
	if parts[0] == "internal" && len(parts) > 1 {
		return parts[1]
	}
	return parts[0]
}

// notOurs are folders that hold no source of the project.
var notOurs = []string{"testdata", "node_modules", "vendor", "artifacts", "bin", "dist", "data"}

// tree reads the files under the module's root that keep accepts.
func tree(t *testing.T, keep func(name string) bool) []source {
	t.Helper()
	root := moduleRoot(t)
	var files []source
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if entry.IsDir() {
			hidden := name != "." && strings.HasPrefix(entry.Name(), ".")
			if hidden || slices.Contains(notOurs, entry.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() || !keep(name) {
			return nil
		}
		text, err := os.ReadFile(file)
		files = append(files, source{name: name, text: text})
		return err
	})
	if err != nil {
		t.Fatalf("read the tree: %v", err)
	}
	return files
}

// moduleRoot is the nearest folder above the test that holds go.mod.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = parent
	}
}

// goFiles accepts every Go file, whatever its build tags.
func goFiles(name string) bool { return strings.HasSuffix(name, ".go") }

// report fails the test once for each fault.
func report(t *testing.T, faults []string) {
	t.Helper()
	for _, fault := range faults {
		t.Error(fault)
	}
}
