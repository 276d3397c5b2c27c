//go:build !linux

package main

import "os/exec"

// startTied starts cmd and closes done when cmd has ended and has been waited
// for. Only Linux can tie the child's life to ours.
func startTied(cmd *exec.Cmd, done chan<- struct{}) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = cmd.Wait() // the process state tells
		close(done)
	}()
	return nil
}

// killGroup kills cmd. Only Linux knows what it has started.
func killGroup(cmd *exec.Cmd) error { return cmd.Process.Kill() }
