package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// prometheusServer is a real Prometheus.
type prometheusServer struct {
	*process
	url string
}

// startPrometheus starts a Prometheus with files in its folder, of which
// prometheus.yml is the configuration, and returns when it is ready.
func startPrometheus(t *testing.T, files map[string]string) *prometheusServer {
	t.Helper()
	path, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatal("prometheus is not installed: run `make deps`")
	}
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := &prometheusServer{process: start(t, exec.Command(path, "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0"), nil, "")}
	listening := regexp.MustCompile(`msg="Listening on" address=(\S+)`)
	await(t, "Prometheus' start", func() bool {
		select {
		case <-p.done:
			t.Fatalf("Prometheus has ended: %v", p.cmd.ProcessState)
		default:
		}
		log := p.stderr.String()
		if m := listening.FindStringSubmatch(log); m != nil {
			p.url = "http://" + m[1]
		}
		return p.url != "" && strings.Contains(log, "Server is ready to receive web requests")
	})
	return p
}

// ask asks Prometheus' API. Its error texts come back as the second result.
func ask[T any](p *prometheusServer, path string, params url.Values) (data T, problem string) {
	p.t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(p.url + path + "?" + params.Encode())
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusServiceUnavailable {
		return data, "Prometheus is not ready yet"
	}
	var answer struct {
		Data  json.RawMessage
		Error string
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		p.t.Fatalf("%s %v: %v", path, params, err)
	}
	if answer.Error != "" {
		return data, answer.Error
	}
	if err := json.Unmarshal(answer.Data, &data); err != nil {
		p.t.Fatalf("%s %v: %v", path, params, err)
	}
	return data, ""
}

// labelSet is what a series is called.
type labelSet map[string]string

// series lists what matches a selector.
func (p *prometheusServer) series(selector string) []labelSet {
	p.t.Helper()
	found, problem := ask[[]labelSet](p, "/api/v1/series", url.Values{"match[]": {selector}})
	if problem != "" {
		p.t.Errorf("%s: %s", selector, problem)
	}
	return found
}

// values are the numbers that a query gives now; NaN is none.
func (p *prometheusServer) values(query string) (values []string, problem string) {
	p.t.Helper()
	answer, problem := ask[struct {
		Result []struct{ Value [2]any }
	}](p, "/api/v1/query", url.Values{"query": {query}})
	for _, r := range answer.Result {
		if v, _ := r.Value[1].(string); v != "NaN" {
			values = append(values, v)
		}
	}
	return values, problem
}

// prometheusRule is a rule as Prometheus has loaded it.
type prometheusRule struct{ Type, Name, Query string }

func (p *prometheusServer) rules() (all []prometheusRule) {
	p.t.Helper()
	answer, problem := ask[struct {
		Groups []struct{ Rules []prometheusRule }
	}](p, "/api/v1/rules", nil)
	if problem != "" {
		p.t.Fatal(problem)
	}
	for _, g := range answer.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// firing lists the alerts that fire, with their labels.
func (p *prometheusServer) firing() (all []labelSet) {
	p.t.Helper()
	answer, problem := ask[struct {
		Alerts []struct {
			Labels labelSet
			State  string
		}
	}](p, "/api/v1/alerts", nil)
	if problem != "" {
		p.t.Fatal(problem)
	}
	for _, a := range answer.Alerts {
		if a.State == "firing" {
			all = append(all, a.Labels)
		}
	}
	return all
}
