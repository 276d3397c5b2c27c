// Command plain is a baseline: what somebody writes who has a list of jobs, the
// Go standard library and half an hour. A fixed number of goroutines take jobs
// from the list; each stops its job. Accepted jobs are polled by timers of their
// own until the detail endpoint shows them ended. Nothing survives a crash.
//
// What gets 429 or 5xx, is_success false, an answer that cannot be read or none at
// all is asked again a second later, then after two, four and at most eight, as
// the usual retry loops do. It prints the id of each job that it saw ended, and
// when.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

type program struct {
	base  string
	token string
	http  *http.Client
	slots chan struct{} // one for each call on its way
	poll  time.Duration

	mu  sync.Mutex
	out *bufio.Writer
}

func main() {
	endpoint := flag.String("endpoint", "", "of the API")
	project := flag.String("project", "", "of the jobs")
	parallel := flag.Int("parallel", 64, "calls at once")
	poll := flag.Duration("poll", 5*time.Second, "time between polls of one job")
	flag.Parse()
	p := &program{
		base:  *endpoint + "/v1/" + *project + "/visualization-jobs/",
		token: os.Getenv("HW_AUTH_TOKEN"),
		http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
			MaxIdleConnsPerHost: *parallel, MaxConnsPerHost: *parallel,
		}},
		slots: make(chan struct{}, *parallel),
		poll:  *poll,
		out:   bufio.NewWriter(os.Stdout),
	}
	failed := p.stopAll(os.Stdin)
	p.out.Flush()
	if failed > 0 {
		fmt.Fprintln(os.Stderr, "plain: not stopped:", failed)
		os.Exit(1)
	}
}

// stopAll stops the jobs whose ids it reads, one a line, and returns how many
// of them it could not stop.
func (p *program) stopAll(ids io.Reader) (failed int) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	lines := bufio.NewScanner(ids)
	for lines.Scan() {
		id := lines.Text()
		p.slots <- struct{}{} // no more goroutines at first than calls
		wg.Go(func() {
			if err := p.stop(id); err != nil {
				fmt.Fprintf(os.Stderr, "plain: job %s: %v\n", id, err)
				mu.Lock()
				failed++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return failed
}

// stop stops one job and waits for its end. The first call's slot is taken.
func (p *program) stop(id string) error {
	ok, err := p.call(http.MethodPost, id+"/stop", nil)
	<-p.slots
	for backoff := time.Second; err == nil && !ok; backoff = min(2*backoff, mostBackoff) {
		time.Sleep(backoff)
		ok, err = p.slotted(http.MethodPost, id+"/stop", nil)
	}
	wait, backoff := p.poll, time.Second
	for err == nil {
		time.Sleep(wait)
		var job answer
		ok, err = p.slotted(http.MethodGet, id, &job)
		switch {
		case !ok:
			wait, backoff = backoff, min(2*backoff, mostBackoff)
		case ended[job.Status]:
			p.done(id)
			return nil
		default:
			wait, backoff = p.poll, time.Second
		}
	}
	return err
}

// done says that a job was seen to have ended.
func (p *program) done(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintln(p.out, id, time.Now().Format(time.RFC3339Nano))
}

const mostBackoff = 8 * time.Second

// ended are the statuses in which a job no longer runs.
var ended = map[int]bool{3: true, 5: true, 10: true, 11: true, 12: true, 13: true, 16: true, 17: true, 20: true, 21: true, 22: true}

func (p *program) slotted(method, path string, into *answer) (ok bool, err error) {
	p.slots <- struct{}{}
	defer func() { <-p.slots }()
	return p.call(method, path, into)
}

// answer is what a body says that matters.
type answer struct {
	Status    int
	IsSuccess *bool  `json:"is_success"`
	ErrorCode string `json:"error_code"`
}

// notStoppable is the code of a job that cannot be stopped: an earlier call for it has worked although its answer went
// missing, or it has ended.
const notStoppable = "ModelArts.0105"

// call makes one call. It is false if the call must be made again.
func (p *program) call(method, path string, into *answer) (ok bool, err error) {
	req, err := http.NewRequest(method, p.base+path, http.NoBody)
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Auth-Token", p.token)
	res, err := p.http.Do(req)
	if err != nil {
		return false, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	var a answer
	broken := err != nil || json.Unmarshal(body, &a) != nil
	switch {
	case res.StatusCode == http.StatusTooManyRequests || res.StatusCode >= 500:
		return false, nil
	case res.StatusCode == http.StatusOK:
		if broken || a.IsSuccess != nil && !*a.IsSuccess {
			return false, nil
		}
		if into != nil {
			*into = a
		}
		return true, nil
	case !broken && a.ErrorCode == notStoppable:
		return true, nil
	case broken:
		return false, nil
	}
	return false, fmt.Errorf("%s: %s", res.Status, body)
}
