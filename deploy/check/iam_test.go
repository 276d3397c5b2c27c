package check

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every policy is one that IAM can read, permits nothing but what its program does, and is named by the README.
func TestIAMPolicies(t *testing.T) {
	files, err := filepath.Glob("../iam/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no policies: %v", err)
	}
	readme, err := os.ReadFile("../iam/README.md")
	if err != nil {
		t.Fatal(err)
	}
	action := regexp.MustCompile(`^(modelarts:(tensorboard|trainJob):(list|get|stop|restart)|obs:bucket:(HeadBucket|ListAllMyBuckets))$`)
	for _, file := range files {
		name := filepath.Base(file)
		if !strings.Contains(string(readme), "["+name+"]("+name+")") {
			t.Errorf("README.md does not name %s", name)
		}
		for _, a := range actionsOf(t, file) {
			if !action.MatchString(a) {
				t.Errorf("%s permits %s", name, a)
			}
			if service := strings.HasPrefix(a, "obs:"); service != strings.HasSuffix(name, "-obs.json") {
				t.Errorf("%s permits %s: actions of OBS need a policy of their own", name, a)
			}
			if strings.HasSuffix(a, ":stop") && !strings.HasPrefix(name, "worker-") || strings.HasSuffix(a, ":restart") && !strings.HasPrefix(name, "undo-") {
				t.Errorf("%s permits %s", name, a)
			}
		}
	}
}

// actionsOf reads a policy of IAM's Version 1.1.
func actionsOf(t *testing.T, file string) (actions []string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var policy struct {
		Version   string
		Statement []struct {
			Effect string
			Action []string
		}
	}
	dec := json.NewDecoder(f)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&policy); err != nil || dec.More() {
		t.Fatalf("%s: %v", file, err)
	}
	if policy.Version != "1.1" || len(policy.Statement) == 0 {
		t.Errorf("%s is no policy of version 1.1 with a statement", file)
	}
	for _, s := range policy.Statement {
		if s.Effect != "Allow" || len(s.Action) == 0 {
			t.Errorf("%s has a statement that permits nothing", file)
		}
		actions = append(actions, s.Action...)
	}
	return actions
}
