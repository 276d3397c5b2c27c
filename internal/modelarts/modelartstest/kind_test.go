package modelartstest

import "testing"

func TestStrayStops(t *testing.T) {
	r := start(t, Config{CallsPerJob: -1})
	board := r.AddJob("p1", Job{Generation: V2})
	week := r.AddJob("p1", Job{Generation: V2, Kind: KindJob})
	bare := r.AddJob("p1", Job{Generation: V2, Kind: KindNone, Annotations: map[string]string{AnnotationMindStudio: "true"}})
	off := r.AddJob("p1", Job{Generation: V2, Kind: "autosearch_job", Annotations: map[string]string{AnnotationTensorBoard: "false"}})
	old := r.AddJob("p1", Job{Generation: V1})

	r.terminate(board.ID).expect(t, 202, "")
	r.call("POST", jobsPath+"/"+old.ID+"/stop", "").expect(t, 200, "")
	r.call("GET", trainingPath(week.ID), "").expect(t, 200, "")
	r.terminate("nowhere").expect(t, 400, "ModelArts.2775")
	if strays := r.StrayStops(); len(strays) != 0 {
		t.Fatalf("stray stops %+v, want none", strays)
	}

	r.Inject(Fault{JobID: week.ID, Reply: ReplyEmpty(502)})
	r.terminate(week.ID).expect(t, 502, "")
	r.terminate(bare.ID).expect(t, 202, "")
	r.terminate(bare.ID).expect(t, 409, "ModelArts.2796")
	r.call("POST", jobsPath+"/"+off.ID+"/stop", "").expect(t, 404, "ModelArts.0015")
	strays := r.StrayStops()
	want := []struct {
		job, kind  string
		generation Generation
		status     int
		annotated  bool
	}{
		{week.ID, KindJob, V2, 502, false},
		{bare.ID, KindNone, V2, 202, true},
		{bare.ID, KindNone, V2, 409, true},
		{off.ID, "autosearch_job", V1, 404, false},
	}
	if len(strays) != len(want) {
		t.Fatalf("stray stops %+v", strays)
	}
	for i, w := range want {
		s := strays[i]
		if s.JobID != w.job || s.Kind != w.kind || s.Generation != w.generation || s.HTTPStatus != w.status || s.Annotated != w.annotated {
			t.Errorf("stray stop %d = %+v, want %+v", i, s, w)
		}
	}
}
