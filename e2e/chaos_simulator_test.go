package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"vizstop/internal/modelarts/modelartstest"
)

// simulatorProcess is the simulated API as a process of its own.
type simulatorProcess struct {
	*process
	api, control string // URLs
}

// startSimulator starts a simulator of the tests' project that wants their key.
func startSimulator(t *testing.T, args ...string) *simulatorProcess {
	t.Helper()
	env := []string{"HW_PROJECT_ID=" + project, "HW_ACCESS_KEY=" + accessKey, "HW_SECRET_KEY=" + secretKey}
	listen := []string{"--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"}
	s := &simulatorProcess{process: launch(t, env, "", "simulator", append(listen, args...)...)}
	await(t, "the simulator's start", func() bool {
		urls := strings.Fields(s.stdout.String())
		if len(urls) == 2 {
			s.api, s.control = urls[0], urls[1]
		}
		return len(urls) == 2
	})
	return s
}

// calls is how many calls there were of all operations.
func (s *simulatorProcess) calls() (n int) {
	s.t.Helper()
	for _, counts := range readLines[map[string]int](s, "/counts") {
		for _, k := range counts {
			n += k
		}
	}
	return n
}

// fail makes calls go wrong from now on.
func (s *simulatorProcess) fail(order modelartstest.Order) {
	s.t.Helper()
	b, err := json.Marshal(order)
	if err != nil {
		s.t.Fatal(err)
	}
	s.ask(http.MethodPost, "/faults", b)
}

// heal ends every fault.
func (s *simulatorProcess) heal() {
	s.t.Helper()
	s.ask(http.MethodDelete, "/faults", nil)
}

func (s *simulatorProcess) ask(method, path string, body []byte) []byte {
	s.t.Helper()
	req, err := http.NewRequest(method, s.control+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		s.t.Fatalf("%s %s: %s %s, %v", method, path, res.Status, b, err)
	}
	return b
}

// readLines reads a page of one JSON object a line.
func readLines[T any](s *simulatorProcess, path string) (all []T) {
	s.t.Helper()
	for dec := json.NewDecoder(bytes.NewReader(s.ask(http.MethodGet, path, nil))); ; {
		var one T
		err := dec.Decode(&one)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, one)
	}
}
