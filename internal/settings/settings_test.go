package settings

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v3"
)

// load loads s as a command with these variables and arguments would.
func load(t *testing.T, s *Set, env map[string]string, args ...string) error {
	t.Helper()
	cmd := &cli.Command{
		Name: "test", Flags: s.Flags(), DisableSliceFlagSeparator: true,
		Action: func(_ context.Context, cmd *cli.Command) error {
			return s.Load(cmd, func(name string) string { return env[name] })
		},
	}
	return cmd.Run(t.Context(), append([]string{"test"}, args...))
}

// What is no number between the bounds is refused by name, as a flag and as a variable.
func TestFloatRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"NaN", "nan", "+nan", "Inf", "-Inf", "infinity", "1e999", "101", "-0.1", "ten", "1,5", "0x"} {
		var n float64
		var s Set
		s.Float(&n, "share", "SHARE", 100, "a share", 0, 100)
		for _, err := range []error{load(t, &s, nil, "--share="+text), load(t, &s, map[string]string{"SHARE": text})} {
			if err == nil || !strings.HasPrefix(err.Error(), "--share (SHARE): ") {
				t.Errorf("%s: %v", text, err)
			}
		}
		if n != 100 {
			t.Errorf("%s leaves %v, want the default", text, n)
		}
	}
	for text, want := range map[string]float64{"0": 0, "0.5": 0.5, "100": 100, " 7 ": 7, "1e2": 100} {
		var n float64
		var s Set
		s.Float(&n, "share", "SHARE", 1, "a share", 0, 100)
		if err := load(t, &s, map[string]string{"SHARE": text}); err != nil || n != want {
			t.Errorf("%q: %v, %v", text, n, err)
		}
	}
}

func TestStringsSplitAtCommas(t *testing.T) {
	t.Parallel()
	want := []string{"a", "b", "c"}
	for _, tt := range []struct {
		env  string
		args []string
	}{
		{"a,b,c", nil}, {" a, b ,,c,", nil}, {"z", []string{"--one", "a,b", "--one", " c"}}, {"", []string{"--one=a", "--one=b", "--one=c"}},
	} {
		var got []string
		var s Set
		s.Strings(&got, "one", "ONE", "some", nil)
		if err := load(t, &s, map[string]string{"ONE": tt.env}, tt.args...); err != nil || !slices.Equal(got, want) {
			t.Errorf("%+v: %q, %v", tt, got, err)
		}
	}
}

func TestRepeatedKeepsCommas(t *testing.T) {
	t.Parallel()
	var got []string
	var s Set
	s.Repeated(&got, "label", "a label", nil)
	if err := load(t, &s, nil, "--label", "a=1, 2", "--label", "b=3"); err != nil || !slices.Equal(got, []string{"a=1, 2", "b=3"}) {
		t.Errorf("%q, %v", got, err)
	}
}
