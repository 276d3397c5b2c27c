package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/crypto/bcrypt"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/redistest"
)

// No secret is ever written: not while all goes well, not in trouble of any
// sort, and not when the API repeats in its errors what it was sent.
func TestSecretsAreNeverWritten(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"key", "token", "password"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			newSecretRun(t, way).play()
		})
	}
}

// secretRun is a full run with one way of authentication.
type secretRun struct {
	*vault
	generation
	t      *testing.T
	sim    *modelartstest.Server
	api    *httptest.Server // in front of sim
	gossip atomic.Bool      // api answers with what it was sent
	redis  *redistest.Server
	rdb    *redis.Client
	hook   *httptest.Server
	posted atomic.Int32
	env    []string
	web    string // file
}

const webUser = "prometheus"

func newSecretRun(t *testing.T, way string) *secretRun {
	r := &secretRun{vault: newVault(), t: t, generation: generation(either(map[bool]modelartstest.Generation{true: modelartstest.V2, false: modelartstest.V1}[way == "token"]))}
	var auth modelartstest.Auth
	var env []string
	switch way {
	case "key":
		access, secret, security := "HUSHACCESSKEY", r.secret("secret key"), r.secret("security token")
		auth = modelartstest.Auth{AccessKeys: map[string]string{access: secret}, SecurityTokens: map[string]string{access: security}}
		env = []string{"HW_ACCESS_KEY=" + r.add("access key", access), "HW_SECRET_KEY=" + secret, "HW_SECURITY_TOKEN=" + security}
	case "token":
		token := r.secret("ready token")
		auth, env = modelartstest.Auth{Tokens: []string{token}}, []string{"HW_AUTH_TOKEN=" + token}
	case "password":
		user := modelartstest.User{Name: "a-user", Password: r.secret("IAM password"), Domain: "a-domain"} // the names are no secrets
		auth = modelartstest.Auth{Users: []modelartstest.User{user}}
		env = []string{"HW_USER_NAME=" + user.Name, "HW_USER_PASSWORD=" + user.Password,
			"HW_DOMAIN_NAME=" + user.Domain}
	}
	sim, err := modelartstest.Start(modelartstest.Config{Auth: auth, Only: modelartstest.Generation(r.generation), Phases: modelartstest.Phases{Stop: modelartstest.Fixed(100 * time.Millisecond)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	r.sim = sim
	r.startAPI()
	redisPassword, notifySecret := r.secret("Redis password"), r.secret("notify secret")
	r.redis = redistest.Start(t, "--requirepass", redisPassword)
	r.rdb = redis.NewClient(&redis.Options{Addr: r.redis.Addr, Password: redisPassword})
	t.Cleanup(func() { r.rdb.Close() })
	r.hook = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.collect("the body that --notify posted", string(body)+req.URL.String())
		r.posted.Add(1)
	}))
	t.Cleanup(r.hook.Close)
	hash, err := bcrypt.GenerateFromPassword([]byte(r.secret("web password")), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	r.web = filepath.Join(t.TempDir(), "web.yml")
	if err := os.WriteFile(r.web, []byte("basic_auth_users:\n  "+webUser+": "+string(hash)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.env = append(env, r.variable(), "MODELARTS_ENDPOINT="+r.api.URL, "HW_AUTH_URL="+r.api.URL, "HW_PROJECT_ID="+project,
		"VIZSTOP_REDIS="+r.redis.AdminURL(), "VIZSTOP_REDIS_PASSWORD="+redisPassword,
		"VIZSTOP_NOTIFY_SECRET="+notifySecret, "VIZSTOP_NOTIFY_HOSTS=127.0.0.1", "VIZSTOP_WEB_CONFIG_FILE="+r.web)
	return r
}

// startAPI stands in front of the simulator: it notes the tokens that IAM gives
// out, and gossips on demand.
func (r *secretRun) startAPI() {
	target, err := url.Parse(r.sim.URL)
	if err != nil {
		r.t.Fatal(err)
	}
	honest := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.Out.URL.Scheme, p.Out.URL.Host = target.Scheme, target.Host // the Host header stays: it is signed
		p.Out.Host = p.In.Host
	}}
	honest.ModifyResponse = func(res *http.Response) error {
		if token := res.Header.Get("X-Subject-Token"); token != "" {
			r.add("token from IAM "+strconv.Itoa(len(token)), token)
		}
		return nil
	}
	r.api = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !r.gossip.Load() {
			honest.ServeHTTP(w, req)
			return
		}
		body, _ := io.ReadAll(req.Body)
		text, _ := json.Marshal(fmt.Sprintf("refused: %s %s %s %s", req.Header.Get("X-Auth-Token"), req.Header.Get("X-Security-Token"),
			req.Header.Get("Authorization"), body))
		w.Header().Set("X-Request-Id", req.Header.Get("X-Auth-Token")+req.Header.Get("X-Security-Token"))
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error_code":"APIGW.0301","error_msg":%s}`, text)
	}))
	r.t.Cleanup(r.api.Close)
}

