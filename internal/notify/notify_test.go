package notify

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
	"vizstop/internal/redistest"
)

const project = "0123456789abcdef0123456789abcdef"

// receiver is somebody's webhook.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
	status   int
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{status: http.StatusOK}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		b, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.requests, r.bodies = append(r.requests, req), append(r.bodies, string(b))
		w.WriteHeader(r.status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) host() string { return strings.TrimPrefix(r.URL, "http://") }

// scene is a batch of two stops, armed, and a clock.
type scene struct {
	t      *testing.T
	rdb    *redis.Client
	books  *ledger.Ledger
	now    time.Time
	stops  []ledger.Opening
	target *receiver
}

func newScene(t *testing.T) *scene {
	s := &scene{t: t, rdb: redistest.Start(t).Limited(t), now: time.Now(), target: newReceiver(t)}
	s.books = ledger.New(s.rdb, time.Now)
	var err error
	s.stops, err = s.books.Open(t.Context(), project, "b1", []ledger.Ask{
		{JobID: "10", Deadline: s.now.Add(time.Hour)}, {JobID: "11", Deadline: s.now.Add(time.Hour)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := Arm(t.Context(), s.rdb, "b1", s.target.URL+"/hook?token=hush"); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *scene) end(i int, outcome ledger.State) {
	s.t.Helper()
	stop, err := s.books.Get(s.t.Context(), project, s.stops[i].StopID)
	if err != nil {
		s.t.Fatal(err)
	}
	if moved, err := s.books.Finish(s.t.Context(), stop, outcome, "", 0); err != nil || !moved {
		s.t.Fatalf("finish: %v, %v", moved, err)
	}
}

func (s *scene) notifier(secret string, hosts ...string) *Notifier {
	return New(Config{Redis: s.rdb, Ledger: s.books, Secret: secret, Hosts: hosts, Now: func() time.Time { return s.now }})
}

// after moves the clock and lets the notifiers look.
func (s *scene) after(d time.Duration, notifiers ...*Notifier) {
	s.t.Helper()
	s.now = s.now.Add(d)
	for _, n := range notifiers {
		if err := n.round(context.Background()); err != nil {
			s.t.Fatal(err)
		}
		n.work.Wait()
	}
}

func TestReportIsSentOnceWhenTheLastStopHasEnded(t *testing.T) {
	s := newScene(t)
	one, other := s.notifier("whsec_c2VjcmV0", s.target.host()), s.notifier("whsec_c2VjcmV0", s.target.host())
	s.after(time.Second, one, other)
	s.end(0, ledger.Stopped)
	s.after(10*time.Second, one, other)
	if n := len(s.target.bodies); n != 0 {
		t.Fatalf("%d reports with a stop in flight", n)
	}
	s.end(1, ledger.Gone)
	s.after(10*time.Second, one, other)
	s.after(time.Hour, one, other)
	if n := len(s.target.bodies); n != 1 {
		t.Fatalf("%d reports, want 1", n)
	}
	var got Report
	if err := json.Unmarshal([]byte(s.target.bodies[0]), &got); err != nil {
		t.Fatal(err)
	}
	if got.Receiver != s.target.URL+"/hook" { // a receiver tells by it what was signed for others; the query may be a secret
		t.Errorf("the report is for %q, want %s/hook", got.Receiver, s.target.URL)
	}
	if got.Batch != "b1" || len(got.Projects) != 1 || got.Projects[0].Outcomes["gone"] != 1 || got.Projects[0].Requested != 2 {
		t.Errorf("report %s", s.target.bodies[0])
	}
	req := s.target.requests[0]
	want := sign("secret", "b1", req.Header.Get("webhook-timestamp"), []byte(s.target.bodies[0]))
	if got := req.Header.Get("webhook-signature"); got != want {
		t.Errorf("signature %q, want %q", got, want)
	}
	if n := s.rdb.Exists(t.Context(), pendingKey, urlsKey).Val(); n != 0 {
		t.Errorf("%d keys left behind", n)
	}
}

// A batch may have any name: that its report can't be delivered must not take the
// URLs of other batches away.
func TestBatchesOfAnyName(t *testing.T) {
	s := newScene(t)
	n := s.notifier("", s.target.host())
	for _, batch := range []string{"urls", "tries", "notify"} {
		stops, err := s.books.Open(t.Context(), project, batch, []ledger.Ask{{JobID: batch, Deadline: s.now.Add(time.Hour)}})
		if err == nil {
			err = Arm(t.Context(), s.rdb, batch, s.target.URL+"/"+batch)
		}
		if err != nil {
			t.Fatal(err)
		}
		s.stops = append(s.stops, stops...)
	}
	for i := range s.stops {
		s.end(i, ledger.Stopped)
	}
	s.target.status = http.StatusInternalServerError
	s.after(time.Second, n)
	failed := len(s.target.bodies)
	s.target.status = http.StatusOK
	for range 4/perHost + 1 { // the first ones have moved behind the others
		s.after(10*time.Minute, n)
	}
	if n := len(s.target.bodies) - failed; failed == 0 || n != 4 {
		t.Errorf("%d posts after %d that failed, want one for each of four batches", n, failed)
	}
	if left := s.rdb.Exists(t.Context(), pendingKey, urlsKey, triesKey("urls"), triesKey("b1")).Val(); left != 0 {
		t.Errorf("%d keys left behind", left)
	}
}

// Nothing is signed and posted for a batch that nobody asked for, or of which the
// ledger has no stop.
func TestNoReportOfAnUnknownBatch(t *testing.T) {
	s := newScene(t)
	n := s.notifier("hush", s.target.host())
	if err := s.rdb.SAdd(t.Context(), "vizstop:batch:empty", project).Err(); err != nil {
		t.Fatal(err)
	}
	for _, batch := range []string{"never", "empty", "no:id"} {
		if err := Arm(t.Context(), s.rdb, batch, s.target.URL); err != nil {
			t.Fatal(err)
		}
	}
	s.after(time.Second, n)
	if n := len(s.target.bodies); n != 0 {
		t.Errorf("%d reports", n)
	}
	if left := s.rdb.ZRange(t.Context(), pendingKey, 0, -1).Val(); len(left) != 1 || left[0] != "b1" {
		t.Errorf("%q are left, want b1 alone", left)
	}
}

func TestFailedReportIsTriedAgain(t *testing.T) {
	s := newScene(t)
	n := s.notifier("", s.target.host())
	s.end(0, ledger.Stopped)
	s.end(1, ledger.Stopped)
	s.target.status = http.StatusInternalServerError
	s.after(time.Second, n)
	for i, wait := range []time.Duration{5, 10, 20, 40} {
		s.after(wait*time.Second-time.Second, n)
		if got := len(s.target.bodies); got != i+1 {
			t.Fatalf("%d tries before the wait %d was over, want %d", got, i, i+1)
		}
		s.after(2*time.Second, n)
	}
	s.target.status = http.StatusNoContent
	s.after(10*time.Minute, n)
	s.after(time.Hour, n)
	if got := len(s.target.bodies); got != 6 {
		t.Errorf("%d tries, want 6: the last one succeeded", got)
	}
	if s.target.requests[5].Header.Get("webhook-signature") != "" {
		t.Error("signed without a secret")
	}
}

// Whatever stands in Redis must not open a way into the worker's network.
func TestOnlyAllowedHosts(t *testing.T) {
	receiver := newReceiver(t)
	for _, tt := range []struct {
		hosts  []string
		target string
		err    string
	}{
		{nil, receiver.URL, "only https"},
		{nil, "https://127.0.0.1:1/hook", "not a public address"},
		{nil, "https://[::1]:1/hook", "not a public address"},
		{[]string{"example.com"}, receiver.URL, "is not one of --notify-hosts"},
		{nil, "ftp://example.com", "not valid"},
		{nil, "https://user:hush@example.com", "not valid"},
		{[]string{receiver.host()}, receiver.URL, ""},
		{[]string{"127.0.0.1"}, receiver.URL + "/x?token=hush", ""},
	} {
		err := newSender("", tt.hosts, time.Now).post(t.Context(), tt.target, "b1", "body")
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s with %v: %v, want %q", tt.target, tt.hosts, err, tt.err)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("the error shows a secret: %v", err)
		}
	}
}

func TestPublicAddresses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"93.184.216.34": true, "2606:2800:220:1::1": true, "::ffff:93.184.216.34": true,
		"127.0.0.1": false, "10.0.0.1": false, "172.16.0.1": false, "192.168.0.1": false, "169.254.169.254": false, "0.0.0.0": false, "0.1.2.3": false,
		"100.64.0.1": false, "100.100.100.200": false, "198.18.0.1": false, "224.0.0.1": false, "255.255.255.255": false, "250.0.0.1": false,
		"::1": false, "::": false, "fe80::1": false, "fd00::1": false, "fec0::1": false, "ff02::1": false, "::ffff:127.0.0.1": false,
		"::127.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "2001:0:1::": false,
		"192.88.99.1": false, "::ffff:0:127.0.0.1": false, "5f00::1": false, "3fff::1": false, "3fff:fff::1": false, "100:0:0:1::1": false,
		"192.88.98.1": true, "3fff:1000::1": true,
	} {
		err := publicOnly("tcp", netip.AddrPortFrom(netip.MustParseAddr(text), 443).String(), nil)
		if (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A name that leads into the worker's network is refused when it is dialed, as
// what it resolved to a moment before says nothing.
func TestNamesOfPrivateAddressesAreRefused(t *testing.T) {
	t.Parallel()
	err := newSender("", nil, time.Now).post(t.Context(), "https://localhost:1/hook", "b1", "body")
	if err == nil || !strings.Contains(err.Error(), "is not a public address") {
		t.Errorf("localhost: %v", err)
	}
}

// A redirect is not followed: its target was not checked, and what it gets
// would be signed.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := newReceiver(t)
	first := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer first.Close()
	err := newSender("hush", []string{"127.0.0.1"}, time.Now).post(t.Context(), first.URL, "b1", "body")
	if err == nil || err.Error() != "answered 307 Temporary Redirect" || len(elsewhere.bodies) > 0 {
		t.Errorf("%v, and %d requests elsewhere", err, len(elsewhere.bodies))
	}
}
