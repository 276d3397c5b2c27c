// Command simulator serves a simulated ModelArts API with running jobs, for
// trying vizstop out and for benchmarks. It knows no credentials unless given
// an access key.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v3"
	"golang.org/x/sync/errgroup"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/settings"
	"vizstop/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills at once
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "simulator:", err)
		os.Exit(1)
	}
}

const defaultProject = "0123456789abcdef0123456789abcdef"

// late is how late the answers of --fault-share come that are late.
const late = 15 * time.Second

// config is the simulator's settings.
type config struct {
	settings.Set
	listen    string
	control   string
	projects  []string
	more      int
	regions   []string
	api       string
	v2        modelartstest.V2Options
	auth      string
	jobs      int
	v2Jobs    int
	trainings int
	age       time.Duration
	latency   time.Duration
	around    float64
	stopTime  time.Duration
	spread    float64
	rate      float64
	faults    float64
	accessKey string
	secretKey string
}

func (c *config) declare() {
	c.String(&c.listen, "listen", "", "127.0.0.1:9470", "address of the API", nil)
	c.String(&c.control, "control", "", "", "loopback address of a second listener that tells calls and jobs and takes faults; none: no such listener", onLoopback)
	c.Strings(&c.projects, "project", "HW_PROJECT_ID", "project of the jobs; repeatable, or several by comma (default: "+defaultProject+")",
		func(id string) error { return jobs.ValidateID("project", id) })
	c.Int(&c.more, "more-projects", "", 0,
		"so many projects besides, each with the same jobs; their ids are the numbers from 1 on, in 32 hex digits", 0, 100000)
	c.Strings(&c.regions, "region", "", "region that the API is served for, below a path such as /cn-north-4; repeatable, or several by comma; none: one API without such a path",
		func(name string) error { return jobs.ValidateID("region", name) })
	c.OneOf(&c.api, "api", "", "both", "generation of the API that is offered: v1, v2 or both", "v1", "v2", "both")
	c.OneOf(&c.v2.Offset, "v2-offset", "", modelartstest.OffsetPage, "how v2 reads the offset of a list: page (pages to skip) or start (jobs to skip)",
		modelartstest.OffsetPage, modelartstest.OffsetStart)
	c.OneOf(&c.v2.Filters, "v2-filters", "", modelartstest.FiltersHonored, "what v2 does about the filters of a list: honored, ignored, or the code of a refusal, 2807 to 2809",
		modelartstest.FiltersHonored, modelartstest.FiltersIgnored, modelartstest.FiltersBadKey, modelartstest.FiltersBadOperator, modelartstest.FiltersBadValue)
	c.OneOf(&c.v2.Kinds, "v2-kinds", "", modelartstest.KindsShown, "how v2 tells the kind of a job: shown, absent or annotated (an annotation in place of it)",
		modelartstest.KindsShown, modelartstest.KindsAbsent, modelartstest.KindsAnnotated)
	c.String(&c.auth, "auth", "", "", "file of the access keys, users and agencies, and of where each may be used, in JSON; none: only HW_ACCESS_KEY", nil)
	c.Int(&c.jobs, "jobs", "", 50, "running jobs of each project to begin with, of v2 if only that is offered; their ids begin at 1000, or at the UUID made of it", 0, 1000000)
	c.Int(&c.v2Jobs, "v2-jobs", "", 0, "running visualization jobs of v2 besides, in each project", 0, 1000000)
	c.Int(&c.trainings, "trainings", "", 0, "running jobs of v2 besides that are none for visualization, in each project: they must not be stopped", 0, 1000000)
	c.Duration(&c.age, "age", "", 12*time.Hour, "age of the oldest job; the others are spread evenly up to now", 0, 365*24*time.Hour)
	c.Duration(&c.latency, "latency", "", 20*time.Millisecond, "median time that a call takes", 0, time.Minute)
	c.Float(&c.around, "latency-spread", "", 0, "standard deviation of the logarithm of that time; 0: all the same", 0, 3)
	c.Duration(&c.stopTime, "stop-time", "", 5*time.Second, "median time that a stop takes", 0, time.Hour)
	c.Float(&c.spread, "stop-spread", "", 0.5, "standard deviation of the logarithm of that time; 0: all the same", 0, 3)
	c.Float(&c.rate, "rate", "", 0, "calls per second and project before the API answers 429; 0: no limit", 0, 100000)
	c.Float(&c.faults, "fault-share", "", 0, "share of calls that go wrong: HTTP 500, 502 or 503, is_success false, "+
		"a reset before or after the effect, a cut answer, or one that comes "+late.String()+" late, all equally likely", 0, 1)
	c.Check(func() error {
		if c.api == "v1" && c.v2Jobs+c.trainings > 0 {
			return errors.New("--v2-jobs and --trainings need v2, which --api v1 does not offer")
		}
		return nil
	})
	c.Variable(&c.accessKey, "HW_ACCESS_KEY")
	c.Secret(&c.secretKey, "HW_SECRET_KEY")
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) error {
	var c config
	c.declare()
	app := &cli.Command{
		Name:           "simulator",
		Usage:          "serve a simulated ModelArts API, for trying vizstop out",
		Description:    "With HW_ACCESS_KEY and HW_SECRET_KEY set, or --auth, requests must be signed or have a token.\n\n" + c.Variables(),
		Version:        version.String(),
		Writer:         stdout,
		Flags:          c.Flags(),
		ExitErrHandler: func(context.Context, *cli.Command, error) {}, // main decides
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if err := errors.Join(settings.NoArguments(cmd), c.Load(cmd, getenv)); err != nil {
				return err
			}
			if len(c.projects) == 0 {
				c.projects = []string{defaultProject}
			}
			for i := range c.more {
				c.projects = append(c.projects, modelartstest.NumberedProject(i+1))
			}
			return c.serve(ctx, stdout)
		},
	}
	return app.Run(ctx, append([]string{"simulator"}, args...))
}

