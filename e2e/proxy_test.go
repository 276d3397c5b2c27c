package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"vizstop/internal/redistest"
)

// proxy stands between a program and Redis and sees each command before Redis
// does.
type proxy struct {
	url   string
	redis string // address
	see   func(command []string)
	conns sync.WaitGroup
}

// newProxy listens until the end of the test. see is called with every command
// before Redis gets it, on several goroutines. While it has not returned, the
// command waits.
func newProxy(t *testing.T, server *redistest.Server, see func(command []string)) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{url: strings.Replace(server.URL, server.Addr, l.Addr().String(), 1), redis: server.Addr, see: see}
	p.conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			p.conns.Go(func() { p.serve(conn) })
		}
	})
	// The programs have ended by then: their cleanups were registered later.
	t.Cleanup(func() {
		l.Close()
		p.conns.Wait()
	})
	return p
}

// serve passes on what comes, until one side hangs up.
func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.redis)
	if err != nil {
		return
	}
	p.conns.Go(func() {
		_, _ = io.Copy(client, server)
		client.Close()
	})
	defer server.Close()
	in := bufio.NewReader(client)
	for {
		command, raw, err := readCommand(in)
		if err != nil {
			return
		}
		p.see(command)
		if _, err := server.Write(raw); err != nil {
			return
		}
	}
}

// readCommand reads one command as clients send it, an array of bulk strings,
// and returns its bytes too.
func readCommand(in *bufio.Reader) (command []string, raw []byte, err error) {
	number := func(kind byte) (int, error) {
		line, err := in.ReadString('\n')
		if err != nil {
			return 0, err
		}
		raw = append(raw, line...)
		if line[0] != kind {
			return 0, fmt.Errorf("%q does not begin with %c", line, kind)
		}
		return strconv.Atoi(strings.TrimSpace(line[1:]))
	}
	n, err := number('*')
	for range n {
		var size int
		if size, err = number('$'); err != nil {
			break
		}
		text := make([]byte, size+len("\r\n"))
		if _, err = io.ReadFull(in, text); err != nil {
			break
		}
		raw = append(raw, text...)
		command = append(command, string(text[:size]))
	}
	return command, raw, err
}

// script returns the keys of a command that runs a script.
func script(command []string) (keys []string, ok bool) {
	if len(command) < 3 || !strings.HasPrefix(strings.ToUpper(command[0]), "EVAL") {
		return nil, false
	}
	n, err := strconv.Atoi(command[2])
	if err != nil || len(command) < 3+n {
		return nil, false
	}
	return command[3 : 3+n], true
}

func TestReadCommand(t *testing.T) {
	t.Parallel()
	const wire = "*3\r\n$7\r\nEVALSHA\r\n$4\r\na\r\nb\r\n$1\r\n0\r\n*1\r\n$0\r\n\r\n"
	in := bufio.NewReader(strings.NewReader(wire))
	var all []byte
	for _, want := range [][]string{{"EVALSHA", "a\r\nb", "0"}, {""}} {
		got, raw, err := readCommand(in)
		if err != nil || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("read %q, %v; want %q", got, err, want)
		}
		all = append(all, raw...)
	}
	if string(all) != wire {
		t.Errorf("passed on %q, want %q", all, wire)
	}
	if _, _, err := readCommand(in); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}
