package settings

import (
	"os"
	"os/signal"
	"syscall"
)

// Endings are the signals that end a program which serves, once it has finished what is
// at work. SIGHUP is one of them at a terminal, which is gone then.
func Endings() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if IsTerminal(os.Stderr) && !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// Rereads is told of each SIGHUP of a program that is at no terminal: it is asked to read
// its files again. One that was started with nohup hears of none.
func Rereads() <-chan os.Signal {
	if IsTerminal(os.Stderr) || signal.Ignored(syscall.SIGHUP) {
		return nil
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGHUP)
	return asked
}