// onLoopback refuses an address that other machines reach.
func onLoopback(addr string) error {
	if addr == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not an address such as 127.0.0.1:9471", addr)
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return fmt.Errorf("%q is not a loopback address: whoever reaches it may change what the API does", host)
	}
	return nil
}

// serve serves until ctx ends. The first line that it prints is the URL of the
// API, the second, with --control, that of the control pages.
func (c *config) serve(ctx context.Context, stdout io.Writer) error {
	cfg, err := c.simulation()
	if err != nil {
		return err
	}
	sim := modelartstest.New(cfg)
	c.populate(sim, time.Now())
	if c.faults > 0 {
		for _, f := range modelartstest.MixedFaults(c.faults, late, 1) {
			sim.Inject(f)
		}
	}
	pages := []struct {
		flag, addr string
		handler    http.Handler
	}{{"--listen", c.listen, sim}, {"--control", c.control, localOnly(sim.Control())}}
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range pages {
		if p.addr == "" {
			continue
		}
		l, err := net.Listen("tcp", p.addr)
		if err != nil {
			return fmt.Errorf("%s: %w", p.flag, err)
		}
		defer l.Close()
		fmt.Fprintf(stdout, "http://%s\n", l.Addr())
		group.Go(func() error { return serveUntil(ctx, l, p.handler) })
	}
	return group.Wait()
}

// localOnly keeps web pages out that a browser on this machine has open: those that come by another name for this
// machine's address, and those of other origins that write.
func localOnly(h http.Handler) http.Handler {
	sameOrigin := http.NewCrossOriginProtection().Handler(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if !strings.EqualFold(host, "localhost") && (err != nil || !ip.IsLoopback()) {
			http.Error(w, fmt.Sprintf("host %.80q is not this machine: use 127.0.0.1, [::1] or localhost", host), http.StatusMisdirectedRequest)
			return
		}
		sameOrigin.ServeHTTP(w, r)
	})
}

// serveUntil serves until ctx ends.
func serveUntil(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// simulation is the simulator's configuration. The error is about the file of --auth.
func (c *config) simulation() (modelartstest.Config, error) {
	cfg := modelartstest.Config{
		Regions:     c.regions,
		V2:          c.v2,
		Latency:     modelartstest.Lognormal(c.latency, c.around, 1),
		CallsPerJob: -1,
	}
	if c.control != "" {
		cfg.CallsPerJob = 0 // somebody may ask for them
	}
	if c.rate > 0 {
		cfg.RateLimit = modelartstest.RateLimit{PerSecond: c.rate, Burst: max(1, int(c.rate/5))}
	}
	if c.api != "both" {
		cfg.Only = modelartstest.Generation(c.api)
	}
	if c.auth != "" {
		var err error
		if cfg.Auth, err = readAuth(c.auth); err != nil {
			return cfg, fmt.Errorf("--auth: %w", err)
		}
	}
	if c.accessKey != "" {
		if cfg.Auth.AccessKeys == nil {
			cfg.Auth.AccessKeys = map[string]string{}
		}
		cfg.Auth.AccessKeys[c.accessKey] = c.secretKey
	}
	return cfg, nil
}

func readAuth(path string) (auth modelartstest.Auth, err error) {
	f, err := os.Open(path)
	if err != nil {
		return auth, err
	}
	defer f.Close()
	dec := json.NewDecoder(f)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&auth); err != nil {
		return auth, fmt.Errorf("%s: %w", path, err)
	}
	return auth, nil
}
