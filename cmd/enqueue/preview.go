package main

import (
	"context"
	"fmt"
	"time"

	"vizstop/internal/joblist"
	"vizstop/internal/modelarts"
	"vizstop/internal/report"
	"vizstop/internal/when"
)

// preview is what --dry-run prints as JSON.
type preview struct {
	Kind string `json:"kind"` // "dry_run"
	outlook
	Count    int          `json:"count"`
	Repeated int          `json:"repeated"`
	Headers  int          `json:"headers"`
	Invalid  int          `json:"invalid"`
	Left     []leftOut    `json:"left_out"`
	Jobs     []previewJob `json:"jobs"`
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
}

// preview shows what the very same command without --dry-run would stop.
func (c *stopCmd) preview(ctx context.Context, jobs *chosen, plan when.Plan, ahead outlook) error {
	if err := c.lookUp(ctx, jobs); err != nil {
		return err
	}
	p := preview{Kind: "dry_run", outlook: ahead, Count: jobs.count, Repeated: jobs.repeated, Headers: jobs.headers, Invalid: jobs.bad,
		Left: append([]leftOut{}, jobs.left...), Jobs: []previewJob{}}
	i := 0
	for item, err := range jobs.items() {
		if err != nil {
			return err
		}
		p.Jobs = append(p.Jobs, c.previewJob(jobs, item, plan.Due(i, jobs.count)))
		i++
	}
	if c.json {
		return report.WriteJSON(c.streams.out, p)
	}
	t := newTable(c.streams.out)
	t.row("project", "job", "name", "status", "age", "running", "due")
	for _, j := range p.Jobs {
		t.row(j.ProjectID, j.JobID, orDash(j.Name), orDash(j.Status),
			span(j.Age), span(j.Running), j.Due.Local().Format("2006-01-02 15:04:05"))
	}
	if err := t.flush(); err != nil {
		return err
	}
	fmt.Fprintf(c.streams.out, "%d jobs would be stopped; this was a dry run, nothing was\n", p.Count)
	p.outlook.print(c.streams.out)
	return nil
}

// lookUp fetches what a selection by id doesn't know of its jobs, if there are
// credentials to ask with.
func (c *stopCmd) lookUp(ctx context.Context, jobs *chosen) error {
	if jobs.details != nil || !c.api.HasCredentials() {
		return nil
	}
	client, err := c.api.Client()
	if err != nil {
		return err
	}
	jobs.details = map[string]map[string]modelarts.VisualizationJob{}
	for _, project := range jobs.projects {
		jobs.details[project] = map[string]modelarts.VisualizationJob{}
		for job, err := range listJobs(ctx, client, project) {
			if err != nil {
				return fmt.Errorf("list the jobs of project %s: %w", project, err)
			}
			jobs.details[project][job.ID] = job
		}
	}
	return nil
}

func (c *stopCmd) previewJob(jobs *chosen, item joblist.Item, due time.Time) previewJob {
	p := previewJob{ProjectID: item.ProjectID, JobID: item.JobID, Due: due.UTC(), Labels: item.Labels}
	if p.Labels == nil {
		p.Labels = map[string]string{}
	}
	job, ok := jobs.job(item.ProjectID, item.JobID)
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