func (r *secretRun) play() {
	for n := range 6 {
		r.sim.AddJob(project, modelartstest.Job{ID: r.id(n + 1)})
	}
	r.sim.Inject(modelartstest.Fault{Operation: jobs.OperationStop, JobID: r.id(3), Reply: modelartstest.ReplyError(400, "ModelArts.0104", "no")})
	w := startWorker(r.t, r.env, "--log-level", "debug")
	r.pages(w)

	// What goes well, and what the API refuses.
	r.enqueue(2, "stop", "--batch", "b1", "--json", "--wait", "--notify", r.hook.URL+"/hook", r.id(1), r.id(2), r.id(3), r.id(404))
	for _, args := range [][]string{{"status", "b1"}, {"status", "b1", "--json"}, {"stops", "b1", "--csv"}, {"stops", "b1", "--json"},
		{"stops", "b1"}, {"batches", "--json"}, {"show", r.id(1)}, {"--all", "--dry-run"}} {
		r.enqueue(0, args...)
	}
	r.enqueue(r.undoCode(), "undo", "b1", "--json")
	await(r.t, "the notification", func() bool { return r.posted.Load() > 0 })

	// The API refuses us, and repeats all that it was sent.
	r.gossip.Store(true)
	r.sim.RevokeTokens()
	r.enqueue(0, "stop", "--batch", "b2", r.id(4), r.id(6)) // one refusal holds nothing but its stop
	await(r.t, "the hold", func() bool { status, _ := r.page(w, "/readyz", true); return status == http.StatusServiceUnavailable })
	r.pages(w)
	r.dumpRedis("Redis while calls are held")
	r.enqueue(1, "--all", "--dry-run")
	r.enqueue(1, "undo", "b1", "--yes")
	r.enqueue(0, "stops", "b2", "--json")
	r.enqueue(0, "stop", "--batch", "b3", "--in", "1h", r.id(5)) // one whose call can't be on its way
	r.enqueue(0, "cancel", "b3")

	r.troubles()
	r.dumpRedis("Redis at the end")
	r.collect("the log of Redis", r.redis.Log())
	w.signal(syscall.SIGQUIT) // a crash tells all goroutines and their arguments
	w.wait()
	r.ended(w.process)
	if !strings.Contains(w.stderr.String(), "goroutine ") {
		r.t.Error("the crash told nothing")
	}

	if len(r.written) < 12 {
		r.t.Errorf("only %d places were looked at", len(r.written))
	}
	for _, leak := range r.leaks() {
		r.t.Error(leak)
	}
}

