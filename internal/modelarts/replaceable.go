package modelarts

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
)

// Replaceable are credentials that can be replaced while calls are under way.
// They are safe for concurrent use. One Replaceable may not hold another.
type Replaceable struct{ current atomic.Pointer[Credentials] }

// NewReplaceable are creds until Replace.
func NewReplaceable(creds Credentials) *Replaceable {
	r := &Replaceable{}
	r.Replace(creds)
	return r
}

// Replace has all requests from now on prove who we are with creds. A request
// that was sent with the former ones, and is refused, is sent once more.
func (r *Replaceable) Replace(creds Credentials) { r.current.Store(&creds) }

func (r *Replaceable) authorize(ctx context.Context, c *Client, req *http.Request, cl *Call) error {
	cl.by = r.current.Load()
	return (*cl.by).authorize(ctx, c, req, cl)
}

func (r *Replaceable) renew(req *http.Request, cl *Call) bool {
	return cl.by != r.current.Load() || (*cl.by).renew(req, cl)
}

// String shows no secret.
func (r *Replaceable) String() string { return fmt.Sprint(*r.current.Load()) }

// GoString shows no secret.
func (r *Replaceable) GoString() string { return "modelarts.NewReplaceable(" + r.String() + ")" }
