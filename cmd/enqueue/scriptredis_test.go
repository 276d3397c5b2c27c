package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/hibiken/asynq"
	"github.com/rogpeppe/go-internal/testscript"
)

func (w *world) setPassword(password string) error {
	if err := w.rdb.ConfigSet(context.Background(), "requirepass", password).Err(); err != nil {
		return err
	}
	w.password = password
	w.connect()
	return nil
}

func untouched(_ *testscript.TestScript, w *world, _ []string) error {
	keys, err := w.rdb.Keys(context.Background(), "*").Result()
	if err == nil && len(keys) > 0 {
		err = fmt.Errorf("redis has %q", keys)
	}
	return err
}

func enqueued(_ *testscript.TestScript, w *world, args []string) error {
	stops, err := w.rdb.Keys(context.Background(), "vizstop:{*}:stop:*").Result()
	if err != nil {
		return err
	}
	queued, _, err := w.queued()
	if err != nil {
		return err
	}
	if args[0] != strconv.Itoa(len(stops)) || args[0] != strconv.Itoa(queued) {
		return fmt.Errorf("%d stops in the ledger and %d tasks in the queues, want %s of each", len(stops), queued, args[0])
	}
	return nil
}

func scheduled(_ *testscript.TestScript, w *world, args []string) error {
	_, later, err := w.queued()
	if err == nil && args[0] != strconv.Itoa(later) {
		err = fmt.Errorf("%d tasks are scheduled, want %s", later, args[0])
	}
	return err
}

// queued counts the tasks in all queues, and those of them that are there for
// later.
func (w *world) queued() (all, later int, err error) {
	inspect := asynq.NewInspectorFromRedisClient(w.rdb)
	queues, err := inspect.Queues()
	for _, queue := range queues {
		info, err := inspect.GetQueueInfo(queue)
		if err != nil {
			return 0, 0, err
		}
		all, later = all+info.Size, later+info.Scheduled
	}
	return all, later, err
}

// waiting looks for the command that only report.Wait ends its looks with.
func waiting(_ *testscript.TestScript, w *world, _ []string) error {
	clients, err := w.rdb.ClientList(context.Background()).Result()
	if err == nil && !strings.Contains(clients, "cmd=scard") {
		err = errors.New("no client of Redis looks at a batch")
	}
	return err
}
