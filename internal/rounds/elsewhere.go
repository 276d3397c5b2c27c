package rounds

import (
	"context"
	"maps"
)

// noteElsewhere notes at which other endpoint the stops of a project are, "" for
// none, and says so once.
func (l *Loop) noteElsewhere(ctx context.Context, projectID, endpoint string) {
	l.mu.Lock()
	before := l.elsewhere[projectID]
	if endpoint == "" {
		delete(l.elsewhere, projectID)
	} else {
		l.elsewhere[projectID] = endpoint
	}
	l.mu.Unlock()
	if endpoint != "" && endpoint != before {
		l.Logger.WarnContext(ctx, "a project is left alone: its stops are at another endpoint than this worker's", "project", projectID,
			"endpoint", endpoint)
	}
}

// Elsewhere lists the projects that this worker has left alone in their latest
// round, each with the endpoint of its stops.
func (l *Loop) Elsewhere() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.elsewhere)
}
