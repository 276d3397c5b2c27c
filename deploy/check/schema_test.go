package check

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// The schemas are files of Go modules: the module proxy has them wherever Go can
// build, and a sum says that they are the same everywhere. Nothing of the modules
// is compiled.
var (
	// The OpenAPI documents of Kubernetes 1.23 to 1.30.
	kubernetesSchemas = module{"sigs.k8s.io/kubectl-validate@v0.0.4", "h1:tGKuv0awYHn11Cb6KPsZKxUmHgavF46K3NvVH0Nse9U="}
	// The custom resources of the Prometheus Operator and of KEDA.
	operatorSchemas = module{"github.com/prometheus-operator/prometheus-operator@v0.85.0", "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s="}
	kedaSchemas     = module{"github.com/kedacore/keda/v2@v2.17.2", "h1:xlrcK5TKABJF9PebK79sgL07s/csGjL3H4m72OkZXxk="}
	// The compose specification.
	composeSchemas = module{"github.com/compose-spec/compose-go/v2@v2.9.0", "h1:UHSv/QHlo6QJtrT4igF1rdORgIUhDo1gWuyJUoiNNIM="}
)

type module struct{ version, sum string }

var downloads sync.Mutex

// file is the path of a file of the module.
func (m module) file(t *testing.T, path string) string {
	t.Helper()
	downloads.Lock()
	defer downloads.Unlock()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", m.version)
	cmd.Dir = t.TempDir()
	out, err := cmd.Output()
	var got struct{ Dir, Sum, Error string }
	if jsonErr := json.Unmarshal(out, &got); jsonErr != nil || err != nil || got.Error != "" {
		t.Fatalf("go mod download %s: %v %v %s", m.version, err, jsonErr, got.Error)
	}
	if got.Sum != m.sum {
		t.Fatalf("%s has the sum %s, want %s", m.version, got.Sum, m.sum)
	}
	return filepath.Join(got.Dir, filepath.FromSlash(path))
}

// resourceSchema returns the strict schema of a kind of resource.
func resourceSchema(t *testing.T, apiVersion, kind string) *jsonschema.Schema {
	t.Helper()
	switch apiVersion {
	case "monitoring.coreos.com/v1":
		return crdSchema(t, operatorSchemas.file(t, "example/prometheus-operator-crd/monitoring.coreos.com_"+strings.ToLower(kind)+"s.yaml"), "v1")
	case "keda.sh/v1alpha1":
		return crdSchema(t, kedaSchemas.file(t, "config/crd/bases/keda.sh_"+strings.ToLower(kind)+"s.yaml"), "v1alpha1")
	}
	path := "apis/" + apiVersion
	if !strings.Contains(apiVersion, "/") {
		path = "api/" + apiVersion
	}
	doc := readYAML(t, kubernetesSchemas.file(t, "pkg/openapiclient/builtins/1.30/"+path+".json"))
	for name, schema := range dig(doc, "components", "schemas").(map[string]any) {
		gvks, _ := schema.(map[string]any)["x-kubernetes-group-version-kind"].([]any)
		if slices.ContainsFunc(gvks, func(gvk any) bool { return dig(gvk, "kind") == kind }) {
			return compile(t, doc, "/components/schemas/"+name)
		}
	}
	t.Fatalf("Kubernetes has no %s %s", apiVersion, kind)
	return nil
}

func crdSchema(t *testing.T, file, version string) *jsonschema.Schema {
	t.Helper()
	for _, v := range dig(readYAML(t, file), "spec", "versions").([]any) {
		if dig(v, "name") == version {
			return compile(t, dig(v, "schema", "openAPIV3Schema"), "")
		}
	}
	t.Fatalf("%s has no version %s", file, version)
	return nil
}

// compile makes doc strict and returns the schema at a place in it.
func compile(t *testing.T, doc any, pointer string) *jsonschema.Schema {
	t.Helper()
	forbidUnknown(doc)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft4) // the nearest to OpenAPI 3.0
	if err := c.AddResource("file:///schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("file:///schema.json#" + pointer)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// forbidUnknown makes every object that lists its fields refuse others, as the
// API server does in strict validation.
func forbidUnknown(v any) {
	switch v := v.(type) {
	case map[string]any:
		_, fields := v["properties"].(map[string]any)
		_, others := v["additionalProperties"]
		if fields && !others && v["x-kubernetes-preserve-unknown-fields"] != true {
			v["additionalProperties"] = false
		}
		for _, inner := range v {
			forbidUnknown(inner)
		}
	case []any:
		for _, inner := range v {
			forbidUnknown(inner)
		}
	}
}

// dig follows keys into maps, and returns nil where there is nothing.
func dig(v any, keys ...string) any {
	for _, key := range keys {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

func text(v any, keys ...string) string {
	s, _ := dig(v, keys...).(string)
	return s
}

func list(v any, keys ...string) []any {
	l, _ := dig(v, keys...).([]any)
	return l
}

func texts(values []any) []string {
	var all []string
	for _, v := range values {
		all = append(all, fmt.Sprint(v))
	}
	return all
}

func readYAML(t *testing.T, file string) any {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return parseYAML(t, content)
}

// parseYAML returns content in the types of JSON. A key that is there twice is
// an error.
func parseYAML(t *testing.T, content []byte) any {
	t.Helper()
	asJSON, err := yaml.YAMLToJSONStrict(content)
	if err != nil {
		t.Fatalf("%v in:\n%s", err, content)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(asJSON)))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// invalid is what schema finds wrong with v, one fault a line, or "".
func invalid(schema *jsonschema.Schema, v any) string {
	err := schema.Validate(v)
	if err == nil {
		return ""
	}
	if invalid, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		return fmt.Sprintf("%v", invalid)
	}
	return err.Error()
}
