package modelartstest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// found are the ids that a search gives, in its order.
func (r *rig) found(body string) string {
	r.t.Helper()
	g := r.call("POST", searchPath, body)
	g.expect(r.t, 200, "")
	items, ok := g.body["items"].([]any)
	if !ok || g.number("count") != len(items) {
		r.t.Fatalf("search = %s", g.raw)
	}
	var ids []string
	for _, item := range items {
		ids = append(ids, fmt.Sprint(got{body: item.(map[string]any)}.at("metadata", "id")))
	}
	return strings.Join(ids, " ")
}

func startSearch(t *testing.T, v V2Options) *rig {
	t.Helper()
	r := start(t, Config{Only: V2, V2: v})
	now := r.clock.now()
	for i, j := range []Job{
		{ID: "a", Name: "alpha", Status: PhaseTerminating},
		{ID: "b", Name: "beta", Status: PhaseTerminated},
		{ID: "c", Name: "gamma", Status: PhaseTerminating},
		{ID: "d", Name: "alphabet", Kind: KindJob},
		{ID: "e", Name: "delta"},
	} {
		j.CreateTime = now.Add(-time.Duration(i) * time.Hour)
		r.AddJob("p1", j)
	}
	r.AddJob("p1", Job{ID: "f", WorkspaceID: "w2"})
	return r
}

func TestSearchSortsAndFilters(t *testing.T) {
	r := startSearch(t, V2Options{})
	filtered := func(key, operator, values string) string {
		return fmt.Sprintf(`{"filters":[{"key":%q,"operator":%q,"value":[%s]}]}`, key, operator, values)
	}
	hour := r.clock.now().Add(-time.Hour).UnixMilli()
	for _, tt := range []struct{ body, want string }{
		{`{}`, "a b c d e"},
		{`{"order":"asc","sort_by":"create_time"}`, "e d c b a"},
		{`{"workspace_id":"w2"}`, "f"},
		{filtered("phase", "in", `"Terminating"`), "a c"},
		{filtered("phase", "in", `"Terminating","Terminated"`), "a b c"},
		{filtered("status", "not", `"Terminating"`), "b d e"},
		{filtered("name", "like", `"alpha"`), "a d"},
		{filtered("user_name", "in", `"somebody"`), ""},
		{filtered("create_time", "between", fmt.Sprintf(`%d,"%d"`, hour-1, hour)), "b"},
		{`{"filters":[{"key":"phase","operator":"in","value":["Terminating"]},{"key":"name","operator":"like","value":["alpha"]}]}`, "a"},
	} {
		if got := r.found(tt.body); got != tt.want {
			t.Errorf("search %s = %q, want %q", tt.body, got, tt.want)
		}
	}
	r.clock.advance(time.Minute) // by then, what was ending has ended
	if got := r.found(filtered("phase", "in", `"Terminating"`)); got != "" {
		t.Errorf("still terminating: %s", got)
	}
}

func TestSearchPages(t *testing.T) {
	for reading, pages := range map[string]map[int]string{
		OffsetPage:  {0: "a b", 1: "c d", 2: "e", 3: "", 4: ""},
		OffsetStart: {0: "a b", 1: "b c", 2: "c d", 4: "e", 5: "", 99: ""},
	} {
		r := startSearch(t, V2Options{Offset: reading})
		for offset, want := range pages {
			body := fmt.Sprintf(`{"limit":2,"offset":%d}`, offset)
			if got := r.found(body); got != want {
				t.Errorf("offset %d as %s = %q, want %q", offset, reading, got, want)
			}
			if g := r.call("POST", searchPath, body); g.number("total") != 5 || g.number("limit") != 2 || g.number("offset") != offset {
				t.Errorf("search = %s", g.raw)
			}
		}
	}
}

func TestWhatBecomesOfFilters(t *testing.T) {
	const body = `{"filters":[{"key":"phase","operator":"in","value":["Terminating"]}]}`
	r := startSearch(t, V2Options{Filters: FiltersIgnored})
	if got := r.found(body); got != "a b c d e" {
		t.Errorf("ignored: %s", got)
	}
	for _, code := range []string{FiltersBadKey, FiltersBadOperator, FiltersBadValue} {
		r.SetV2(V2Options{Filters: code})
		r.call("POST", searchPath, body).expect(t, 400, "ModelArts."+code)
		r.call("POST", searchPath, `{}`).expect(t, 200, "")
	}
	r.SetV2(V2Options{})
	if got := r.found(body); got != "a c" {
		t.Errorf("honored: %s", got)
	}
}

func TestSearchesThatAreRefused(t *testing.T) {
	r := startSearch(t, V2Options{})
	for body, code := range map[string]string{
		``:                       "0101",
		`{"limit":"ten"}`:        "0101",
		`{"limit":0}`:            "2787",
		`{"limit":51}`:           "2787",
		`{"offset":-1}`:          "2787",
		`{"order":"up"}`:         "2787",
		`{"sort_by":"job_name"}`: "2787",
		`{"filters":[{"key":"kind","operator":"in","value":["job"]}]}`:                "2807",
		`{"filters":[{"key":"phase","operator":"is","value":["Running"]}]}`:           "2808",
		`{"filters":[{"key":"phase","operator":"in","value":[]}]}`:                    "2809",
		`{"filters":[{"key":"create_time","operator":"between","value":[1]}]}`:        "2809",
		`{"filters":[{"key":"create_time","operator":"between","value":["x", "y"]}]}`: "2809",
	} {
		r.call("POST", searchPath, body).expect(t, 400, "ModelArts."+code)
	}
	r.call("POST", searchPath, `{"limit":50}`).expect(t, 200, "")
}
