package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func compose(t *testing.T) any {
	t.Helper()
	return readYAML(t, filepath.Join(repository, "deploy/compose/compose.yaml"))
}

// The schema is that of the compose specification, which is strict by itself.
func TestComposeSchema(t *testing.T) {
	t.Parallel()
	schema := compile(t, readYAML(t, composeSchemas.file(t, "schema/compose-spec.json")), "")
	if faults := invalid(schema, compose(t)); faults != "" {
		t.Error(faults)
	}
	misspelt := compose(t)
	worker := dig(misspelt, "services", "worker").(map[string]any)
	worker["stop_graceperiod"] = "30s"
	if invalid(schema, misspelt) == "" {
		t.Error("a misspelt field passes")
	}
}

// The services of our images start the programs as they like it.
func TestComposeStartsTheProgramsRight(t *testing.T) {
	t.Parallel()
	for service, program := range map[string]string{"worker": "worker", "console": "console", "enqueue": "enqueue", "simulator": "simulator"} {
		s := dig(compose(t), "services", service)
		u := use{where: "compose " + service, program: program, args: texts(list(s, "command")), env: map[string]string{}}
		if e := texts(list(s, "entrypoint")); e != nil && (len(e) != 1 || e[0] != "/"+program) {
			t.Errorf("%s starts %q", service, e)
		}
		if program == "enqueue" {
			u.args = []string{"--older-than", "8h", "--yes"} // as the file's head says
		}
		for name, value := range dig(s, "environment").(map[string]any) {
			u.env[name] = value.(string)
		}
		u.check(t)
		if target := text(s, "build", "target"); target != "" {
			if all, err := dockerfile(); err != nil || of(all, target, "FROM") == "" {
				t.Errorf("%s: the Dockerfile has no stage %s", service, target)
			}
		}
	}
}

func TestComposeWorker(t *testing.T) {
	t.Parallel()
	s := dig(compose(t), "services", "worker")
	checkHealth(t, "compose", texts(list(s, "healthcheck", "test"))[1:])
	grace, err := time.ParseDuration(text(s, "stop_grace_period"))
	if limit := shutdownTimeout(t); err != nil || grace <= limit {
		t.Errorf("stop_grace_period %v, want more than %v", grace, limit)
	}
}

// Every service is hardened, shows its ports to this machine only, and mounts
// what is there.
func TestComposeIsClosed(t *testing.T) {
	t.Parallel()
	services := dig(compose(t), "services").(map[string]any)
	for name, s := range services {
		if dig(s, "read_only") != true || !slices.Equal(texts(list(s, "cap_drop")), []string{"ALL"}) {
			t.Errorf("%s is not hardened", name)
		}
		for _, port := range texts(list(s, "ports")) {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s shows %s to the network", name, port)
			}
		}
		for _, volume := range texts(list(s, "volumes")) {
			from, _, _ := strings.Cut(volume, ":")
			if !strings.HasPrefix(from, ".") {
				continue
			}
			path := filepath.Join(repository, "deploy/compose", from)
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s mounts %s: %v", name, from, err)
			}
		}
	}
	if redis := texts(list(services["redis"], "command")); !slices.Contains(redis, "--appendonly") || !slices.Contains(redis, "noeviction") {
		t.Errorf("Redis would forget: %q", redis)
	}
}

func TestComposePrometheus(t *testing.T) {
	t.Parallel()
	file := filepath.Join(repository, "deploy/compose/prometheus.yml")
	if out, err := exec.CommandContext(t.Context(), "promtool", "check", "config", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	config := readYAML(t, file)
	wantRules(t, texts(list(config, "rule_files")))
	listens := map[string]string{"worker": known(t, "worker", "run").flags["--listen"],
		"console": text(compose(t), "services", "console", "environment", "VIZSTOP_CONSOLE_METRICS_LISTEN")}
	var looked []string
	for _, target := range list(list(config, "scrape_configs")[0], "dns_sd_configs") {
		name := texts(list(target, "names"))[0]
		looked = append(looked, name)
		if listen, ok := listens[name]; !ok || !strings.HasSuffix(listen, ":"+jsonNumber(target, "port")) {
			t.Errorf("Prometheus looks for a %s at %v; it listens on %s", name, target, listen)
		}
	}
	if !slices.Equal(looked, []string{"worker", "console"}) {
		t.Errorf("Prometheus looks for %q", looked)
	}
}

// The token that opens the trial is in the file of principals; without it nobody comes in.
func TestComposeConsole(t *testing.T) {
	t.Parallel()
	file := filepath.Join(repository, "deploy/compose/principals.yaml")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	token := tokenPattern.FindString(string(content))
	address := consolePages(t, "--principals", file)
	for sent, want := range map[string]int{token: 200, "": 401, token[:len(token)-1] + "A": 401} {
		if status, body := getAs(t, address+"/metrics", sent); status != want {
			t.Errorf("%q: %d %.200s, want %d", sent, status, body, want)
		}
	}
	port := strings.TrimPrefix(text(compose(t), "services", "console", "environment", "VIZSTOP_CONSOLE_LISTEN"), ":")
	if ports := texts(list(compose(t), "services", "console", "ports")); !slices.Equal(ports, []string{"127.0.0.1:" + port + ":" + port}) {
		t.Errorf("the console listens on %s, and %q are shown", port, ports)
	}
}

var tokenPattern = regexp.MustCompile(`\bvst_[A-Z2-7]{26}\b`)

// wantRules wants the patterns to find the rules in deploy/prometheus, where
// compose mounts them, and not the tests of the rules.
func wantRules(t *testing.T, patterns []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(repository, "deploy/prometheus/vizstop.*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no rules: %v", err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		found := slices.ContainsFunc(patterns, func(p string) bool {
			ok, err := filepath.Match(p, "/etc/prometheus/rules/"+name)
			return ok && err == nil
		})
		if want := !strings.HasSuffix(name, "_test.yml"); found != want {
			t.Errorf("%q find %s: %t, want %t", patterns, name, found, want)
		}
	}
}
