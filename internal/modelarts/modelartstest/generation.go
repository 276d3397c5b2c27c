package modelartstest

import (
	"fmt"
	"net/http"
)

// Generation is one of the two generations of the API. A call that belongs to neither, such as OpToken, has "".
type Generation string

// The generations.
const (
	V1 Generation = "v1" // visualization jobs
	V2 Generation = "v2" // training jobs; a visualization job is one of their kinds
)

func (g Generation) check() error {
	if g == "" || g == V1 || g == V2 {
		return nil
	}
	return fmt.Errorf("%q is not a generation of the API: it is %s or %s", string(g), V1, V2)
}

// Offer says which generation alone a project is offered, in place of Config.Only; "" offers both. Calls to the other
// one are answered as a path that does not exist: 404 with .0101 of the gateway (v1) or ModelArts.2836 (v2).
func (s *Simulator) Offer(projectID string, only Generation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.only[projectID] = only
}

// onlyOffered is the one generation that a project is offered; "" if it is both.
func (s *Simulator) onlyOffered(projectID string) Generation {
	if only, ok := s.only[projectID]; ok {
		return only
	}
	return s.cfg.Only
}

// checkOffered refuses a call to a generation that the project is not offered.
func (s *Simulator) checkOffered(x *exchange) *answer {
	only := s.onlyOffered(x.projectID)
	switch {
	case x.generation == "" || only == "" || only == x.generation:
		return nil
	case x.generation == V2:
		return documented("ModelArts.2836")
	}
	return s.unpublished(x)
}

// unpublished is the gateway's word for a path that it does not know.
func (s *Simulator) unpublished(x *exchange) *answer {
	return s.gateway(x, http.StatusNotFound, ".0101",
		"The API does not exist or has not been published in the environment")
}
