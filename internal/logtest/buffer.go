// Package logtest keeps what programs write while tests read it.
package logtest

import (
	"bytes"
	"sync"
)

// Buffer is what has been written so far. The zero value is empty. Any number of
// goroutines may write and read it.
type Buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends p. It never fails.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String is all of it.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
