package httpd

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vizstop/internal/redistest"
)

// patience is for machines that are very busy.
const patience = 2 * time.Minute

// A server that ends by itself says so: nobody could see what its program does.
func TestFailureIsTold(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	missing := filepath.Join(t.TempDir(), "web.yml") // was there when it was checked
	s, err := Listen(Config{Listen: "127.0.0.1:0", WebConfig: missing, Handler: http.NotFoundHandler(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(time.Second)
	select {
	case err := <-s.Failed():
		if !strings.HasPrefix(err.Error(), "the pages at "+s.Addr()+" are no longer served: open "+missing) {
			t.Errorf("the error is %v", err)
		}
	case <-time.After(patience):
		t.Fatal("nobody was told")
	}
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	c := Config{Listen: "127.0.0.1:0", Setting: "--listen (VIZSTOP_LISTEN)", Handler: http.NotFoundHandler(), Log: slog.New(slog.DiscardHandler)}
	s, err := Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(time.Second)
	c.Listen = s.Addr()
	if _, err := Listen(c); err == nil || !strings.HasPrefix(err.Error(), c.Setting+": listen tcp "+c.Listen) {
		t.Errorf("the error is %v", err)
	}
}

func TestBeyondThisMachine(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]bool{
		"127.0.0.1:1": false, "127.8.8.8:1": false, "[::1]:1": false, "[::ffff:127.0.0.1]:1": false,
		"0.0.0.0:1": true, "[::]:1": true, "192.0.2.1:1": true, "name:1": true,
	} {
		if got := BeyondThisMachine(addr); got != want {
			t.Errorf("%s: %t", addr, got)
		}
	}
}

// What a web configuration file gives is known before it is served, and errors don't quote it.
func TestReadWebConfig(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "web.yml")
	for text, want := range map[string]WebConfig{
		"": {},
		"basic_auth_users:\n  a: $2a$04$ZyDSVM/Si7BHqhzrrYlBkONTBFNKIhpZXwvBQ1/dSS1Tay9Vx6mZ6\n": {Passwords: true},
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadWebConfig(path); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
	}
	if err := os.WriteFile(path, []byte("basic_auth_users: secret-text\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadWebConfig(path); err == nil || strings.Contains(err.Error(), "secret") || !strings.HasPrefix(err.Error(), path+": ") {
		t.Errorf("the error is %v", err)
	}
}

// A web configuration file, and those that it names, are read whole: none may have no end.
func TestWebConfigIsARegularFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	large := write("large.yml", strings.Repeat("# a comment\n", 1<<17))
	for path, want := range map[string]string{
		"/dev/zero": "/dev/zero: is not a regular file",
		dir:         dir + ": is not a regular file",
		large:       large + ": has 1572864 bytes",
		write("endless.yml", "tls_server_config: {cert_file: /dev/zero, key_file: large.yml}\n"): "/dev/zero: is not a regular file",
		write("ca.yml", "tls_server_config: {client_ca_file: large.yml}\n"):                      large + ": has 1572864 bytes",
	} {
		if _, err := ReadWebConfig(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", path, err, want)
		}
	}
}

// An address has its share of connections, and gets one back when it closes one.
func TestConnections(t *testing.T) {
	t.Parallel()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const most = 3
	l := newListener(inner.(*net.TCPListener), most)
	s := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: patience}
	go func() { _ = s.Serve(l) }()
	defer s.Close()
	answered := func(c net.Conn) bool {
		_ = c.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		_, err := c.Read(make([]byte, 1))
		return err == nil
	}
	dial := func() net.Conn {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	var open []net.Conn
	for range most {
		c := dial()
		defer c.Close()
		if !answered(c) {
			t.Fatal("one within the share was closed")
		}
		open = append(open, c)
	}
	beyond := dial()
	defer beyond.Close()
	if answered(beyond) {
		t.Error("one beyond the share was answered")
	}
	open[0].Close()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		c := dial()
		ok := answered(c)
		c.Close()
		if ok {
			break
		}
		if time.Now().After(end) {
			t.Fatal("one that was closed counts on")
		}
	}
	for end := time.Now().Add(patience); !l.add(addressOf(open[1].LocalAddr())); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not all that were closed are forgotten")
		}
	}
}

// A connection of HTTP/2 has its share of requests at once.
func TestStreams(t *testing.T) {
	t.Parallel()
	cert := redistest.SelfSigned(t)
	config := filepath.Join(t.TempDir(), "web.yml")
	if err := os.WriteFile(config, []byte("tls_server_config:\n  cert_file: "+cert.File+"\n  key_file: "+cert.KeyFile+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Listen(Config{Listen: "127.0.0.1:0", WebConfig: config, Handler: http.NotFoundHandler(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(time.Second)
	c, err := tls.Dial("tcp", s.Addr(), &tls.Config{RootCAs: cert.Pool, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00") // the preface, and no settings of ours
	head := make([]byte, 9)                                                                          // of a frame: length, type, flags, stream
	if _, err := io.ReadFull(c, head); err != nil || head[3] != 4 {
		t.Fatalf("no settings came: %v %v", head, err)
	}
	settings := make([]byte, int(head[1])<<8|int(head[2]))
	if _, err := io.ReadFull(c, settings); err != nil {
		t.Fatal(err)
	}
	const maxConcurrentStreams = 3
	for ; len(settings) >= 6; settings = settings[6:] {
		if binary.BigEndian.Uint16(settings) == maxConcurrentStreams {
			if n := binary.BigEndian.Uint32(settings[2:]); n != maxStreams {
				t.Errorf("%d streams at once", n)
			}
			return
		}
	}
	t.Error("streams have no limit")
}
