package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
)

// A script that calls two commands is one request, a pipeline of three is three.
func TestProxyCountsWhatAClientSends(t *testing.T) {
	server := miniredis.RunT(t)
	proxy, err := startProxy(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", proxy.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The value looks like requests, but is none, and is larger than any buffer.
	value := strings.Repeat("\r\n*1\r\n", 20_000)
	const script = "redis.call('SET', KEYS[1], ARGV[1]); return redis.call('STRLEN', KEYS[1])"
	all := request("EVAL", script, "1", "k", value) + strings.Repeat(request("INCR", "n"), 3) + request("PING")
	if _, err := io.WriteString(conn, all); err != nil {
		t.Fatal(err)
	}
	var got []string
	for replies := bufio.NewScanner(conn); len(got) < 5 && replies.Scan(); {
		got = append(got, replies.Text())
	}
	if want := []string{fmt.Sprintf(":%d", len(value)), ":1", ":2", ":3", "+PONG"}; !slices.Equal(got, want) {
		t.Errorf("replies %q, want %q", got, want)
	}
	proxy.close() // it has counted all now
	if n := proxy.requests.Load(); n != 5 {
		t.Errorf("%d requests, want 5", n)
	}
}

// request is a request as a client of Redis sends it.
func request(args ...string) string {
	text := fmt.Sprintf("*%d\r\n", len(args))
	for _, arg := range args {
		text += fmt.Sprintf("$%d\r\n%s\r\n", len(arg), arg)
	}
	return text
}

func TestReadRequest(t *testing.T) {
	r := bufio.NewReader(strings.NewReader("*2\r\n$3\r\nGET\r\n$0\r\n\r\n*1\r\n$4\r\nPING\r\n"))
	for i := range 2 {
		if err := readRequest(r); err != nil {
			t.Errorf("request %d: %v", i+1, err)
		}
	}
	if err := readRequest(r); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	for _, bad := range []string{"PING\r\n", "*x\r\n", "*1\r\n:3\r\n", "*1\r\n$9\r\nPING\r\n"} {
		if readRequest(bufio.NewReader(strings.NewReader(bad))) == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
