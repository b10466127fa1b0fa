//go:build !unix

package contest

import "os/exec"

// apart does nothing: where there are no process groups, only the command itself
// is ended.
func apart(*exec.Cmd) {}

func killAll(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
