package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/principals"
)

// operator is a person and a program at a console.
type operator struct {
	*testing.T
	url, token string
	client     *http.Client
}

// newOperator starts a console with actions, and puts an operator at it.
func newOperator(t *testing.T, env []string, args ...string) (*operator, *consoleProcess) {
	t.Helper()
	token, hash := principals.NewToken()
	file := filepath.Join(t.TempDir(), "principals.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "principals:\n- {name: operator, role: operate, token_hash: %q}\n", hash), 0o600); err != nil {
		t.Fatal(err)
	}
	c := startConsole(t, env, append([]string{"--listen", "127.0.0.1:0", "--principals", file, "--actions"}, args...)...)
	return &operator{t, "http://" + c.addr, token, &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, c
}

// do sends a request and wants a status.
func (o *operator) do(want int, method, path, contentType, body string) string {
	o.Helper()
	req, err := http.NewRequestWithContext(o.Context(), method, o.url+path, strings.NewReader(body))
	if err != nil {
		o.Fatal(err)
	}
	req.SetBasicAuth("", o.token)
	if body != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if method == http.MethodPost && path == "/v1/batches" {
		req.Header.Set("Idempotency-Key", fmt.Sprint(len(body)))
	}
	res, err := o.client.Do(req)
	if err != nil {
		o.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != want {
		o.Errorf("%s %s: %d %v, want %d\n%.600s", method, path, res.StatusCode, err, want, text)
	}
	return string(text)
}

// doAny sends a request, and takes any answer or none.
func (o *operator) doAny(method, path string) {
	req, err := http.NewRequest(method, o.url+path, nil)
	if err != nil {
		o.Error(err)
		return
	}
	req.SetBasicAuth("", o.token)
	if res, err := o.client.Do(req); err == nil {
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
}

// order carries an action out over the API: as it comes out now.
func (o *operator) order(method, path, body string) {
	o.Helper()
	fields := map[string]any{}
	if err := json.Unmarshal([]byte(body), &fields); err != nil {
		o.Fatal(err)
	}
	send := func() string {
		text, err := json.Marshal(fields)
		if err != nil {
			o.Fatal(err)
		}
		return o.do(http.StatusOK, method, path, "application/json", string(text))
	}
	fields["validate_only"] = true
	var plan struct{ Expect string }
	if err := json.Unmarshal([]byte(send()), &plan); err != nil || plan.Expect == "" {
		o.Errorf("%s %s: no plan: %v", method, path, err)
	}
	delete(fields, "validate_only")
	fields["expect"], fields["reason"] = plan.Expect, "test"
	send()
}

var expectPattern = regexp.MustCompile(`name="expect" value="([^"]*)"`)

// act carries an action out as a person does: by the page that confirms it.
func (o *operator) act(action string, fields url.Values) {
	o.Helper()
	page := o.do(http.StatusOK, "GET", "/act/"+action+"?"+fields.Encode(), "", "")
	m := expectPattern.FindStringSubmatch(page)
	if m == nil {
		o.Errorf("the page that confirms %s has nothing to confirm: %.300s", action, page)
		return
	}
	fields.Set("expect", m[1])
	fields.Set("reason", "test")
	o.do(http.StatusSeeOther, "POST", "/act/"+action, "application/x-www-form-urlencoded", fields.Encode())
}

// useConsole does at a console all that can be done there: looks at every page, asks in every way, orders every
// action. A batch has ended, and some of its stops failed.
func useConsole(t *testing.T, w *world, env []string, ended string) {
	t.Helper()
	o, c := newOperator(t, env)
	var ids []string
	for i := range 4 {
		ids = append(ids, w.id(2000+i))
		w.sim.AddJob(project, modelartstest.Job{ID: ids[i], StopTime: time.Hour})
	}
	asks := func(id string) string {
		return fmt.Sprintf(`{"project_id": %q, "jobs": [%q], "in": "1h"}`, project, id)
	}
	o.do(http.StatusAccepted, "PUT", "/v1/batches/put", "application/json", asks(ids[0]))
	o.do(http.StatusAccepted, "PUT", "/v1/batches/put", "application/json", asks(ids[0]))
	o.do(http.StatusAccepted, "POST", "/v1/batches", "application/json", asks(ids[1]))
	o.do(http.StatusAccepted, "POST", "/v1/batches", "application/json", asks(ids[1]))
	o.do(http.StatusAccepted, "PUT", "/v1/batches/list?in=1h&notify=http%3A%2F%2F127.0.0.1%3A9%2F&label=a%3Db&reason=test&project_id="+project, "text/csv", "job_id\n"+ids[2]+"\n")
	o.do(http.StatusAccepted, "PUT", "/v1/batches/rule", "application/json", fmt.Sprintf(`{"project_id": %q, "rule": {"all": true}, "in": "1h"}`, project))

	for _, path := range []string{"/", "/batches", "/batches/" + ended, "/batches/put", "/jobs/" + project + "/" + ids[0], "/schedules", "/limits", "/actions",
		"/v1/batches", "/v1/batches/" + ended, "/v1/batches/" + ended + "/stops", "/v1/projects/" + project + "/jobs/" + ids[0],
		"/v1/schedules", "/v1/actions", "/v1/holds", "/openapi.yaml", "/readyz", "/metrics"} {
		o.do(http.StatusOK, "GET", path, "", "")
	}

	o.order("PUT", "/v1/pauses/-", `{}`)
	o.order("PUT", "/v1/pauses/"+project, `{}`)
	o.do(http.StatusOK, "GET", "/", "", "")
	o.order("DELETE", "/v1/pauses/"+project, `{}`)
	o.act("resume", url.Values{})
	o.order("POST", "/v1/projects/"+project+"/allow", `{"count": 5}`)
	o.order("POST", "/v1/batches/put/allow", `{}`)
	o.order("POST", "/v1/batches/"+ended+"/retry", `{}`)
	o.act("cancel", url.Values{"batch": {"put"}})
	o.order("POST", "/v1/schedules/evening/suspend", fmt.Sprintf(`{"until": %q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))
	o.order("POST", "/v1/schedules/evening/resume", `{}`)
	o.do(http.StatusUnprocessableEntity, "POST", "/v1/schedules/evening/run", "application/json", `{"shadow": true, "validate_only": true}`) // no worker runs to do it
	o.do(map[generation]int{v1: http.StatusOK, v2: http.StatusUnprocessableEntity}[w.generation], "POST", "/v1/batches/"+ended+"/undo", "application/json", `{"validate_only": true}`)
	c.signal(syscall.SIGTERM)
	c.wantExit(0)
}
