package contest

import (
	"os"
	"path/filepath"
)

// freshFile names a database file in a folder of its own, and how to delete it
// with what the database writes beside it.
func (b *Bench) freshFile() (string, func(), error) {
	folder, err := os.MkdirTemp(b.Scratch, "sqlite")
	if err != nil {
		return "", nil, err
	}
	return filepath.Join(folder, "dfm.db"), func() { _ = os.RemoveAll(folder) }, nil
}
