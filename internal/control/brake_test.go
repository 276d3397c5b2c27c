package control

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/redisconn"
	"vizstop/internal/redistest"
	"vizstop/internal/release"
)

// A brake whose answer did not come may be on; one that Redis refused is not.
func TestBrakeWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Client(t).HSet(t.Context(), "vizstop:{-}:control", "paused", 1) // else there is nothing to resume
	server.Client(t).Do(t.Context(), "ACL", "SETUSER", "reader", "on", "nopass", "~*", "+@all", "-@write")
	cut := redis.NewClient(&redis.Options{MaxRetries: -1, Dialer: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("connection reset by peer")
	}})
	options, err := redisconn.Parse("redis://reader:x@" + server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	reader := options.Client()
	for name, row := range map[string]struct {
		rdb  redis.UniversalClient
		want bool
	}{"no answer": {cut, true}, "refused": {reader, false}} {
		t.Run(name, func(t *testing.T) {
			defer row.rdb.Close()
			d := &Desk{Redis: row.rdb, Release: release.New(row.rdb, "test", time.Now, release.Config{})}
			_, paused := d.Pause(t.Context(), "", "ann", "")
			_, resumed := d.Resume(t.Context(), "", func() error { return nil })
			for done, err := range map[string]error{"paused": paused, "resumed": resumed} {
				said := "stop calls may or may not be " + done
				if err == nil || strings.Contains(err.Error(), said) != row.want {
					t.Errorf("%v; %q in it: want %t", err, said, row.want)
				}
			}
		})
	}
}
