package joblist

import (
	"fmt"
	"strings"
	"testing"
)

func TestLabelLimits(t *testing.T) {
	var rec record
	long := strings.Repeat("é", 128)
	if err := rec.label(long, long); err != nil || rec.labels[long] != long {
		t.Errorf("a label of 256 bytes: %v", err)
	}
	for _, pair := range [][2]string{{long + "x", "v"}, {"k", long + "x"}} {
		if err := rec.label(pair[0], pair[1]); err == nil {
			t.Errorf("a label of %d and %d bytes passed", len(pair[0]), len(pair[1]))
		}
	}
	for i := range 15 {
		if err := rec.label(fmt.Sprint(i), "v"); err != nil {
			t.Error(err)
		}
	}
	if err := rec.label("one too many", "v"); err == nil || len(rec.labels) != 16 {
		t.Errorf("%d labels, %v", len(rec.labels), err)
	}
	if err := rec.label("empty", " "); err != nil {
		t.Errorf("an empty label counts: %v", err)
	}
}

func TestLabelsAreFitToPrint(t *testing.T) {
	expect(t, `{"job_id":1,"a\tb":"\u001b[31mred\n"}`, Options{Project: "p"}, "p/1 [a b:[31mred]")
	expect(t, "job_id,a\n1,x\xffy\n", Options{Project: "p"}, "p/1 [a:x y]")
}
