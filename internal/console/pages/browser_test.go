package pages_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vizstop/internal/browsertest"
)

func TestScreens(t *testing.T) {
	dir := os.Getenv("SCREENS")
	if dir == "" {
		t.Skip()
	}
	w := newWorld(t, "")
	for _, look := range []struct {
		name string
		o    browsertest.Options
	}{{"light", browsertest.Options{Script: true}}, {"dark", browsertest.Options{Dark: true, Script: true}}, {"phone", browsertest.Options{Width: 360, Height: 780, Mobile: true}},
		{"phonedark", browsertest.Options{Width: 360, Height: 780, Mobile: true, Dark: true}}} {
		o := look.o
		o.Authorization = "Bearer " + w.tokens["operator"]
		page := browsertest.Start(t).Page(t, o)
		for _, path := range everyPage {
			if look.name != "light" && strings.ContainsAny(path, "?") {
				continue
			}
			page.Goto(w.url + path)
			name := strings.NewReplacer("/", "_", "?", "-", "=", "-", "&", "-", project, "P").Replace(path)
			page.Screenshot(filepath.Join(dir, look.name+name+".png"))
			if over := page.Overflows(); len(over) > 0 {
				t.Log(look.name, path, over)
			}
		}
	}
}
