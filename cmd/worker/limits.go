package main

import (
	"fmt"
	"strconv"

	"vizstop/internal/limits"
)

// noLimit is how a limit is switched off: 0 would be taken for it, or for "nothing".
const noLimit = "none"

// declareLimits declares how much may be stopped of what nobody has confirmed.
func (c *config) declareLimits(l *limits.Limits) {
	d := limits.Defaults()
	c.declareLimit("window-limit", "VIZSTOP_WINDOW_LIMIT", float64(d.Window),
		"stop calls that nobody confirmed, per project in any 60 minutes: of foreign tasks, schedules and enqueue without a question; a number or none",
		"1000000000", whole(1000000000, &l.Window))
	c.declareLimit("batch-limit", "VIZSTOP_BATCH_LIMIT", float64(d.Batch),
		"stops of a batch that nobody confirmed, of a schedule or asked for over HTTP; a larger one is held; a number or none", "10000000", whole(10000000, &l.Batch))
	c.declareLimit("batch-share", "VIZSTOP_BATCH_SHARE", d.Share,
		"how much of a project's running jobs such a batch may stop, in percent, from 20 stops and 20 running jobs on; a number or none", "100",
		func(v float64) bool { l.Share = v; return v <= 100 })
}

// whole takes whole numbers up to most; less than 0 is no limit.
func whole(most float64, p *int) func(float64) bool {
	return func(v float64) bool {
		*p = int(v)
		return v <= most && v == float64(int(v))
	}
}

func (c *config) declareLimit(flag, env string, def float64, usage, most string, take func(float64) bool) {
	text := strconv.FormatFloat(def, 'f', -1, 64)
	var value string
	c.String(&value, flag, env, text, usage, func(v string) error {
		if v == noLimit {
			take(-1)
			return nil
		}
		n, err := strconv.ParseFloat(v, 64)
		switch {
		case err == nil && n == 0:
			return fmt.Errorf("0 is no limit that can be kept: write none to switch it off; to let nothing out, use enqueue pause")
		case err != nil || !(n > 0) || !take(n):
			return fmt.Errorf("%q is neither a number up to %s nor none", v, most)
		}
		return nil
	})
}
