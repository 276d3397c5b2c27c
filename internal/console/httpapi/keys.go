package httpapi

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/console/problem"
	"vizstop/internal/ledger"
	"vizstop/internal/luascript"
)

//go:embed scripts
var scripts embed.FS

var (
	claimScript = luascript.Load(scripts, "claim")
	renewScript = luascript.Load(scripts, "renew")
	endScript   = luascript.Load(scripts, "end")
)

const (
	// keyLife is how long a key is remembered: as long as ended batches are.
	keyLife = ledger.DefaultRetention
	// lease is how long a console that died keeps a key from others; renewed three times in that time.
	lease = 3 * time.Second
	// maxAnswer bounds what is kept of an answer, packed. A thousand items are less.
	maxAnswer = 128 << 10
)

// keys are the Idempotency-Keys that were used. In Redis is a hash of each with its principal, not the key.
type keys struct {
	rdb redis.UniversalClient
	now func() time.Time
}

// keyOf is the Idempotency-Key of a request; "": it has none.
func keyOf(r *http.Request) (string, error) {
	values := r.Header.Values("Idempotency-Key")
	switch {
	case len(values) > 1:
		return "", problem.New(problem.InvalidRequest, "Idempotency-Key is there more than once.")
	case len(values) == 0:
		return "", nil
	case !fitsKey(values[0]):
		return "", problem.New(problem.InvalidRequest, "Idempotency-Key has from 1 to 255 characters of printable ASCII, and no other.")
	}
	return values[0], nil
}

// fitsKey reports whether an Idempotency-Key can be taken.
func fitsKey(key string) bool {
	return key != "" && len(key) <= 255 && strings.IndexFunc(key, func(c rune) bool { return c < ' ' || c > '~' }) < 0
}

// keyName is what a key of a principal is kept under. A batch that it asks for has an id made of it, so that a repeat
// completes that batch, whatever has happened before.
func keyName(principal, key string) string {
	sum := sha256.Sum256([]byte(principal + "\x00" + key))
	return hex.EncodeToString(sum[:16])
}

func idempotencyKey(name string) string { return "vizstop:{-}:idempotency:" + name }

// claim is a key that this request has at work.
type claim struct {
	keys
	name, owner string
	stop        func()
}

// claim takes a key for a request of that fingerprint. If the request was answered before, that answer is returned
// instead. The error is a *problem.Problem if the key belongs to another request, or the same is at work.
func (k keys) claim(ctx context.Context, name, print string) (*claim, *answer, error) {
	owner := rand.Text()
	said, err := claimScript.Run(ctx, k.rdb, []string{idempotencyKey(name)}, print, owner, k.now().UnixMilli(), lease.Milliseconds(), int(keyLife.Seconds())).StringSlice()
	if err != nil {
		return nil, nil, fmt.Errorf("look for an Idempotency-Key: %w", err)
	}
	switch said[0] {
	case "other":
		return nil, nil, problem.New(problem.KeyReused, "This Idempotency-Key was used for a request with another body, and nothing was recorded. Take a new key for each request.")
	case "busy":
		return nil, nil, &problem.Problem{Type: problem.InProgress, RetryAfter: time.Second, Detail: "The same request is at work. Repeat it, and get its answer."}
	case "answered":
		before, err := unpack(said[1])
		return nil, before, err
	}
	c := &claim{keys: k, name: name, owner: owner}
	renewing, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	c.stop = func() { stop(); <-ended }
	go func() { defer close(ended); c.renew(renewing) }()
	return c, nil, nil
}

// renew keeps the claim until ctx ends. If it is lost, the same request may be at work twice, which doubles nothing.
func (c *claim) renew(ctx context.Context) {
	ticker := time.NewTicker(lease / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_ = renewScript.Run(ctx, c.rdb, []string{idempotencyKey(c.name)}, c.owner, c.now().UnixMilli()+lease.Milliseconds()).Err()
		}
	}
}

// endTime is how long it may take to note how a request has ended, whoever has hung up meanwhile.
const endTime = 5 * time.Second

// end gives the claim back with the answer. Without one the request has failed: the key then stays with it if something
// may have been recorded, or else is free again.
func (c *claim) end(ctx context.Context, told *answer, begun bool) error {
	c.stop()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer cancel()
	packed, keep := "", "forget"
	if begun {
		keep = "keep"
	}
	if told != nil {
		var err error
		if packed, err = pack(told); err != nil {
			return err
		}
		keep = "keep"
	}
	err := endScript.Run(ctx, c.rdb, []string{idempotencyKey(c.name)}, c.owner, packed, keep, int(keyLife.Seconds())).Err()
	if err != nil && told == nil {
		return nil // what went wrong before is told, and the claim ends by itself
	}
	return err
}

func pack(a *answer) (string, error) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err == nil {
		err = errors.Join(json.NewEncoder(w).Encode(a), w.Close())
	}
	if err == nil && b.Len() > maxAnswer {
		short := *a
		short.Items = nil
		return pack(&short)
	}
	return b.String(), err
}

func unpack(packed string) (*answer, error) {
	a := &answer{}
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(strings.NewReader(packed)), maxJSON))
	if err == nil {
		err = json.Unmarshal(text, a)
	}
	if err != nil {
		return nil, fmt.Errorf("the answer that is kept with an Idempotency-Key can't be read: %w", err)
	}
	return a, nil
}
