//go:build !unix

package sqlite

// Own makes this process the one that works with the file. Here nothing keeps a
// second process out; docs/operating.md says not to start one.
func (e *Engine) Own() error { return nil }
