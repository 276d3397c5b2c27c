package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// simulator runs one until the test ends, which must be a good end, and returns the URLs of the API and of the control
// pages.
func simulator(t *testing.T, args ...string) (api, control string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		all := append([]string{"--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--latency", "0s"}, args...)
		ended <- run(ctx, all, func(string) string { return "" }, w)
		w.Close()
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	out := bufio.NewScanner(r)
	var urls []string
	for len(urls) < 2 && out.Scan() {
		urls = append(urls, out.Text())
	}
	if len(urls) < 2 {
		t.Fatalf("printed %q, want two URLs", urls)
	}
	return urls[0], urls[1]
}

func get(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestControlIsAListenerOfItsOwn(t *testing.T) {
	api, control := simulator(t, "--jobs", "3")
	if page := get(t, api+"/v1/"+defaultProject+"/visualization-jobs"); strings.Count(page, `"job_id"`) != 3 {
		t.Errorf("the API lists %s", page)
	}
	if page := get(t, control+"/calls"); !strings.Contains(page, `"Operation":"list"`) {
		t.Errorf("the control pages tell the calls %q", page)
	}
	if page := get(t, api+"/calls"); strings.Contains(page, `"Operation"`) {
		t.Errorf("the API tells its calls: %s", page)
	}
}

// A page that a browser has open must not reach the control pages, by whatever name and from wherever it came.
func TestControlIsForThisMachineOnly(t *testing.T) {
	_, control := simulator(t, "--jobs", "3")
	ask := func(method, host, origin string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, control+"/faults", strings.NewReader(`{"operation":"stop"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		if origin != "" {
			req.Header.Set("Origin", origin)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	for _, host := range []string{"", "localhost", "localhost:9471", "127.0.0.1", "127.0.0.1:9471", "127.9.9.9:1", "[::1]", "[::1]:9471", "LOCALHOST"} {
		if code := ask("DELETE", host, ""); code != http.StatusNoContent {
			t.Errorf("as %q: %d", host, code)
		}
	}
	for _, host := range []string{"evil.example", "evil.example:9471", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "0.0.0.0", "[::]:9471"} {
		if code := ask("DELETE", host, ""); code != http.StatusMisdirectedRequest {
			t.Errorf("as %q: %d", host, code)
		}
	}
	if code := ask("POST", "localhost", "http://evil.example"); code != http.StatusForbidden {
		t.Errorf("a page of another origin: %d", code)
	}
}

func TestMoreProjectsHaveTheSameJobs(t *testing.T) {
	api, _ := simulator(t, "--jobs", "2", "--more-projects", "3")
	for _, project := range []string{defaultProject, strings.Repeat("0", 31) + "1", strings.Repeat("0", 31) + "3"} {
		if page := get(t, api+"/v1/"+project+"/visualization-jobs"); strings.Count(page, `"job_id"`) != 2 {
			t.Errorf("project %s lists %s", project, page)
		}
	}
	if page := get(t, api+"/v1/"+strings.Repeat("0", 31)+"4/visualization-jobs"); strings.Contains(page, `"job_id"`) {
		t.Errorf("a fourth one lists %s", page)
	}
}

func TestFaultShareMeetsAShareOfTheCalls(t *testing.T) {
	const calls = 200
	api, control := simulator(t, "--fault-share", "0.5")
	client := http.Client{Timeout: 100 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	for range calls {
		res, err := client.Get(api + "/v1/" + defaultProject + "/visualization-jobs/1000")
		if err == nil {
			res.Body.Close()
		}
	}
	faulted := strings.Count(get(t, control+"/calls"), `"Faulted":true`)
	if faulted < calls/3 || faulted > 2*calls/3 {
		t.Errorf("%d of %d calls met a fault, want about half", faulted, calls)
	}
}

// What can't be meant is refused before anything is served.
func TestWhatCannotBeMeantIsRefused(t *testing.T) {
	for want, args := range map[string][]string{
		`takes no argument "jobs"`:         {"--listen", "127.0.0.1:0", "jobs", "100"},
		`project id "../x" is not valid: `: {"--listen", "127.0.0.1:0", "--project", defaultProject + ",../x"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // one that serves would go on for ever
		if err := run(ctx, args, func(string) string { return "" }, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("simulator %q: %v, want %s", args, err, want)
		}
		cancel()
	}
}

func TestControlStaysOnThisMachine(t *testing.T) {
	for _, addr := range []string{":9471", "0.0.0.0:9471", "192.0.2.1:9471", "example.com:9471", "9471"} {
		err := run(t.Context(), []string{"--control", addr}, func(string) string { return "" }, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "--control: ") {
			t.Errorf("--control %s: %v", addr, err)
		}
	}
}
