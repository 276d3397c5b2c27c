package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"vizstop/internal/jobs"
	v1 "vizstop/internal/modelarts/v1"

	"github.com/rogpeppe/go-internal/testscript"

	"vizstop/internal/modelarts/modelartstest"
)

// jobRef is a job as scripts name it.
type jobRef struct{ project, id string }

// jobRefs reads an id, or every id of a range such as 10..19, behind PROJECT/
// if it is not one of $PROJECT.
func jobRefs(arg string) ([]jobRef, error) {
	in, ids, elsewhere := strings.Cut(arg, "/")
	if !elsewhere {
		in, ids = project, arg
	}
	first, last, many := strings.Cut(ids, "..")
	if !many {
		return []jobRef{{in, ids}}, nil
	}
	from, err1 := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	var refs []jobRef
	for n := from; n <= to; n++ {
		refs = append(refs, jobRef{in, strconv.Itoa(n)})
	}
	return refs, nil
}

func addJobs(_ *testscript.TestScript, w *world, args []string) error {
	var job modelartstest.Job
	for _, arg := range args {
		if name, value, option := strings.Cut(arg, "="); option {
			if err := describeJob(&job, name, value); err != nil {
				return err
			}
			continue
		}
		refs, err := jobRefs(arg)
		if err != nil {
			return err
		}
		for _, ref := range refs {
			one := job
			one.ID, one.Name = ref.id, strings.ReplaceAll(job.Name, "*", ref.id)
			w.sim.AddJob(ref.project, one)
		}
	}
	return nil
}

func describeJob(job *modelartstest.Job, option, value string) (err error) {
	switch option {
	case "stop":
		job.StopTime, err = time.ParseDuration(value)
	case "created":
		var ago time.Duration
		ago, err = time.ParseDuration(value)
		job.CreateTime = time.Now().Add(-ago)
	case "name":
		job.Name = value
	case "status":
		job.Status, err = parseStatus(value)
	default:
		err = fmt.Errorf("unknown option %s", option)
	}
	return err
}

func parseStatus(name string) (v1.Status, error) {
	i := slices.IndexFunc(v1.Statuses(), func(s jobs.Status) bool { return s.Name == name })
	if i < 0 {
		return 0, fmt.Errorf("%q is no status", name)
	}
	return v1.Status(i), nil
}

func setStatus(_ *testscript.TestScript, w *world, args []string) error {
	status, err := parseStatus(args[1])
	if err == nil && !w.sim.SetStatus(project, args[0], status) {
		err = fmt.Errorf("there is no job %s", args[0])
	}
	return err
}

func fault(_ *testscript.TestScript, w *world, args []string) error {
	status, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	job, of := args[1], ""
	if before, after, ok := strings.Cut(job, "/"); ok {
		of, job = before, after
	}
	w.sim.Inject(modelartstest.Fault{Operation: args[0], ProjectID: of, JobID: strings.Trim(job, "*"),
		Reply: modelartstest.ReplyError(status, args[3], strings.Join(args[4:], " "))})
	return nil
}

func healed(_ *testscript.TestScript, w *world, _ []string) error {
	w.sim.ClearFaults()
	return nil
}

func calls(_ *testscript.TestScript, w *world, args []string) error {
	n := 0
	for _, c := range w.sim.AllCalls() {
		if c.Operation == args[0] && (args[1] == "*" || c.ProjectID == project && c.JobID == args[1]) {
			n++
		}
	}
	if strconv.Itoa(n) != args[2] {
		return fmt.Errorf("%d %s calls for job %s, want %s", n, args[0], args[1], args[2])
	}
	return nil
}

func jobStatus(_ *testscript.TestScript, w *world, args []string) error {
	refs, err := jobRefs(args[0])
	if err != nil {
		return err
	}
	for _, ref := range refs {
		job, ok := w.sim.Job(ref.project, ref.id)
		if !ok || job.Status.Job().Name != args[1] {
			return fmt.Errorf("job %s: exists %t, status %v, want %s", ref.id, ok, job.Status, args[1])
		}
	}
	return nil
}

func jobsIn(_ *testscript.TestScript, w *world, args []string) error {
	n := 0
	for _, job := range w.sim.Jobs(project) {
		if job.Status.Job().Name == args[0] {
			n++
		}
	}
	if strconv.Itoa(n) != args[1] {
		return fmt.Errorf("%d jobs are %s, want %s", n, args[0], args[1])
	}
	return nil
}
