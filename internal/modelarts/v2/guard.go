package v2

import (
	"fmt"
	"sync"
)

// guard keeps stop calls from jobs that are not visualization jobs: the ids of this
// generation are those of all training jobs, so a typing error could end somebody's
// week of training.
type guard struct {
	// annotated also lets training jobs pass whose annotations switch on a
	// visualization.
	annotated bool

	mu     sync.Mutex
	passed map[string]bool // project and job
}

// mostPassed bounds what is remembered. What is forgotten is asked for again.
const mostPassed = 100_000

// knows reports whether the job has passed before. What kind a job is never changes.
func (g *guard) knows(projectID, jobID string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.passed[projectID+" "+jobID]
}

// check says why a job is not one to stop; nil if it is, which is remembered.
func (g *guard) check(projectID string, t *training) error {
	if err := g.refusal(t); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.passed == nil || len(g.passed) >= mostPassed {
		g.passed = map[string]bool{}
	}
	g.passed[projectID+" "+t.ID] = true
	return nil
}

func (g *guard) refusal(t *training) error {
	const notOne = "not a visualization job"
	switch {
	case t.kind == visualizationKind, t.annotated && g.annotated:
		return nil
	case t.annotated:
		return fmt.Errorf("%s: it is a training job that shows TensorBoard or MindStudio Insight; tensorboard_training: true of its account allows those", notOne)
	case t.kind == "":
		return fmt.Errorf("%s: the API does not tell its kind, and it has none of the annotations of one", notOne)
	}
	return fmt.Errorf("%s: it is a training job of kind %s", notOne, t.kind)
}
