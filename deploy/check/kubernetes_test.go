package check

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// kustomize builds a folder of deploy/kubernetes as "kubectl kustomize" does.
func kustomize(t *testing.T, folder string) []any {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).
		Run(filesys.MakeFsOnDisk(), filepath.Join(repository, "deploy/kubernetes", folder))
	if err != nil {
		t.Fatal(err)
	}
	var all []any
	for _, r := range built.Resources() {
		content, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, parseYAML(t, content))
	}
	return all
}

var builds = map[string][]string{
	"base": {"ServiceAccount", "ConfigMap", "ConfigMap", "Deployment", "PodDisruptionBudget", "NetworkPolicy"},
	"overlays/example": {"ServiceAccount", "ConfigMap", "ConfigMap", "Deployment", "PodDisruptionBudget", "NetworkPolicy",
		"PodMonitor", "PrometheusRule", "ScaledObject",
		"ConfigMap", "ConfigMap", "Deployment", "Service", "NetworkPolicy"}, // the console's
}

// programsIn are the containers of each folder.
var programsIn = map[string][]string{"base": {"worker"}, "overlays/example": {"console", "worker"}}

// Each folder builds, and no field of what it builds is unknown, misspelt, of
// the wrong type, or missing.
func TestKustomize(t *testing.T) {
	t.Parallel()
	for folder, want := range builds {
		var got []string
		for _, r := range kustomize(t, folder) {
			got = append(got, text(r, "kind"))
			validate(t, folder, r)
		}
		slices.Sort(got)
		if want = slices.Sorted(slices.Values(want)); !slices.Equal(got, want) {
			t.Errorf("%s builds %q, want %q", folder, got, want)
		}
	}
	validate(t, "template", secretTemplate(t, "base"))
	validate(t, "template", secretTemplate(t, "components/console"))
}

func validate(t *testing.T, where string, r any) {
	t.Helper()
	schema := resourceSchema(t, text(r, "apiVersion"), text(r, "kind"))
	if faults := invalid(schema, r); faults != "" {
		t.Errorf("%s: %s %s: %s", where, text(r, "kind"), text(r, "metadata", "name"), faults)
	}
}

// What a strict check has to find, it finds.
func TestMisspeltFieldsAreFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kind, from, to string }{
		{"Deployment", "livenessProbe", "livenesProbe"},
		{"Deployment", "readOnlyRootFilesystem", "readonlyRootFilesystem"},
		{"Deployment", "terminationGracePeriodSeconds: 40", "terminationGracePeriodSeconds: forty"},
		{"Deployment", "topologyKey", "topologykey"},
		{"Service", "targetPort", "targetport"},
		{"Deployment", "selector:", "selectors:"},
		{"NetworkPolicy", "podSelector", "podSelectors"},
		{"PodDisruptionBudget", "maxUnavailable", "maxUnavailables"},
		{"PodMonitor", "podMetricsEndpoints", "podMetricEndpoints"},
		{"PodMonitor", "interval: 15s", "interval: often"},
		{"ScaledObject", "maxReplicaCount", "maxReplicas"},
		{"ScaledObject", "metricType: AverageValue", "metricType: [AverageValue]"},
	} {
		built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).
			Run(filesys.MakeFsOnDisk(), filepath.Join(repository, "deploy/kubernetes/overlays/example"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, r := range built.Resources() {
			if r.GetKind() != c.kind {
				continue
			}
			content, err := r.AsYAML()
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.Replace(string(content), c.from, c.to, 1)
			if changed == string(content) { // another one of the kind has it
				continue
			}
			found = true
			if invalid(resourceSchema(t, r.GetApiVersion(), c.kind), parseYAML(t, []byte(changed))) == "" {
				t.Errorf("%s with %q passes", c.kind, c.to)
			}
		}
		if !found {
			t.Errorf("no %q in the %s", c.from, c.kind)
		}
	}
}

func secretTemplate(t *testing.T, folder string) any {
	t.Helper()
	return readYAML(t, filepath.Join(repository, "deploy/kubernetes", folder, "secret.template.yaml"))
}

// podTemplate is that of a Deployment, else nil.
func podTemplate(r any) any {
	return dig(r, "spec", "template")
}

// containers calls f for every container in the folder, with its pod's spec.
func containers(t *testing.T, folder string, f func(where string, all []any, pod, container any)) {
	t.Helper()
	all := kustomize(t, folder)
	var names []string
	for _, r := range all {
		for _, c := range list(podTemplate(r), "spec", "containers") {
			names = append(names, text(c, "name"))
			f(folder+": "+text(r, "kind")+" "+text(r, "metadata", "name"), all, dig(podTemplate(r), "spec"), c)
		}
	}
	if slices.Sort(names); !slices.Equal(names, programsIn[folder]) {
		t.Errorf("%s has the containers %q, want %q", folder, names, programsIn[folder])
	}
}

