package notify

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"vizstop/internal/ledger"
)

// hanging is a webhook that does not answer before it is told to.
type hanging struct {
	*httptest.Server
	arrived chan struct{}
	release func()
}

func newHanging(t *testing.T) *hanging {
	answer := make(chan struct{})
	h := &hanging{arrived: make(chan struct{}, 100), release: sync.OnceFunc(func() { close(answer) })}
	h.Server = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		h.arrived <- struct{}{}
		<-answer
	}))
	t.Cleanup(func() { h.release(); h.Close() })
	return h
}

// arm records a batch that has ended, and its report.
func (s *scene) arm(batch, target string) {
	s.t.Helper()
	asks := []ledger.Ask{{JobID: "1", Deadline: s.now.Add(time.Hour), Fault: "nobody can"}}
	if _, err := s.books.Open(s.t.Context(), project, batch, asks); err != nil {
		s.t.Fatal(err)
	}
	if err := Arm(s.t.Context(), s.rdb, batch, target); err != nil {
		s.t.Fatal(err)
	}
}

// Webhooks that do not answer hold up nobody else's report: not many of them, and not
// one with many reports.
func TestWebhooksThatHangHoldUpNobodyElse(t *testing.T) {
	s := newScene(t)
	var slow []*hanging
	hosts := []string{s.target.host()}
	for i := range 12 {
		slow = append(slow, newHanging(t))
		hosts = append(hosts, slow[i].Listener.Addr().String())
		s.arm(fmt.Sprint("a-", i), slow[i].URL)
	}
	for i := range 40 { // more than are delivered at once
		s.arm(fmt.Sprint("b-", i), slow[0].URL)
	}
	s.arm("good", s.target.URL)
	n := s.notifier("", hosts...)
	s.now = s.now.Add(time.Second)
	for range 5 { // each looks at some of those that are due; nobody has answered
		if err := n.round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for i, h := range slow {
		want := 1
		if i == 0 {
			want = perHost
		}
		for range want {
			<-h.arrived
		}
	}
	n.waitFor(t, s, "good")
	if extra := len(slow[0].arrived); extra > 0 {
		t.Errorf("%d more than %d deliveries to one host at once", extra, perHost)
	}
	for _, h := range slow {
		h.release()
	}
	n.work.Wait()
	if n.hosts.all != 0 || len(n.hosts.each) > 0 {
		t.Errorf("after all deliveries: %+v", &n.hosts)
	}
}

// waitFor waits until the report of a batch has been posted and forgotten.
func (n *Notifier) waitFor(t *testing.T, s *scene, batch string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		armed, err := s.rdb.HExists(t.Context(), urlsKey, batch).Result()
		if err != nil {
			t.Fatal(err)
		}
		if !armed {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no report of batch %s", batch)
		}
	}
}

// No more deliveries than that are under way in all.
func TestDeliveriesAreBounded(t *testing.T) {
	var l lanes
	for i := range deliveries {
		if !l.take(fmt.Sprint(i)) {
			t.Fatalf("delivery %d is refused", i+1)
		}
	}
	if l.take("another") {
		t.Errorf("more than %d deliveries", deliveries)
	}
	l.free("0")
	if !l.take("another") {
		t.Error("a lane that was freed is not free")
	}
}
