package settings

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Which generation of the API a project has is decided here. Nobody else may know, but
// the simulator, which plays them.
func TestOnlySettingsKnowTheGenerations(t *testing.T) {
	const adapter = "vizstop/internal/modelarts/v"
	may := []string{"vizstop/internal/settings", "vizstop/internal/modelarts/modelartstest", "vizstop/cmd/simulator"}
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		for _, path := range p.Imports {
			if !strings.HasPrefix(path, adapter) {
				continue
			}
			if seen++; !slices.Contains(may, p.ImportPath) {
				t.Errorf("%s imports %s: use internal/jobs", p.ImportPath, path)
			}
		}
	}
	if seen == 0 {
		t.Error("nobody imports an adapter: this test looks for the wrong packages")
	}
}
