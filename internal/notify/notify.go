// Package notify posts the report of a batch to a URL once its last stop has
// ended. Workers send it, so it goes out even when whoever asked has long gone.
//
// It is sent at least once: a worker that dies between the answer and its note
// of it sends it again. Receivers tell repeats by the webhook-id header. With a
// secret, each request is signed as the Standard Webhooks specification says
// (https://www.standardwebhooks.com).
package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
	"vizstop/internal/report"
)

// pendingKey is a sorted set: batch id by when to look at it next, in ms.
const pendingKey = "vizstop:notify"

// urlsKey is a hash: batch id to URL.
const urlsKey = "vizstop:notify:urls"

// triesKey is a hash: since when a batch's report is tried, and how often it was.
func triesKey(batch string) string { return "vizstop:notify:tries:" + batch }

// CheckURL refuses what no report can be posted to. The URL is kept in Redis,
// so it must not carry a user name or password.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return errors.New("not a URL such as https://example.com/hook")
	case u.User != nil:
		return errors.New("the URL must not hold a user name or password: it is kept in Redis; sign with a secret instead")
	}
	return nil
}

// Arm has the report of a batch posted to url when the batch has ended. Do it
// when all its stops are recorded: a batch without stops in flight is over.
func Arm(ctx context.Context, rdb redis.UniversalClient, batch, url string) error {
	if err := rdb.HSet(ctx, urlsKey, batch, url).Err(); err != nil {
		return fmt.Errorf("arm the notification of batch %s: %w", batch, err)
	}
	if err := rdb.ZAddNX(ctx, pendingKey, redis.Z{Score: float64(time.Now().UnixMilli()), Member: batch}).Err(); err != nil {
		return fmt.Errorf("arm the notification of batch %s: %w", batch, err)
	}
	return nil
}

// Report is the body of a notification.
type Report struct {
	// Receiver is the URL that it is posted to, without query and fragment. Who may
	// enqueue chooses that URL: by Receiver, which is signed, a receiver tells a report
	// of its own from one that was signed for another and sent on.
	Receiver string            `json:"receiver"`
	Batch    string            `json:"batch"`
	Projects []*report.Summary `json:"projects"`
}

// Config settles a Notifier. Redis and Ledger are needed.
type Config struct {
	Redis  redis.UniversalClient
	Ledger *ledger.Ledger
	// Secret signs requests; "" leaves them unsigned. It never goes to Redis.
	Secret string
	// Hosts may be posted to, each host or host:port, with http too. Without any,
	// every public host may, with https only: Redis must not be a way into the
	// network that the worker is in.
	Hosts  []string
	Logger *slog.Logger // nil: silent

	Interval time.Duration    // between two looks at what is pending; default 2 s
	Now      func() time.Time // nil: time.Now
}

// Notifier sends the reports of batches that have ended. Any number may run at
// once.
type Notifier struct {
	cfg    Config
	sender *sender
	hosts  lanes
	work   sync.WaitGroup // deliveries
}

