package main

import (
	"os/exec"
	"runtime"
	"syscall"
)

// startTied starts cmd so that it dies with the benchmark, whatever kills
// that, and closes done when cmd has ended and has been waited for.
//
// The kernel watches the thread that started the child, not the process, so
// that thread is kept alive until the child has ended.
// Source: prctl(2), PR_SET_PDEATHSIG; golang.org/issue/27505.
func startTied(cmd *exec.Cmd, done chan<- struct{}) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // the process state tells
			close(done)
		}
	}()
	return <-started
}

// killGroup kills cmd and whatever it has started.
func killGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
