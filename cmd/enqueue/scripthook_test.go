package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// hookSecret signs notifications; hookKey is what its base64 says.
const (
	hookSecret = "whsec_c2NyaXB0IGhvb2sga2V5"
	hookKey    = "script hook key"
)

// hook is somebody's receiver of notifications.
type hook struct {
	*httptest.Server
	mu       sync.Mutex
	requests []posted
}

type posted struct {
	header http.Header
	path   string
	body   string
}

func newHook() *hook {
	h := &hook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what breaks off has a wrong signature
		h.mu.Lock()
		defer h.mu.Unlock()
		h.requests = append(h.requests, posted{r.Header, r.URL.String(), string(body)})
	}))
	return h
}

func (h *hook) received() []posted {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.requests[:len(h.requests):len(h.requests)]
}

func wasNotified(_ *testscript.TestScript, w *world, args []string) error {
	if n := len(w.hook.received()); args[0] != strconv.Itoa(n) {
		return fmt.Errorf("%d notifications, want %s", n, args[0])
	}
	return nil
}

// notification checks a notification as its receiver should, by the Standard
// Webhooks specification, and shows its body.
func notification(ts *testscript.TestScript, w *world, args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	all := w.hook.received()
	if n < 1 || n > len(all) {
		return fmt.Errorf("there are %d notifications", len(all))
	}
	p := all[n-1]
	mac := hmac.New(sha256.New, []byte(hookKey))
	fmt.Fprintf(mac, "%s.%s.%s", p.header.Get("webhook-id"), p.header.Get("webhook-timestamp"), p.body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if got := p.header.Get("webhook-signature"); got != want {
		return fmt.Errorf("signature %q, want %q", got, want)
	}
	if got := p.header.Get("Content-Type"); got != "application/json" {
		return fmt.Errorf("content type %q", got)
	}
	fmt.Fprintf(ts.Stdout(), "%s", p.body)
	ts.Setenv("POSTED_TO", p.path)
	return fits(notified, p.body)
}
