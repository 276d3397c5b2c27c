//go:build !linux

package redistest

import "os/exec"

// startTied starts cmd and closes done when cmd has ended and has been waited
// for. Only Linux can tie the child's life to ours: elsewhere a server outlives
// a test binary that dies without cleaning up.
func startTied(cmd *exec.Cmd, done chan<- struct{}) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = cmd.Wait() // the log tells more than the exit code
		close(done)
	}()
	return nil
}

// waitPaused has nothing to wait with here: a command sent right after Pause
// may still be answered.
func waitPaused(int) error { return nil }
