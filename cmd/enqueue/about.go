package main

import (
	"context"
	"fmt"
	"os/user"
	"strings"

	"vizstop/internal/actions"
	"vizstop/internal/control"
	"vizstop/internal/ledger"
	"vizstop/internal/plain"
	"vizstop/internal/settings"
)

// about is the settings that say who asks, and why.
type about struct {
	requester string
	reason    string
	labels    []string
}

func (a *about) declare(s *settings.Set) {
	a.declareWhy(s)
	s.Repeated(&a.labels, "label", "key=value to keep with the batch and show in reports; repeatable", func(v string) error {
		key, _, ok := strings.Cut(v, "=")
		if !ok || key == "" || unfit(v) {
			return fmt.Errorf("%q is not key=value of at most 256 bytes that can all be shown", v)
		}
		return nil
	})
}

func (a *about) declareWhy(s *settings.Set) {
	s.String(&a.reason, "reason", "", "", "why, in a few words; kept and shown in reports", checkText)
	s.String(&a.requester, "requester", "VIZSTOP_REQUESTER", "", "who asks (default: the user of this session)", checkText)
}

func checkText(v string) error {
	if unfit(v) {
		return fmt.Errorf("%.20q... is longer than 256 bytes or holds characters that can't be shown", v)
	}
	return nil
}

// unfit reports whether a text is too long for the ledger, or could forge a
// line of log or report.
func unfit(v string) bool { return len(v) > 256 || !plain.Fits(v) }

// who is the requester, by default the user of the session.
func (a *about) who(getenv func(string) string) string {
	candidates := []string{a.requester, getenv("SUDO_USER"), getenv("USER"), getenv("LOGNAME")}
	if u, err := user.Current(); err == nil { // cron may set none of them
		candidates = append(candidates, u.Username)
	}
	for _, name := range candidates {
		if name != "" && !unfit(name) {
			return name
		}
	}
	return "unknown"
}

// record notes what this person begins to do, of which they must be told.
func (a *about) record(ctx context.Context, desk *control.Desk, getenv func(string) string, what, scope string, jobs int) error {
	mustTell()
	return desk.Actions.Record(ctx, actions.Action{What: what, Scope: scope, Jobs: jobs, By: a.who(getenv), Reason: a.reason})
}

func (a *about) meta(getenv func(string) string) ledger.Meta {
	m := ledger.Meta{Requester: a.who(getenv), Reason: a.reason}
	for _, l := range a.labels {
		key, value, _ := strings.Cut(l, "=")
		if m.Labels == nil {
			m.Labels = map[string]string{}
		}
		m.Labels[key] = value
	}
	return m
}