// troubles starts programs with what is wrong around them.
func (r *secretRun) troubles() {
	wrong := r.secret("wrong Redis password")
	inURL := "redis://:" + url.QueryEscape(wrong) + "@" + r.redis.Addr + "/0"
	bad := filepath.Join(r.t.TempDir(), "bad.yml")
	if err := os.WriteFile(bad, []byte("basic_auth_users: "+strconv.Quote(r.secret("misplaced web password"))+"\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
	for _, more := range [][]string{
		{"VIZSTOP_REDIS_PASSWORD=" + wrong}, {"VIZSTOP_REDIS=" + inURL, "VIZSTOP_REDIS_PASSWORD="}, {"VIZSTOP_REDIS=" + inURL + "x?y"},
		{"VIZSTOP_REDIS=" + strings.Replace(inURL, "redis:", "rediss:", 1)}, {"VIZSTOP_REDIS=http://" + wrong},
		{"VIZSTOP_WEB_CONFIG_FILE=" + bad}, {"MODELARTS_ENDPOINT=https://u:" + url.QueryEscape(wrong) + "@127.0.0.1"},
		{"HW_AUTH_TOKEN=" + r.secret("one way too many"), "HW_ACCESS_KEY=x"}, {"HW_USER_PASSWORD=" + wrong, "HW_SECRET_KEY=" + wrong},
	} {
		p := launch(r.t, append(r.env[:len(r.env):len(r.env)], more...), "", "worker", "--listen", "127.0.0.1:0")
		p.wantExit(1)
		r.ended(p)
	}
	for _, name := range []string{"worker", "enqueue"} {
		p := launch(r.t, r.env, "", name, "--help")
		p.wantExit(0)
		r.ended(p)
	}
	p := launch(r.t, append(r.env[:len(r.env):len(r.env)], "VIZSTOP_REDIS="+inURL, "VIZSTOP_REDIS_PASSWORD="), "", "enqueue", "status", "b1")
	p.wantExit(1)
	r.ended(p)
}

// enqueue runs enqueue, which must end with code.
func (r *secretRun) enqueue(code int, args ...string) {
	r.t.Helper()
	p := launch(r.t, r.env, "", "enqueue", args...)
	p.wantExit(code)
	r.ended(p)
}

func (r *secretRun) ended(p *process) {
	name := filepath.Base(p.cmd.Path) + " " + strings.Join(p.cmd.Args[1:], " ")
	r.collect("stdout of "+name, p.stdout.String())
	r.collect("stderr of "+name, p.stderr.String())
	r.collect("the command line of "+name, name)
}

// pages collects every page of a worker, with and without the password, and
// its command line.
func (r *secretRun) pages(w *workerProcess) {
	for _, path := range []string{"/", "/metrics", "/healthz", "/readyz"} {
		for _, known := range []bool{true, false} {
			status, body := r.page(w, path, known)
			if (status == http.StatusUnauthorized) == known {
				r.t.Errorf("%s: %d", path, status)
			}
			r.collect("page "+path, body)
		}
	}
	if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", w.cmd.Process.Pid)); err == nil { // Linux only
		r.collect("/proc/PID/cmdline", string(line))
	}
}

func (r *secretRun) page(w *workerProcess, path string, known bool) (int, string) {
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, w.url+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if known {
		req.SetBasicAuth(webUser, r.secret("web password"))
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, fmt.Sprint(res.Header) + string(body)
}

// dumpRedis collects every key and value.
func (r *secretRun) dumpRedis(where string) {
	ctx := context.Background()
	keys, err := r.rdb.Keys(ctx, "*").Result()
	if err != nil || len(keys) < 5 {
		r.t.Fatalf("%d keys in Redis, %v", len(keys), err)
	}
	for _, key := range keys {
		var value any
		switch kind := r.rdb.Type(ctx, key).Val(); kind {
		case "string":
			value, err = r.rdb.Get(ctx, key).Result()
		case "hash":
			value, err = r.rdb.HGetAll(ctx, key).Result()
		case "list":
			value, err = r.rdb.LRange(ctx, key, 0, -1).Result()
		case "set":
			value, err = r.rdb.SMembers(ctx, key).Result()
		case "zset":
			value, err = r.rdb.ZRange(ctx, key, 0, -1).Result()
		case "none": // gone meanwhile
		default:
			r.t.Errorf("key %s is a %s, which is not looked at", key, kind)
		}
		if err != nil && err != redis.Nil {
			r.t.Fatal(err)
		}
		r.collect(where, fmt.Sprintf("%s: %v", key, value))
	}
}
