package selection

import (
	"fmt"
	"slices"
	"strings"

	"vizstop/internal/jobs"
)

// ParseStatuses reads statuses by name or code, such as "running,waiting,8", and
// returns their names, each once. Empty text gives none. A status that is not among
// the known ones is an error. One in which no job can be stopped is not: its jobs are
// then counted as unstoppable.
func ParseStatuses(text string, known []jobs.Status) ([]string, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var names []string
	for one := range strings.SplitSeq(text, ",") {
		one = strings.TrimSpace(one)
		i := slices.IndexFunc(known, func(s jobs.Status) bool { return strings.EqualFold(one, s.Name) || one == s.Code })
		if i < 0 {
			return nil, fmt.Errorf("%.40q is not a status; jobs can be stopped in %s", one, active(known))
		}
		if !slices.Contains(names, known[i].Name) {
			names = append(names, known[i].Name)
		}
	}
	return names, nil
}

// active are those in which a job can be stopped, for people.
func active(known []jobs.Status) string {
	var texts []string
	for _, s := range known {
		if s.State == jobs.Active {
			texts = append(texts, s.String())
		}
	}
	return strings.Join(texts, ", ")
}
