package operate

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/luascript"
)

//go:embed scripts
var scripts embed.FS

var onceScript = luascript.Load(scripts, "once")

const (
	// ticketLife is how long it is remembered that an order was given.
	ticketLife = ledger.DefaultRetention
	// planLife is how long a plan may be confirmed: less than its order is remembered.
	planLife = 24 * time.Hour
	// abandoned is after how long an order without an answer may be given again, if that does no harm: its console
	// has died.
	abandoned = 15 * time.Minute
	// maxResult bounds the result that is remembered, in bytes.
	maxResult = 64 << 10
	// settleTime is how long it may take to note how an order has ended.
	settleTime = 5 * time.Second
)

// SpentError says that an order was carried out before and failed, or that it is not known how it ended. Nothing
// was done now.
type SpentError struct{ words string }

// Error says what became of it, as far as that is known.
func (e *SpentError) Error() string { return e.words }

// ReusedError says that an order's key belongs to another order. Nothing was done.
type ReusedError struct{}

func (*ReusedError) Error() string {
	return "This Idempotency-Key was used for another order, and nothing was done. Take a new key for each order."
}

// harmless reports whether doing it twice does no more than doing it once: then it may be done again when it has
// failed.
func (a Action) harmless() bool { return !slices.Contains([]Action{Allow, Retry, RunSchedule}, a) }

// ticket is the right to carry one order out, once. In Redis is a hash of what the order says of itself. Without a
// name the order may be given as often as somebody likes.
type ticket struct {
	*Operator
	name, print string
	harmless    bool
}

// ticketOf is that of an order: of the plan that it confirms, or of its key.
func (o *Operator) ticketOf(ord Order) ticket {
	sum := func(of ...any) string {
		h := sha256.Sum256(fmt.Appendf(nil, "%q", of))
		return hex.EncodeToString(h[:16])
	}
	t := ticket{Operator: o, harmless: ord.Action.harmless()}
	switch {
	case ord.Expect != "":
		t.name, t.print = sum("plan", ord.By, string(ord.Action), ord.Expect), "plan"
	case ord.Key != "":
		g := ord.Target
		t.name = sum("key", ord.By, ord.Key)
		t.print = sum(string(ord.Action), g.Batch, g.ProjectID, g.Schedule, g.Outcomes, g.Count, g.Until.Unix(), g.Shadow, ord.Reason)
	}
	return t
}

func (t *ticket) key() string { return "vizstop:{-}:ordered:" + t.name }

// answered is what is remembered of an order that has ended.
type answered struct {
	Done  *Done           `json:"done,omitempty"`
	Raw   json.RawMessage `json:"result,omitempty"`
	Fault string          `json:"fault,omitempty"`
}

// look finds out whether the order was given before. If it was, what became of it is returned.
func (t *ticket) look(ctx context.Context, ord Order) (*Done, error) { return t.ask(ctx, ord, "look") }

// take has the order carried out by the caller, unless what became of it is returned: then it was given before.
func (t *ticket) take(ctx context.Context, ord Order) (*Done, error) { return t.ask(ctx, ord, "take") }

func (t *ticket) ask(ctx context.Context, ord Order, mode string) (*Done, error) {
	if t.name == "" {
		return nil, nil
	}
	keeps := ticketLife
	if t.harmless {
		keeps = abandoned
	}
	known, err := onceScript.Run(ctx, t.desk.Redis, []string{t.key()}, t.print, t.desk.Fleet.Now().UnixMilli(), keeps.Milliseconds(),
		int(ticketLife.Seconds()), mode).Slice()
	if err != nil {
		return nil, fmt.Errorf("look whether this was ordered before: %w", err)
	}
	if len(known) == 0 {
		return nil, nil
	}
	text := func(i int) string { s, _ := known[i].(string); return s }
	if text(0) != t.print {
		return nil, &ReusedError{}
	}
	ms, _ := strconv.ParseInt(text(1), 10, 64)
	at := time.UnixMilli(ms).UTC().Format(time.RFC3339)
	if text(2) == "" {
		return &Done{Action: ord.Action, Repeated: true, Words: fmt.Sprintf(
			"this was ordered already, at %s, and has not ended that anybody knows: nothing was done twice; look at how it stands", at)}, nil
	}
	var a answered
	if err := json.Unmarshal([]byte(text(2)), &a); err != nil {
		return nil, fmt.Errorf("the record of an order can't be read: %w", err)
	}
	if a.Done == nil {
		return nil, &SpentError{fmt.Sprintf("this was ordered already, at %s, and failed: %s; nothing was done again: look at how it stands, and order what is left anew", at, a.Fault)}
	}
	a.Done.Repeated = true
	if a.Raw != nil {
		a.Done.Result = a.Raw
	}
	return a.Done, nil
}

// settle notes how the order has ended. One that has failed, and may be done again, is as if it had not been given.
// What can't be noted stays as it is: others are told that it was ordered.
func (t *ticket) settle(done *Done, fault error) {
	if t.name == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	if fault != nil && t.harmless {
		t.giveBack(ctx)
		return
	}
	var a answered
	if fault != nil {
		a.Fault = fault.Error()
	} else {
		kept := *done
		kept.Result = nil
		a.Done = &kept
		if raw, err := json.Marshal(done.Result); err == nil && len(raw) <= maxResult {
			a.Raw = raw
		}
	}
	text, err := json.Marshal(a)
	if err == nil {
		_ = t.desk.Redis.HSet(ctx, t.key(), "answer", text).Err()
	}
}

// giveBack lets the order be given again: nothing was done.
func (t *ticket) giveBack(ctx context.Context) {
	if t.name != "" {
		_ = t.desk.Redis.HDel(context.WithoutCancel(ctx), t.key(), "print", "at").Err()
	}
}
