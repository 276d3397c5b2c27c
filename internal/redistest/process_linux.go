package redistest

import (
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// startTied starts cmd so that the kernel kills it when this process dies, and
// closes done when cmd has ended and has been waited for.
//
// The kernel watches the thread that started the child, not the process, so
// that thread is kept alive until the child has ended.
// Source: prctl(2), PR_SET_PDEATHSIG; golang.org/issue/27505.
func startTied(cmd *exec.Cmd, done chan<- struct{}) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait() // the log tells more than the exit code
		close(done)
	}()
	return <-started
}

// waitPaused returns when every thread of the child pid has stopped: SIGSTOP
// is only a request, and another CPU may still run the child for a moment.
func waitPaused(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return err
		}
	}
}
