package joblist

import (
	"strings"
	"testing"
)

func TestLongLines(t *testing.T) {
	p := Options{Project: "p"}
	const tooLong = " is longer than 65536 bytes: one job a line is expected"
	fits := "# " + strings.Repeat("x", maxLine-2)
	for _, end := range []string{"\n", "\r\n"} {
		expect(t, fits+end+"12"+end, p, "p/12")
		expect(t, fits+"x"+end+"12"+end, p, "end list line 1"+tooLong)
		expect(t, "12"+end+fits+fits+end+"13"+end, p, "p/12", "end list line 2"+tooLong)
	}
	expect(t, fits, p)
	expect(t, fits+"x", p, "end list line 1"+tooLong)
	expect(t, fits+"xxxxx", p, "end list line 1"+tooLong)
}

func TestOtherEncodings(t *testing.T) {
	p := Options{Project: "p"}
	expect(t, "\xff\xfe1\x002\x00\r\x00\n\x00", p, "end list is UTF-16: save it as UTF-8")
	expect(t, "\xfe\xff\x001\x002", p, "end list is UTF-16: save it as UTF-8")
}

// Text of old Macs would be one comment, or one line with a job of a strange id.
func TestBareCarriageReturns(t *testing.T) {
	p := Options{Project: "p"}
	const what = " holds a carriage return that is not at its end: save the list with the line ends of Unix or Windows"
	expect(t, "# jobs\r12\r13\r", p, "end list line 1"+what)
	expect(t, "job_id,a\r12,x\r", p, "end list line 1"+what)
	expect(t, "12\n13\r14\n15\n", p, "p/12", "end list line 2"+what)
	expect(t, strings.Repeat("12345678\r", maxLine/4), p, "end list line 1"+what)
	expect(t, "12\r\n13\r\r\n14\r", p, "p/12", "p/13", "p/14")
}
