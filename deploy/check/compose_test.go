package check

import (
	"os"
	"os/exec"
	"path/filepath"
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
	for service, program := range map[string]string{"worker": "worker", "enqueue": "enqueue", "simulator": "simulator"} {
		s := dig(compose(t), "services", service)
		u := use{where: "compose " + service, program: program, args: texts(list(s, "command")), env: map[string]string{}}
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
	target := list(list(config, "scrape_configs")[0], "dns_sd_configs")[0]
	listen := known(t, "worker", "run").flags["--listen"]
	if _, ok := dig(compose(t), "services").(map[string]any)[texts(list(target, "names"))[0]]; !ok ||
		!strings.HasSuffix(listen, ":"+jsonNumber(target, "port")) {
		t.Errorf("Prometheus looks for workers at %v; they listen on %s", target, listen)
	}
}

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
