//go:build unix

package sqlite

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Own makes this process the one that works with the file, until Close. It
// fails when another process is: leases and jobs of one would be taken for those
// of a dead predecessor by the other. The lock goes with the process, however it
// ends.
func (e *Engine) Own() error {
	file, err := os.OpenFile(e.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock SQLite file: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return errors.Join(fmt.Errorf("the SQLite file %s is in use by another dfm serve; several processes need PostgreSQL", e.path), file.Close())
	}
	e.lock = file
	return nil
}
