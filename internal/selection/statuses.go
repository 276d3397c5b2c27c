package selection

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vizstop/internal/modelarts"
)

// ParseStatuses reads statuses by name or number, such as "running,waiting,8",
// each once. Empty text gives none. A status that the API does not document is
// an error. One in which no job can be stopped is not: its jobs are then counted
// as unstoppable.
func ParseStatuses(text string) ([]modelarts.Status, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var statuses []modelarts.Status
	for one := range strings.SplitSeq(text, ",") {
		s, ok := parseStatus(strings.ToLower(strings.TrimSpace(one)))
		if !ok {
			return nil, fmt.Errorf("%.40q is not a status; jobs can be stopped in %s", one, activeStatuses())
		}
		if !slices.Contains(statuses, s) {
			statuses = append(statuses, s)
		}
	}
	return statuses, nil
}

func parseStatus(text string) (modelarts.Status, bool) {
	if s, ok := modelarts.ParseStatus(text); ok {
		return s, true
	}
	n, err := strconv.Atoi(text)
	s := modelarts.Status(n)
	return s, err == nil && isDocumented(s)
}

func isDocumented(s modelarts.Status) bool {
	same, ok := modelarts.ParseStatus(s.Name())
	return ok && same == s
}

// activeStatuses are those in which a job can be stopped, for people.
func activeStatuses() string {
	var names []string
	for s := modelarts.StatusUnknown; isDocumented(s); s++ {
		if s.Class() == modelarts.ClassActive {
			names = append(names, s.String())
		}
	}
	return strings.Join(names, ", ")
}
