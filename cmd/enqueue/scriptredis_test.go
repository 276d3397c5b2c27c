package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"vizstop/internal/ledger"
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
	keys = slices.DeleteFunc(keys, func(key string) bool { return strings.HasSuffix(key, ":control") || strings.HasSuffix(key, ":sweeps") })
	if err == nil && len(keys) > 0 {
		err = fmt.Errorf("redis has %q", keys)
	}
	return err
}

func enqueued(_ *testscript.TestScript, w *world, args []string) error {
	stops, waiting := 0, 0
	keys, err := w.rdb.Keys(context.Background(), "vizstop:{*}:stop:*").Result()
	for _, key := range keys {
		own, err := w.rdb.HExists(context.Background(), key, "state").Result()
		if err != nil {
			return err
		}
		if own { // else it says which other stop serves the wish
			stops++
		}
	}
	if err == nil {
		waiting, err = w.waiting("-inf")
	}
	if err == nil && (args[0] != strconv.Itoa(stops) || args[0] != strconv.Itoa(waiting)) {
		err = fmt.Errorf("%d stops in the ledger and %d wait for their call, want %s of each", stops, waiting, args[0])
	}
	return err
}

func scheduled(_ *testscript.TestScript, w *world, args []string) error {
	later, err := w.waiting(strconv.FormatInt(time.Now().UnixMilli(), 10))
	if err == nil && args[0] != strconv.Itoa(later) {
		err = fmt.Errorf("%d stops are due later, want %s", later, args[0])
	}
	return err
}

// waiting counts the stops of both projects that wait for their call and are due
// at that time (ms) or later.
func (w *world) waiting(from string) (n int, err error) {
	for _, p := range []ledger.Keys{project, other} {
		for _, key := range []string{p.Small(), p.Large(), p.Limited(), p.Held()} {
			due, err := w.rdb.ZCount(context.Background(), key, from, "+inf").Result()
			if err != nil {
				return 0, err
			}
			n += int(due)
		}
	}
	return n, nil
}

// waiting looks for the command that only report.Wait begins its looks with, and awaits that its first ones are over.
func waiting(_ *testscript.TestScript, w *world, _ []string) error {
	clients, err := w.rdb.ClientList(context.Background()).Result()
	if err != nil {
		return err
	}
	for client := range strings.Lines(clients) {
		if strings.Contains(client, "user=vizstop-enqueue") && strings.Contains(client, "cmd=hgetall") {
			return w.sixLooks()
		}
	}
	return errors.New("no enqueue looks at a batch")
}

// sixLooks fails until six looks have begun after its first call. A first look asks for more than once.
func (w *world) sixLooks() error {
	stats, err := w.rdb.Info(context.Background(), "commandstats").Result()
	if err != nil {
		return err
	}
	_, hgetall, _ := strings.Cut(stats, "cmdstat_hgetall:calls=")
	var looks int
	if _, err := fmt.Sscanf(hgetall, "%d,", &looks); err != nil {
		return fmt.Errorf("how many looks there were: %w", err)
	}
	if w.looked == 0 {
		w.looked = looks
	}
	if looks < w.looked+6 {
		return errors.New("enqueue has looked at its batch only just")
	}
	w.looked = 0
	return nil
}

func serve(_ *testscript.TestScript, w *world, args []string) error {
	n, err := strconv.Atoi(args[1])
	l := ledger.New(w.rdb, time.Now)
	for i := 0; i < n && err == nil; i++ {
		_, err = l.Open(context.Background(), project, fmt.Sprint("serve-", i), []ledger.Ask{{JobID: args[0], Deadline: time.Now().Add(time.Hour)}})
	}
	return err
}

func loseStops(_ *testscript.TestScript, w *world, args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	l, lost, offset := ledger.New(w.rdb, time.Now), 0, 0
	for lost < n {
		stops, next, err := l.BatchStops(context.Background(), project, args[0], offset, 100)
		if err != nil {
			return err
		}
		for _, s := range stops {
			if len(s.Wishes) > 1 || lost == n {
				continue
			}
			if err := w.rdb.Del(context.Background(), ledger.Keys(project).Stop(s.ID)).Err(); err != nil {
				return err
			}
			lost++
		}
		if next == 0 {
			return fmt.Errorf("only %d stops of batch %s were lost", lost, args[0])
		}
		offset = next
	}
	return nil
}
