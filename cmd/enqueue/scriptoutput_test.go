package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func exits(ts *testscript.TestScript, w *world, args []string) error {
	want, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	if w.idle != nil { // on a busy machine its latest beat may be as old as that of a dead worker
		if err := w.idle.Beat(context.Background()); err != nil {
			return err
		}
	}
	err = ts.Exec(args[1], args[2:]...)
	if ended, ok := errors.AsType[*exec.ExitError](err); want == 0 && err != nil || want != 0 && (!ok || ended.ExitCode() != want) {
		return fmt.Errorf("ended with %v, want exit status %d", err, want)
	}
	if slices.Contains(args, "--json") && (want != exitError || ts.ReadFile("stdout") != "") {
		return fitsSchema(ts, w, nil)
	}
	return nil
}

func fitsSchema(ts *testscript.TestScript, _ *world, _ []string) error {
	return fits(printed, ts.ReadFile("stdout"))
}

func capture(ts *testscript.TestScript, _ *world, args []string) error {
	re, err := regexp.Compile(args[1])
	if err != nil {
		return err
	}
	m := re.FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) != 2 {
		return fmt.Errorf("stdout has no %s", re)
	}
	ts.Setenv(args[0], m[1])
	return nil
}

func jobIDs(ts *testscript.TestScript, _ *world, args []string) error {
	var list struct {
		Jobs, Stops []struct {
			JobID string `json:"job_id"`
		}
	}
	if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &list); err != nil {
		return err
	}
	var ids []string
	for _, j := range append(list.Jobs, list.Stops...) {
		ids = append(ids, j.JobID)
	}
	slices.Sort(ids)
	return os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(ids, "\n")+"\n"), 0o600)
}

func checkJSON(ts *testscript.TestScript, _ *world, args []string) error {
	v, err := lookUp(ts, args[0])
	if err != nil {
		return err
	}
	if got := fmt.Sprint(v); got != args[1] {
		return fmt.Errorf("%s is %s, want %s", args[0], got, args[1])
	}
	return nil
}

// lookUp finds what stands at a path in the JSON in stdout, such as
// stops.0.due; len is the length of a list.
func lookUp(ts *testscript.TestScript, path string) (any, error) {
	var at any
	if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &at); err != nil {
		return nil, err
	}
	for name := range strings.SplitSeq(path, ".") {
		switch v := at.(type) {
		case map[string]any:
			at = v[name]
		case []any:
			if name == "len" {
				at = len(v)
				continue
			}
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(v) {
				return nil, fmt.Errorf("no element %s in %v", name, v)
			}
			at = v[i]
		default:
			return nil, fmt.Errorf("no %q in %v", name, v)
		}
	}
	return at, nil
}

func lookUpTime(ts *testscript.TestScript, path string) (time.Time, error) {
	v, err := lookUp(ts, path)
	if err != nil {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339, fmt.Sprint(v))
}

func apart(ts *testscript.TestScript, _ *world, args []string) error {
	from, err1 := lookUpTime(ts, args[0])
	to, err2 := lookUpTime(ts, args[1])
	want, err3 := time.ParseDuration(args[2])
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	if got := to.Sub(from); got != want {
		return fmt.Errorf("from %v to %v it is %v, want %v", from, to, got, want)
	}
	return nil
}

func fromNow(ts *testscript.TestScript, _ *world, args []string) error {
	at, err1 := lookUpTime(ts, args[0])
	want, err2 := time.ParseDuration(args[1])
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if got := time.Until(at); (want - got).Abs() > patience {
		return fmt.Errorf("%v is %v from now, want %v", at, got, want)
	}
	return nil
}

func clock(ts *testscript.TestScript, _ *world, args []string) error {
	ahead, err1 := time.ParseDuration(args[1])
	zone, err2 := time.LoadLocation(args[3])
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	at := time.Now().Add(ahead).Truncate(time.Minute)
	ts.Setenv(args[0], at.In(zone).Format(args[2]))
	ts.Setenv(args[0]+"_UTC", at.UTC().Format(time.RFC3339))
	return nil
}
