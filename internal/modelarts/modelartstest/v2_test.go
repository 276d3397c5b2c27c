package modelartstest

import "testing"

func TestV2OptionsThatAreNone(t *testing.T) {
	for _, tt := range []struct {
		v  V2Options
		ok bool
	}{
		{V2Options{}, true},
		{V2Options{OffsetStart, FiltersBadValue, KindsAnnotated}, true},
		{V2Options{Offset: "row"}, false},
		{V2Options{Filters: "2810"}, false},
		{V2Options{Kinds: "none"}, false},
	} {
		if err := tt.v.check(); (err == nil) != tt.ok {
			t.Errorf("%+v: %v", tt.v, err)
		}
	}
}

func TestHowKindsAreTold(t *testing.T) {
	r := start(t, Config{})
	annotated := map[string]string{AnnotationTensorBoard: "true"}
	for id, j := range map[string]Job{
		"board": {}, "training": {Kind: KindJob}, "none": {Kind: KindNone, Annotations: annotated}, "new": {Kind: "diag_job"},
	} {
		j.ID, j.Generation = id, V2
		r.AddJob("p1", j)
	}
	type told struct{ kind, annotation string }
	for kinds, want := range map[string]map[string]told{
		"": {
			"board": {KindVisualization, ""}, "training": {KindJob, ""}, "none": {"", "true"}, "new": {"diag_job", ""},
		},
		KindsAbsent:    {"board": {}, "training": {}, "none": {"", "true"}, "new": {}},
		KindsAnnotated: {"board": {"", "true"}, "training": {}, "none": {"", "true"}, "new": {}},
	} {
		r.SetV2(V2Options{Kinds: kinds})
		for id, w := range want {
			g := r.call("GET", trainingPath(id), "")
			annotations, _ := g.at("metadata", "annotations").(map[string]any)
			annotation, _ := annotations[AnnotationTensorBoard].(string)
			if got := (told{g.text("kind"), annotation}); got != w {
				t.Errorf("kinds %q, job %s: %+v, want %+v", kinds, id, got, w)
			}
		}
	}
}