// useOf is how a container starts its program.
func useOf(t *testing.T, where string, all []any, container any) use {
	t.Helper()
	command := texts(list(container, "command"))
	if command == nil {
		command = entrypoint(t, "vizstop")
	}
	u := use{where: where, program: strings.TrimPrefix(command[0], "/"), args: append(command[1:], texts(list(container, "args"))...),
		env: map[string]string{}, shared: map[string]string{}}
	for _, e := range list(container, "env") {
		u.env[text(e, "name")] = "stand-in" // of what is only known in the cluster
		if dig(e, "value") != nil {
			u.env[text(e, "name")] = text(e, "value")
		}
	}
	for _, from := range list(container, "envFrom") {
		found := false
		for _, r := range all {
			if text(r, "kind") == "ConfigMap" && text(r, "metadata", "name") == text(from, "configMapRef", "name") {
				found = true
				for name := range dig(r, "data").(map[string]any) {
					u.shared[name] = text(r, "data", name)
				}
			}
		}
		if !found {
			t.Errorf("%s: no ConfigMap %v", where, from)
		}
	}
	return u
}

func TestContainersStartTheProgramsRight(t *testing.T) {
	t.Parallel()
	for folder := range builds {
		containers(t, folder, func(where string, all []any, pod, container any) {
			useOf(t, where, all, container).check(t)
		})
	}
}

// The schedules file that the worker is told of is in a ConfigMap that is mounted there,
// with the file of protected jobs that it names.
func TestSchedulesAreMounted(t *testing.T) {
	t.Parallel()
	for folder := range builds {
		containers(t, folder, func(where string, all []any, pod, container any) {
			if text(container, "name") != "worker" {
				return
			}
			path := useOf(t, where, all, container).shared["VIZSTOP_SCHEDULES"]
			for _, mount := range list(container, "volumeMounts") {
				if text(mount, "mountPath") != filepath.Dir(path) {
					continue
				}
				for _, volume := range list(pod, "volumes") {
					for _, r := range all {
						if text(volume, "name") == text(mount, "name") && text(r, "metadata", "name") == text(volume, "configMap", "name") &&
							strings.Contains(text(r, "data", filepath.Base(path)), "protect: protected.txt") && text(r, "data", "protected.txt") != "" {
							return
						}
					}
				}
			}
			t.Errorf("%s: %s is in no ConfigMap that is mounted there", where, path)
		})
	}
}

// Files of secrets are mounted, and the template has them.
func TestSecretFiles(t *testing.T) {
	t.Parallel()
	keys := dig(secretTemplate(t, "base"), "stringData").(map[string]any)
	variables := known(t, "worker", "run").variables
	for key := range keys {
		if !variables[key+"_FILE"] {
			t.Errorf("the template has %s, which is no secret of the worker", key)
		}
	}
	containers(t, "base", func(where string, all []any, pod, container any) {
		mounted := ""
		for _, v := range list(pod, "volumes") {
			for _, m := range list(container, "volumeMounts") {
				if text(v, "secret", "secretName") == text(secretTemplate(t, "base"), "metadata", "name") && text(m, "name") == text(v, "name") {
					mounted = text(m, "mountPath")
				}
			}
		}
		n := 0
		for name, path := range useOf(t, where, all, container).env {
			if !strings.HasSuffix(name, "_FILE") {
				continue
			}
			n++
			if _, ok := keys[filepath.Base(path)]; !ok || filepath.Dir(path) != mounted {
				t.Errorf("%s: %s is %s; the secret is mounted at %s and has %v", where, name, path, mounted, keys)
			}
		}
		if n != len(keys) {
			t.Errorf("%s uses %d of %d secrets", where, n, len(keys))
		}
	})
}

// Probes and monitors ask for pages that a worker serves, at its port.
func TestProbes(t *testing.T) {
	t.Parallel()
	url, consoleURL, listen := pages(t), consolePages(t), known(t, "worker", "run").flags["--listen"]
	for folder := range builds {
		containers(t, folder, func(where string, _ []any, _, container any) {
			url, port := url, list(container, "ports")[0]
			if text(container, "name") == "console" {
				url, port = consoleURL, list(container, "ports")[1] // TestConsoleInKubernetes says where it listens
			} else if !strings.HasSuffix(listen, ":"+jsonNumber(port, "containerPort")) {
				t.Errorf("%s: the worker listens on %s, not on %v", where, listen, port)
			}
			for _, probe := range []string{"startupProbe", "livenessProbe", "readinessProbe"} {
				if got := text(container, probe, "httpGet", "port"); got != text(port, "name") {
					t.Errorf("%s: %s asks port %q", where, probe, got)
				}
				if status, _ := get(t, url+text(container, probe, "httpGet", "path")); status != http.StatusOK {
					t.Errorf("%s: %s: %d", where, probe, status)
				}
			}
			if text(container, "livenessProbe", "httpGet", "path") != "/healthz" {
				t.Errorf("%s: an outage of Redis would kill workers", where)
			}
		})
	}
	for _, r := range kustomize(t, "overlays/example") {
		for _, e := range list(r, "spec", "podMetricsEndpoints") {
			address := map[string]string{"http": url, "metrics": consoleURL}[text(e, "port")]
			if address == "" {
				t.Errorf("PodMonitor: no container has a port %v", e)
				continue
			}
			if status, _ := get(t, address+text(e, "path")); status != http.StatusOK {
				t.Errorf("PodMonitor: %v: %d", e, status)
			}
		}
	}
}

