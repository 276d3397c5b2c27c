package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/fleet"
	"vizstop/internal/redistest"
)

const twoAccounts = `accounts:
  - name: team-a
    credentials: {prefix: TEAM_A}
    regions: [{name: cn-north-4, rate: 1, projects: [0123456789abcdef0123456789abcdef]}]
  - name: team-b
    credentials: {prefix: TEAM_B}
    regions: [{name: cn-east-3, projects: [fedcba9876543210fedcba9876543210]}]
`

// aFleetThatLives is a Redis with a worker that lives and has announced a rate of 20, and how enqueue gets there.
func aFleetThatLives(t *testing.T) (*redis.Client, func(string) string) {
	t.Helper()
	s := redistest.Start(t)
	admin := s.Client(t)
	member := fleet.New(admin, 1)
	if err := member.Beat(t.Context()); err != nil {
		t.Fatal(err)
	}
	go func() {
		for t.Context().Err() == nil {
			_ = member.Beat(t.Context())
			time.Sleep(500 * time.Millisecond)
		}
	}()
	admin.Set(t.Context(), "vizstop:{-}:rate", 20, 0)
	file := filepath.Join(t.TempDir(), "accounts.yaml")
	if err := os.WriteFile(file, []byte(twoAccounts), 0o600); err != nil {
		t.Fatal(err)
	}
	return admin, func(name string) string {
		return map[string]string{"VIZSTOP_REDIS": "redis://" + s.Addr, "VIZSTOP_ACCOUNTS": file}[name]
	}
}

// A hold of another account is no reason why a batch does not move, whether the command waits or not.
func TestWaitTellsNoHoldOfAnotherAccount(t *testing.T) {
	t.Parallel()
	admin, getenv := aFleetThatLives(t)
	admin.SAdd(t.Context(), "vizstop:{-}:accounts", "team-b")
	admin.HSet(t.Context(), "vizstop:{-}:account:team-b", "hold", "credentials", "hold_since", time.Now().UnixMilli())
	for _, more := range [][]string{nil, {"--wait", "--timeout", "2s"}} {
		var out, errs bytes.Buffer
		err := run(t.Context(), append([]string{"--project", project, "10"}, more...), getenv, strings.NewReader(""), &out, &errs)
		if code, is := errors.AsType[exitCode](err); err != nil && (!is || code.code != exitTimeout) {
			t.Fatal(err, &errs)
		}
		if strings.Contains(errs.String(), "team-b") {
			t.Errorf("%v: the batch is of account team-a, and people are told:\n%s", more, &errs)
		}
	}
}

// What --wait expects goes by the rate of each project, as what was told before it began.
func TestWaitExpectsByTheRateOfTheProject(t *testing.T) {
	t.Parallel()
	_, getenv := aFleetThatLives(t)
	var ids []string
	for i := range 300 {
		ids = append(ids, fmt.Sprint(i+1))
	}
	var out, errs bytes.Buffer
	args := append([]string{"--project", project, "--yes", "--max", "300", "--json", "--wait", "--timeout", "2s"}, ids...)
	_ = run(t.Context(), args, getenv, strings.NewReader(""), &out, &errs) // it times out
	var told struct {
		Last time.Time `json:"expected_last_confirmation"`
	}
	if err := json.Unmarshal(out.Bytes(), &told); err != nil {
		t.Fatal(err, &out, &errs)
	}
	clock := regexp.MustCompile(`expected end at about (?:\S+ )??(\d\d:\d\d:\d\d)`).FindStringSubmatch(errs.String())
	if clock == nil {
		t.Fatalf("no end is expected:\n%s", &errs)
	}
	end, err := time.ParseInLocation(time.DateTime, told.Last.Local().Format(time.DateOnly)+" "+clock[1], time.Local)
	if err != nil {
		t.Fatal(err)
	}
	if off := end.Sub(told.Last); off.Abs() > 15*time.Second {
		t.Errorf("expected_last_confirmation is %v, and --wait expects the end at %v: %v apart", told.Last.Local(), end, off)
	}
}
