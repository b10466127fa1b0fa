//go:build unix

package contest

import (
	"os/exec"
	"syscall"
)

// apart gives the command a process group, by which all that it starts is found.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// killAll ends the command and everything it started.
func killAll(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
