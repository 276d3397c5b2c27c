package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestControlIsAListenerOfItsOwn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--jobs", "3", "--latency", "0s"},
			func(string) string { return "" }, w)
	}()
	out := bufio.NewScanner(r)
	var urls []string
	for len(urls) < 2 && out.Scan() {
		urls = append(urls, out.Text())
	}
	if len(urls) < 2 {
		t.Fatalf("printed %q, want two URLs", urls)
	}
	get := func(url string) string {
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
	const project = "0123456789abcdef0123456789abcdef"
	if page := get(urls[0] + "/v1/" + project + "/visualization-jobs"); strings.Count(page, `"job_id"`) != 3 {
		t.Errorf("the API lists %s", page)
	}
	if page := get(urls[1] + "/calls"); !strings.Contains(page, `"Operation":"list"`) {
		t.Errorf("the control pages tell the calls %q", page)
	}
	if page := get(urls[0] + "/calls"); strings.Contains(page, `"Operation"`) {
		t.Errorf("the API tells its calls: %s", page)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
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
