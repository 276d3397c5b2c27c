package browsertest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// conn speaks the Chrome DevTools Protocol over the two pipes of --remote-debugging-pipe: JSON objects, each
// followed by a zero byte. Its methods are safe for concurrent use.
type conn struct {
	w       io.Writer
	writing sync.Mutex

	mu      sync.Mutex
	last    int64
	waiting map[int64]chan<- message
	events  map[string]func(method string, params json.RawMessage) // by session

	closed chan struct{} // when the browser has closed its end
}

type message struct {
	ID        int64           `json:"id,omitempty"`
	SessionID string          `json:"sessionId,omitempty"`
	Method    string          `json:"method,omitempty"`
	Params    json.RawMessage `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     *callError      `json:"error,omitempty"`
}

// callError is what the browser answers to a call that it can't carry out.
type callError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *callError) Error() string { return e.Message }

var errClosed = errors.New("the browser has ended")

func newConn(r io.Reader, w io.Writer) *conn {
	c := &conn{
		w:       w,
		waiting: make(map[int64]chan<- message),
		events:  make(map[string]func(string, json.RawMessage)),
		closed:  make(chan struct{}),
	}
	go c.read(r)
	return c
}

// read hands out what the browser says until it ends. A handler of events is called here, one event after the other, so
// it must not make calls.
func (c *conn) read(r io.Reader) {
	defer close(c.closed)
	in := bufio.NewReader(r)
	for {
		text, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			return
		}
		c.mu.Lock()
		answer, event := c.waiting[m.ID], c.events[m.SessionID]
		delete(c.waiting, m.ID)
		c.mu.Unlock()
		switch {
		case answer != nil:
			answer <- m
		case m.Method != "" && event != nil:
			event(m.Method, m.Params)
		}
	}
}

// handle has f called with every event of a session from now on; nil ends that.
func (c *conn) handle(session string, f func(method string, params json.RawMessage)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f == nil {
		delete(c.events, session)
		return
	}
	c.events[session] = f
}

// call calls a method of the protocol in a session, "" for the browser itself, and stores the answer in result unless
// that is nil.
func (c *conn) call(ctx context.Context, session, method string, params, result any) error {
	if params == nil {
		params = struct{}{}
	}
	encoded, err := json.Marshal(params)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	answer := make(chan message, 1)
	c.mu.Lock()
	c.last++
	id := c.last
	c.waiting[id] = answer
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiting, id)
		c.mu.Unlock()
	}()
	if err := c.send(message{ID: id, SessionID: session, Method: method, Params: encoded}); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case m := <-answer:
		switch {
		case m.Error != nil:
			return fmt.Errorf("%s: %w", method, m.Error)
		case result == nil:
			return nil
		}
		if err := json.Unmarshal(m.Result, result); err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		return nil
	case <-c.closed:
		return fmt.Errorf("%s: %w", method, errClosed)
	case <-ctx.Done():
		return fmt.Errorf("%s: no answer: %w", method, ctx.Err())
	}
}

func (c *conn) send(m message) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	_, err = c.w.Write(append(text, 0))
	return err
}