func jsonNumber(v any, keys ...string) string {
	n, _ := dig(v, keys...).(interface{ String() string })
	if n == nil {
		return ""
	}
	return n.String()
}

// A pod is not killed before its worker has handed back its tasks.
func TestGracePeriod(t *testing.T) {
	t.Parallel()
	limit := shutdownTimeout(t)
	for folder := range builds {
		containers(t, folder, func(where string, all []any, pod, container any) {
			if text(container, "name") != "worker" {
				return
			}
			for _, name := range append(useOf(t, where, all, container).args, "") {
				if strings.HasPrefix(name, "--shutdown-timeout") {
					t.Errorf("%s: this check does not know %s", where, name)
				}
			}
			seconds, err := strconv.Atoi(jsonNumber(pod, "terminationGracePeriodSeconds"))
			if err != nil || time.Duration(seconds)*time.Second <= limit {
				t.Errorf("%s: terminationGracePeriodSeconds %d, want more than %v", where, seconds, limit)
			}
		})
	}
}

// shutdownTimeout is the worker's default.
func shutdownTimeout(t *testing.T) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(known(t, "worker", "run").flags["--shutdown-timeout"])
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Every container is locked down.
func TestSecurityContext(t *testing.T) {
	t.Parallel()
	for folder := range builds {
		containers(t, folder, func(where string, _ []any, pod, container any) {
			for what, ok := range map[string]bool{
				"runAsNonRoot":             dig(pod, "securityContext", "runAsNonRoot") == true,
				"seccompProfile":           text(pod, "securityContext", "seccompProfile", "type") == "RuntimeDefault",
				"no service account token": dig(pod, "automountServiceAccountToken") == false,
				"readOnlyRootFilesystem":   dig(container, "securityContext", "readOnlyRootFilesystem") == true,
				"no privilege escalation":  dig(container, "securityContext", "allowPrivilegeEscalation") == false,
				"no capabilities":          slices.Equal(texts(list(container, "securityContext", "capabilities", "drop")), []string{"ALL"}),
				"a limit of memory":        text(container, "resources", "limits", "memory") != "",
			} {
				if !ok {
					t.Errorf("%s lacks %s", where, what)
				}
			}
		})
	}
}

// Scaling asks for what workers show.
func TestScaling(t *testing.T) {
	t.Parallel()
	all := shown(t, pages(t))
	n := 0
	for _, r := range kustomize(t, "overlays/example") {
		if text(r, "metadata", "name") == "vizstop-worker" && dig(r, "spec", "replicas") != nil {
			t.Error("both the Deployment and KEDA say how many workers there are")
		}
		for _, trigger := range list(r, "spec", "triggers") {
			n++
			for _, fault := range all.faults(text(trigger, "metadata", "query")) {
				t.Errorf("ScaledObject: %s", fault)
			}
		}
	}
	if n != 1 {
		t.Errorf("%d triggers, want 1", n)
	}
}

// Selectors find the worker's pods, and KEDA the Deployment.
func TestSelectors(t *testing.T) {
	t.Parallel()
	all := kustomize(t, "overlays/example")
	byKind := map[string]any{}
	for _, r := range all {
		if text(r, "metadata", "name") != "vizstop-console" {
			byKind[text(r, "kind")] = r
		}
	}
	labels := dig(byKind["Deployment"], "spec", "template", "metadata", "labels").(map[string]any)
	for kind, selector := range map[string]any{
		"Deployment":          dig(byKind["Deployment"], "spec", "selector"),
		"PodDisruptionBudget": dig(byKind["PodDisruptionBudget"], "spec", "selector"),
		"PodMonitor":          dig(byKind["PodMonitor"], "spec", "selector"),
		"NetworkPolicy":       dig(byKind["NetworkPolicy"], "spec", "podSelector"),
		"topology spread":     dig(list(byKind["Deployment"], "spec", "template", "spec", "topologySpreadConstraints")[0], "labelSelector"),
	} {
		match, _ := dig(selector, "matchLabels").(map[string]any)
		if len(match) == 0 {
			t.Errorf("%s selects everything", kind)
		}
		for k, v := range match {
			if labels[k] != v {
				t.Errorf("%s selects %s=%v, workers have %v", kind, k, v, labels[k])
			}
		}
	}
	if got, want := text(byKind["ScaledObject"], "spec", "scaleTargetRef", "name"), text(byKind["Deployment"], "metadata", "name"); got != want {
		t.Errorf("KEDA scales %s, the Deployment is %s", got, want)
	}
}

// No folder of manifests is left unbuilt.
func TestEveryFolderIsBuilt(t *testing.T) {
	t.Parallel()
	found := regexp.MustCompile(`^(base|overlays/[a-z]+|components/[a-z]+)$`)
	root := filepath.Join(repository, "deploy/kubernetes")
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.Name() != "kustomization.yaml" {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if _, built := builds[folder]; !built && !strings.HasPrefix(folder, "components/") || !found.MatchString(folder) {
			t.Errorf("%s is not checked", folder)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
