package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"vizstop/internal/control"
	"vizstop/internal/joblist"
	"vizstop/internal/jobs"
	"vizstop/internal/report"
	"vizstop/internal/when"
)

// preview is what --dry-run prints as JSON.
type preview struct {
	Kind string `json:"kind"` // "dry_run"
	control.Outlook
	Count       int          `json:"count"` // what would be asked for
	Looked      bool         `json:"looked"`
	Unstoppable int          `json:"unstoppable"` // of these, not in a status that can be stopped; 0 if nobody looked
	NotFound    int          `json:"not_found"`   // of these, not there; 0 if nobody looked
	Repeated    int          `json:"repeated"`
	Headers     int          `json:"headers"`
	Invalid     int          `json:"invalid"`
	Left        []leftOut    `json:"left_out"`
	Jobs        []previewJob `json:"jobs"`
}

// previewJob is a job that would be stopped. What is not known is null: by id
// and without credentials, only the ids are.
type previewJob struct {
	ProjectID string            `json:"project_id"`
	JobID     string            `json:"job_id"`
	Due       time.Time         `json:"due"`
	Name      *string           `json:"name"`
	Status    *string           `json:"status"`
	Age       *float64          `json:"age_seconds"`     // since it was created
	Running   *float64          `json:"running_seconds"` // as the API tells it
	Labels    map[string]string `json:"labels"`
	active    bool              // it can be stopped
}

// preview shows what the very same command without --dry-run would stop.
func (c *stopCmd) preview(ctx context.Context, desk *control.Desk, picked *chosen, plan when.Plan, ahead control.Outlook) error {
	if err := c.lookUp(ctx, desk, picked); err != nil {
		return err
	}
	p := preview{Kind: "dry_run", Outlook: ahead, Count: picked.Count, Looked: picked.details != nil, Repeated: picked.Repeated,
		Headers: picked.Headers, Invalid: picked.Bad, Left: append([]leftOut{}, picked.left...), Jobs: []previewJob{}}
	i := 0
	for item, err := range picked.Items() {
		if err != nil {
			return err
		}
		p.Jobs = append(p.Jobs, c.previewJob(picked, item, plan.Due(i, picked.Count)))
		i++
		switch job, ok := picked.job(item.ProjectID, item.JobID); {
		case !p.Looked:
		case !ok:
			p.NotFound++
		case job.Status.State != jobs.Active:
			p.Unstoppable++
		default:
			p.Jobs[len(p.Jobs)-1].active = true
		}
	}
	if c.json {
		return report.WriteJSON(c.streams.out, p)
	}
	t := newTable(c.streams.out)
	t.row("project", "job", "name", "status", "age", "running", "due")
	for _, j := range p.Jobs {
		t.row(j.ProjectID, j.JobID, orDash(j.Name), orDash(j.Status),
			span(j.Age), span(j.Running), when.Stamp(j.Due))
	}
	if err := t.flush(); err != nil {
		return err
	}
	p.conclude(c.streams.out)
	printOutlook(c.streams.out, p.Outlook)
	return nil
}

// conclude says in words what the table comes to.
func (p *preview) conclude(out io.Writer) {
	const nothing = "this was a dry run, nothing was"
	if !p.Looked {
		fmt.Fprintf(out, "%d jobs would be asked for, whether they run or not: without credentials nobody has looked at them; %s\n", p.Count, nothing)
		return
	}
	fmt.Fprintf(out, "%d jobs would be stopped; %s\n", p.Count-p.Unstoppable-p.NotFound, nothing)
	if active, hours := p.running(); active > 0 {
		fmt.Fprintf(out, "these jobs have run for %.1f hours in all; each hour adds up to %d\n", hours, active)
	}
	t := newCounts(out)
	t.row(p.Unstoppable, "unstoppable", "asked for all the same: not in a status that can be stopped")
	t.row(p.NotFound, "not found", "asked for all the same: the project has no such job")
	t.left(p.Left)
	t.flush()
}

// running is how many jobs run, and for how many hours they have, as the API tells it.
func (p *preview) running() (n int, hours float64) {
	for _, j := range p.Jobs {
		if j.active {
			n++
			hours += *j.Running / 3600
		}
	}
	return n, hours
}

func (c *stopCmd) previewJob(picked *chosen, item joblist.Item, due time.Time) previewJob {
	p := previewJob{ProjectID: item.ProjectID, JobID: item.JobID, Due: due.UTC(), Labels: item.Labels}
	if p.Labels == nil {
		p.Labels = map[string]string{}
	}
	job, ok := picked.job(item.ProjectID, item.JobID)
	if !ok {
		return p
	}
	status, running := job.Status.String(), job.Duration.Seconds()
	p.Name, p.Status, p.Running = &job.Name, &status, &running
	if !job.CreateTime.IsZero() {
		age := c.now().Sub(job.CreateTime).Seconds()
		p.Age = &age
	}
	return p
}

func orDash(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

func span(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	return (time.Duration(*seconds) * time.Second).String()
}
