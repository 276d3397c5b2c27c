package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A schema that lets everything pass would prove nothing.
func TestSchemaIsTight(t *testing.T) {
	good := map[string]string{
		"cancel": `{"kind": "cancel", "batch": "b", "canceled": 1, "sent": 0, "ended": 0, "tick": false}`,
		"brake":  `{"kind": "pause", "changed": true, "paused": ["all"]}`,
		"stops": `{"kind": "stops", "stops": [{"stop_id": "s", "batch": "b", "project_id": "p", "job_id": "1", "state": "pending",
			"reason": "", "asked": "2026-11-23T20:00:00Z", "due": "2026-11-23T20:00:00.5Z", "called": null, "accepted": null,
			"ended": null, "deadline": null, "attempts": 0, "calls": 0, "polls": 0, "last_status": null, "request_id": "", "labels": {"team": "a"}, "shadow": false}]}`,
	}
	for name, text := range good {
		if err := fits(printed, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, tt := range []struct{ of, from, to string }{
		{"cancel", `"cancel"`, `"abort"`},
		{"cancel", `"batch": "b", `, ``},
		{"cancel", `"sent": 0`, `"sent": -1`},
		{"cancel", `"sent": 0`, `"sent": 0.5`},
		{"cancel", `"sent": 0`, `"sent": "0"`},
		{"cancel", `"sent": 0`, `"sent": 0, "more": 1`},
		{"brake", `["all"]`, `null`},
		{"brake", `["all"]`, `[1]`},
		{"brake", `true`, `"true"`},
		{"stops", `"pending"`, `"lost"`},
		{"stops", `"2026-11-23T20:00:00Z"`, `"yesterday"`},
		{"stops", `"called": null, `, ``},
		{"stops", `"team": "a"`, `"team": 1`},
		{"stops", `"stops": [`, `"stops": [{}, `},
	} {
		text := strings.Replace(good[tt.of], tt.from, tt.to, 1)
		if text == good[tt.of] {
			t.Errorf("%s has no %s", tt.of, tt.from)
		}
		if err := fits(printed, text); err == nil {
			t.Errorf("%s with %s in place of %s fits", tt.of, tt.to, tt.from)
		}
	}
	for _, text := range []string{`[]`, `{}`, `{"batch": "b"}`, `{"batch": "b", "projects": [{}]}`, `{"batch": "b", "projects": [], "more": 1}`} {
		if fits(notified, text) == nil {
			t.Errorf("notification %s fits", text)
		}
	}
}

// optional are the only fields that need not be there.
var optional = map[string]bool{"result": true, "timed_out": true}

// Every object says all of its fields: what is printed and not documented, and
// what is documented and not printed, then fails the scripts.
func TestSchemaNamesEveryField(t *testing.T) {
	root, err := readSchema()
	if err != nil {
		t.Fatal(err)
	}
	objects := 0
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case []any:
			for i, one := range v {
				walk(fmt.Sprint(path, "/", i), one)
			}
		case object:
			if fields, ok := v["properties"].(object); ok && v["type"] == "object" {
				objects++
				if v["additionalProperties"] != false {
					t.Errorf("%s is open", path)
				}
				required, _ := v["required"].([]any)
				for name := range fields {
					if !slices.Contains(required, any(name)) && !optional[name] {
						t.Errorf("%s may lack %s", path, name)
					}
				}
			}
			for name := range v {
				walk(path+"/"+name, v[name])
			}
		}
	}
	walk("#", root.At())
	if objects < 10 {
		t.Errorf("only %d objects are described", objects)
	}
}
