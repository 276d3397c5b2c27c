package settings

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

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
		for _, given := range []struct {
			env  map[string]string
			args []string
		}{{nil, []string{"--share=" + text}}, {map[string]string{"SHARE": text}, nil}} {
			var n float64
			var s Set
			s.Float(&n, "share", "SHARE", 100, "a share", 0, 100)
			if err := load(t, &s, given.env, given.args...); err == nil || !strings.HasPrefix(err.Error(), "--share (SHARE): ") {
				t.Errorf("%s: %v", text, err)
			}
			if n != 100 {
				t.Errorf("%s leaves %v, want the default", text, n)
			}
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

// A flag that is given without a value is a mistake, such as an unset variable of a shell. A variable is not.
func TestEmptyFlagsAreRefused(t *testing.T) {
	t.Parallel()
	declare := func(s *Set) {
		var text, one string
		var several, repeated []string
		var n int
		var d time.Duration
		s.String(&text, "text", "TEXT", "", "a text", nil)
		s.OneOf(&one, "one", "ONE", "a", "one of two", "a", "b")
		s.Int(&n, "number", "NUMBER", 1, "a number", 0, 9)
		s.Duration(&d, "time", "TIME", time.Second, "a time", 0, time.Minute)
		s.Strings(&several, "several", "SEVERAL", "some", nil)
		s.Repeated(&repeated, "label", "a label", nil)
	}
	for _, args := range [][]string{
		{"--text", ""}, {"--text="}, {"--text", " "}, {"--one", ""}, {"--number="}, {"--time", ""}, {"--label", ""}, {"--label=a", "--label="},
		{"--several", ""}, {"--several="}, {"--several", ","}, {"--several", "a,"}, {"--several", "a,,b"}, {"--several=a", "--several", " "},
	} {
		var s Set
		declare(&s)
		name, _, _ := strings.Cut(args[0], "=")
		env := map[string]string{"TEXT": "x", "SEVERAL": "x"} // would count without the flag
		if err := load(t, &s, env, args...); err == nil || err.Error() != name+" is empty: give a value, or leave the flag out" {
			t.Errorf("%q: %v", args, err)
		}
	}
	var s Set
	declare(&s)
	if err := load(t, &s, nil, "--text=", "--several", ",", "--one", "a"); err == nil || strings.Count(err.Error(), " is empty: ") != 2 {
		t.Errorf("not all are named: %v", err)
	}
	s = Set{}
	declare(&s)
	env := map[string]string{"TEXT": "", "ONE": " ", "NUMBER": "", "TIME": "", "SEVERAL": ","}
	if err := load(t, &s, env, "--label", ",", "--text", "x"); err != nil {
		t.Errorf("empty variables: %v", err)
	}
}
