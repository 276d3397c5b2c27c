package httpapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v4"

	"vizstop/docs"
	"vizstop/internal/console/httpapi"
	"vizstop/internal/console/problem"
	"vizstop/internal/console/site"
	"vizstop/internal/schematest"
)

type object = map[string]any

// spec is docs/openapi.yaml, and what of it answers were seen.
type spec struct {
	doc  object
	mux  *http.ServeMux    // finds the operation of a request
	ops  map[string]object // by method and path
	mu   sync.Mutex
	seen map[string]bool // such as "PUT /v1/batches/{batch} 202", and types of problems
}

func readSpec(t *testing.T) *spec {
	t.Helper()
	var raw any
	if err := yaml.Unmarshal(docs.OpenAPI, &raw); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(raw) // numbers as JSON has them
	if err != nil {
		t.Fatal(err)
	}
	s := &spec{mux: http.NewServeMux(), ops: map[string]object{}, seen: map[string]bool{}}
	if err := json.Unmarshal(text, &s.doc); err != nil {
		t.Fatal(err)
	}
	for path, item := range s.doc["paths"].(object) {
		for method, op := range item.(object) {
			if method == "parameters" {
				continue
			}
			pattern := strings.ToUpper(method) + " " + path
			s.ops[pattern] = op.(object)
			s.mux.HandleFunc(pattern, func(http.ResponseWriter, *http.Request) {})
		}
	}
	return s
}

// resolve follows a reference.
func (s *spec) resolve(v any) object {
	o, _ := v.(object)
	ref, ok := o["$ref"].(string)
	if !ok {
		return o
	}
	var at any = s.doc
	for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		at = at.(object)[name]
	}
	return at.(object)
}

// check says what of an answer the file does not describe.
func (s *spec) check(method, path string, r reply) error {
	req, err := http.NewRequest(method, path, nil)
	if err != nil {
		return err
	}
	_, pattern := s.mux.Handler(req)
	response := s.response(pattern, r.status)
	if response == nil {
		return fmt.Errorf("%s %s answers %d, which is not described: %.300s", method, path, r.status, r.body)
	}
	s.mu.Lock()
	s.seen[fmt.Sprintf("%s %d", pattern, r.status)] = true
	s.seen[r.problem()] = true
	s.mu.Unlock()
	return s.checkBody(method+" "+path, response, r)
}

func (s *spec) response(pattern string, status int) object {
	if pattern == "" || status == http.StatusMethodNotAllowed { // no operation has these
		name := map[int]string{404: "NotFound", 405: "MethodNotAllowed", 401: "Unauthorized", 421: "WrongHost"}[status]
		return s.resolve(object{"$ref": "#/components/responses/" + name})
	}
	found, ok := s.ops[pattern]["responses"].(object)[fmt.Sprint(status)]
	if !ok {
		return nil
	}
	return s.resolve(found)
}

func (s *spec) checkBody(what string, response object, r reply) error {
	content, _ := response["content"].(object)
	if content == nil {
		if r.body != "" {
			return fmt.Errorf("%s answers %d with a body that is not described: %.200s", what, r.status, r.body)
		}
		return nil
	}
	media, _, err := mime.ParseMediaType(r.header.Get("Content-Type"))
	described, ok := content[media].(object)
	if err != nil || !ok {
		return fmt.Errorf("%s answers %d as %q, described are %v", what, r.status, r.header.Get("Content-Type"), slices.Sorted(maps.Keys(content)))
	}
	if !strings.HasSuffix(media, "json") || media == "application/x-ndjson" {
		return nil
	}
	var v any
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		return fmt.Errorf("%s answers %d with what is not JSON: %.200s", what, r.status, r.body)
	}
	if err := schematest.In(s.doc).Check(described["schema"].(object)["$ref"].(string), v); err != nil {
		return fmt.Errorf("%s answers %d with what its schema does not describe: %w\n%.600s", what, r.status, err, r.body)
	}
	if media == problem.ContentType && int(r.at("status").(float64)) != r.status {
		return fmt.Errorf("%s answers %d with a problem of %v", what, r.status, r.at("status"))
	}
	return nil
}

// Every route is described, and every operation that is described is a route.
func TestEveryRouteIsDescribed(t *testing.T) {
	t.Parallel()
	s := readSpec(t)
	var routes []string
	for _, r := range httpapi.New(&site.Site{}) {
		routes = append(routes, r.Pattern)
		if open := s.ops[r.Pattern]["security"] != nil; open != (r.Role == 0) {
			t.Errorf("%s: the file says that it is open: %t, the route: %t", r.Pattern, open, r.Role == 0)
		}
	}
	slices.Sort(routes)
	if described := slices.Sorted(maps.Keys(s.ops)); !slices.Equal(routes, described) {
		t.Errorf("routes\n%s\ndescribed\n%s", strings.Join(routes, "\n"), strings.Join(described, "\n"))
	}
}

// The types of problems are those of the code.
func TestEveryProblemIsDescribed(t *testing.T) {
	t.Parallel()
	s := readSpec(t)
	listed := s.resolve(object{"$ref": "#/components/schemas/Problem"})["properties"].(object)["type"].(object)["enum"].([]any)
	var described, types []string
	for _, one := range listed {
		described = append(described, one.(string))
	}
	for _, one := range problem.Types() {
		types = append(types, one.URI())
	}
	if !slices.Equal(described, types) {
		t.Errorf("described\n%v\nin the code\n%v", described, types)
	}
}