// New returns a notifier; Run makes it work.
func New(cfg Config) *Notifier {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Interval <= 0 {
		cfg.Interval = 2 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Notifier{cfg: cfg, sender: newSender(cfg.Secret, cfg.Hosts, cfg.Now)}
}

// Run looks for batches that have ended until ctx ends, and returns when the
// deliveries under way have ended, too.
func (n *Notifier) Run(ctx context.Context) {
	defer n.work.Wait()
	ticker := time.NewTicker(n.cfg.Interval)
	defer ticker.Stop()
	for {
		if err := n.round(ctx); err != nil && ctx.Err() == nil {
			n.cfg.Logger.WarnContext(ctx, "notifications not finished", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

const (
	perRound  = 20               // batches that one round looks at
	claimLife = 30 * time.Second // how long a worker has a batch to itself; longer than a request may take
	lookAgain = 5 * time.Second  // at a batch with stops in flight
	retryMost = 10 * time.Minute // between two tries of one report
	giveUp    = 72 * time.Hour   // after a batch's report was first tried
)

// round looks once at batches whose time has come, and begins to send the reports of
// those that have ended.
func (n *Notifier) round(ctx context.Context) error {
	now := n.cfg.Now()
	batches, err := n.cfg.Redis.ZRangeByScore(ctx, pendingKey, &redis.ZRangeBy{
		Min: "-inf", Max: fmt.Sprint(now.UnixMilli()), Count: perRound,
	}).Result()
	if err != nil {
		return fmt.Errorf("look for notifications: %w", err)
	}
	for _, b := range batches {
		// Only the worker that moves the batch's time on has it.
		moved, err := n.cfg.Redis.ZAddArgs(ctx, pendingKey, redis.ZAddArgs{
			XX: true, GT: true, Ch: true, Members: []redis.Z{{Score: float64(now.Add(claimLife).UnixMilli()), Member: b}},
		}).Result()
		if err != nil {
			return fmt.Errorf("claim the notification of batch %s: %w", b, err)
		}
		if moved == 0 {
			continue
		}
		if err := n.visit(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// visit begins to send the report of a batch that has ended, or says when to look
// again. A receiver that does not answer holds up only its own reports.
func (n *Notifier) visit(ctx context.Context, batch string) error {
	projects, err := n.over(ctx, batch)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		n.cfg.Logger.WarnContext(ctx, "batch report dropped: the ledger has no stop of the batch", "batch", batch)
		return n.forget(ctx, batch)
	case err != nil:
		return err
	case len(projects) == 0:
		return n.later(ctx, batch, lookAgain)
	}
	target, err := n.cfg.Redis.HGet(ctx, urlsKey, batch).Result()
	if errors.Is(err, redis.Nil) {
		return n.forget(ctx, batch)
	}
	if err != nil {
		return fmt.Errorf("look up the URL of batch %s: %w", batch, err)
	}
	if !n.hosts.take(host(target)) {
		return n.later(ctx, batch, lookAgain)
	}
	n.work.Go(func() {
		defer n.hosts.free(host(target))
		if err := n.deliver(ctx, batch, projects, target); err != nil && ctx.Err() == nil {
			n.cfg.Logger.WarnContext(ctx, "batch report not finished", "batch", batch, "error", err)
		}
	})
	return nil
}

// deliver sends the report of a batch once.
func (n *Notifier) deliver(ctx context.Context, batch string, projects []string, target string) error {
	body, err := n.collect(ctx, batch, projects)
	if err != nil {
		return err
	}
	body.Receiver = bare(target)
	if err := n.sender.post(ctx, target, batch, body); err != nil {
		return n.failed(ctx, batch, host(target), err)
	}
	n.cfg.Logger.InfoContext(ctx, "batch report sent", "batch", batch, "host", host(target))
	return n.forget(ctx, batch)
}

// failed plans another try, further and further away, or gives up.
func (n *Notifier) failed(ctx context.Context, batch, host string, cause error) error {
	key := triesKey(batch)
	pipe := n.cfg.Redis.TxPipeline()
	pipe.HSetNX(ctx, key, "since", n.cfg.Now().UnixMilli())
	tries := pipe.HIncrBy(ctx, key, "tries", 1)
	since := pipe.HGet(ctx, key, "since")
	pipe.Expire(ctx, key, 2*giveUp)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("note a failed notification of batch %s: %w", batch, err)
	}
	ms, _ := since.Int64()
	if n.cfg.Now().Sub(time.UnixMilli(ms)) > giveUp {
		n.cfg.Logger.ErrorContext(ctx, "batch report given up", "batch", batch, "host", host, "tries", tries.Val(), "error", cause)
		return n.forget(ctx, batch)
	}
	wait := min(retryMost, lookAgain<<min(tries.Val()-1, 10))
	n.cfg.Logger.WarnContext(ctx, "batch report not delivered", "batch", batch, "host", host, "tries", tries.Val(), "again_in", wait, "error", cause)
	return n.later(ctx, batch, wait)
}

func (n *Notifier) later(ctx context.Context, batch string, d time.Duration) error {
	err := n.cfg.Redis.ZAddXX(ctx, pendingKey, redis.Z{Score: float64(n.cfg.Now().Add(d).UnixMilli()), Member: batch}).Err()
	if err != nil {
		return fmt.Errorf("put off the notification of batch %s: %w", batch, err)
	}
	return nil
}

func (n *Notifier) forget(ctx context.Context, batch string) error {
	err := errors.Join(n.cfg.Redis.ZRem(ctx, pendingKey, batch).Err(), n.cfg.Redis.HDel(ctx, urlsKey, batch).Err(),
		n.cfg.Redis.Del(ctx, triesKey(batch)).Err())
	if err != nil {
		return fmt.Errorf("forget the notification of batch %s: %w", batch, err)
	}
	return nil
}

// over lists the projects of a batch that has ended; none while one of its stops is
// in flight. It returns ledger.ErrNotFound for a batch without any stop.
func (n *Notifier) over(ctx context.Context, batch string) ([]string, error) {
	books, err := n.cfg.Ledger.Of(ctx, batch)
	if err != nil {
		return nil, err
	}
	projects, err := books.BatchProjects(ctx, batch)
	if err != nil {
		return nil, err
	}
	var some []string
	for _, p := range projects {
		switch over, err := report.Over(ctx, books, p, batch); {
		case errors.Is(err, ledger.ErrNotFound): // every job was refused there
		case err != nil || !over:
			return nil, err
		default:
			some = append(some, p)
		}
	}
	if len(some) == 0 {
		return nil, fmt.Errorf("batch %s: %w", batch, ledger.ErrNotFound)
	}
	return some, nil
}

// collect is the report of a batch.
func (n *Notifier) collect(ctx context.Context, batch string, projects []string) (*Report, error) {
	books, err := n.cfg.Ledger.Of(ctx, batch)
	if err != nil {
		return nil, err
	}
	r := &Report{Batch: batch}
	for _, p := range projects {
		s, err := report.Summarize(ctx, books, p, batch)
		if err != nil {
			return nil, err
		}
		r.Projects = append(r.Projects, s)
	}
	return r, nil
}

// bare is a URL without query and fragment, which may be secrets.
func bare(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return ""
	}
	u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = "", false, "", ""
	return u.String()
}

// host is the part of a URL that a log may show: the rest may be a secret.
func host(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}
