package modelartstest

import (
	"fmt"
	"net"
	"net/http"
	"time"
	"vizstop/internal/jobs"
	"vizstop/internal/modelarts"
	v1 "vizstop/internal/modelarts/v1"
)

// Server is a simulator behind a listener on the loopback interface.
type Server struct {
	URL string // such as http://127.0.0.1:40123, for the API and for IAM
	*Simulator

	http   *http.Server
	served chan struct{}
}

// Start serves a new simulator on a free port of 127.0.0.1. The error is the
// listener's. The caller must Close it.
func Start(cfg Config) (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the simulator: %w", err)
	}
	sim := New(cfg)
	s := &Server{
		URL:       "http://" + l.Addr().String(),
		Simulator: sim,
		http:      &http.Server{Handler: sim, ReadHeaderTimeout: time.Minute},
		served:    make(chan struct{}),
	}
	go func() {
		defer close(s.served)
		_ = s.http.Serve(l) // always ErrServerClosed, after Close
	}()
	return s, nil
}

// API returns the API of the simulator, as a client with these options sees it.
func (s *Server) API(opts ...modelarts.Option) (jobs.API, error) {
	client, err := modelarts.New(s.URL, opts...)
	if err != nil {
		return nil, err
	}
	return v1.New(client), nil
}

// Close drops all connections, whatever is on them, and frees the port. Waiting
// answers are cut short, but Close does not wait for hooks. Closing again
// does nothing.
func (s *Server) Close() {
	_ = s.http.Close() // its error is the listener's, which is gone either way
	<-s.served
}
