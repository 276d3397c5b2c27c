package modelartstest

import (
	"context"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestCloseEndsWaitingAnswers(t *testing.T) {
	r := start(t, Config{})
	r.AddJob("p1", Job{ID: "1"})
	r.Inject(Fault{AfterEffect: true, Delay: time.Hour, Hook: func(Call) { go r.Close() }})
	if g, err := r.do(r.request("POST", jobsPath+"/1/stop", "")); err == nil {
		t.Errorf("answer = %d %s", g.status, g.raw)
	}
	r.Close()
	if _, err := r.do(r.request("GET", jobsPath, "")); err == nil {
		t.Error("a closed server still answers")
	}
}

// pipes is a listener whose connections are net.Pipe.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.closed)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// With the bubble's clock and no socket, the simulator's waits cost no time.
func TestInsideABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := New(Config{Latency: func(string) time.Duration { return time.Second }})
		sim.AddJob("p1", Job{ID: "1"})
		l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: sim}
		go server.Serve(l)
		defer server.Close()
		transport := &http.Transport{DialContext: l.dial}
		defer transport.CloseIdleConnections()

		begin := time.Now()
		res, err := (&http.Client{Transport: transport}).Post("http://modelarts.example"+jobsPath+"/1/stop", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if took := time.Since(begin); res.StatusCode != 200 || took != time.Second {
			t.Errorf("answer %d after %v", res.StatusCode, took)
		}
		time.Sleep(15 * time.Second) // the bubble's time
		j, _ := sim.Job("p1", "1")
		if want := begin.Add(16 * time.Second); j.Status != 12 || !j.EndedAt.Equal(want) {
			t.Errorf("status %v, ended at %v, want %v", j.Status, j.EndedAt, want)
		}
	})
}
