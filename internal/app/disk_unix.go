//go:build unix

package app

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
)

// freeBytes returns how much may still be written to the disk of a folder, which
// need not be there yet.
func freeBytes(folder string) (int64, error) {
	for {
		var s syscall.Statfs_t
		err := syscall.Statfs(folder, &s)
		if err == nil {
			return int64(s.Bavail) * int64(s.Bsize), nil
		}
		parent := filepath.Dir(folder)
		if !errors.Is(err, fs.ErrNotExist) || parent == folder {
			return 0, err
		}
		folder = parent
	}
}
