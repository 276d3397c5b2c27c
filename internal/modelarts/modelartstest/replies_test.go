package modelartstest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
)

func startFaulty(t *testing.T, f Fault) *rig {
	t.Helper()
	r := start(t, Config{})
	r.AddJob("p1", Job{ID: "1", Name: "n"})
	r.Inject(f)
	return r
}

func TestReplyErrorShapes(t *testing.T) {
	r := startFaulty(t, Fault{Times: 1, Reply: ReplyError(429, "APIG.0308", "slow").With("retry-after", "7")})
	g := r.call("GET", jobsPath, "")
	if g.expect(t, 429, "APIG.0308"); g.text("error_msg") != "slow" || g.header.Get("Retry-After") != "7" ||
		len(g.text("request_id")) != 32 {
		t.Errorf("gateway error = %s %v", g.raw, g.header)
	}
	r.Inject(Fault{Times: 1, Reply: ReplyError(429, "ModelArts.0114", "slow")})
	g = r.call("GET", jobsPath, "")
	if g.expect(t, 429, "ModelArts.0114"); g.text("error_message") != "slow" || g.body["is_success"] != false {
		t.Errorf("service error = %s", g.raw)
	}
	r.Inject(Fault{Operation: OpToken, Reply: ReplyError(503, "", "later")})
	if g = r.call("POST", iamPath, "{}"); g.status != 503 || !strings.Contains(g.raw, `{"error":{"code":503`) {
		t.Errorf("IAM error = %d %s", g.status, g.raw)
	}
}

func TestReplyNotSuccess(t *testing.T) {
	r := startFaulty(t, Fault{Reply: ReplyNotSuccess("ModelArts.0010", "boom")})
	if g := r.call("POST", jobsPath+"/1/stop", ""); g.status != 200 || g.body["is_success"] != false {
		t.Errorf("answer = %d %s", g.status, g.raw)
	}
	r.wantStatus("1", 8)
}

func TestReplyHTMLEmptyAndRedirect(t *testing.T) {
	r := startFaulty(t, Fault{Times: 1, Reply: ReplyHTML(502)})
	g := r.call("GET", jobsPath, "")
	if g.status != 502 || g.header.Get("Content-Type") != "text/html" || !strings.Contains(g.raw, "<h1>502 Bad Gateway</h1>") {
		t.Errorf("HTML = %d %v %s", g.status, g.header, g.raw)
	}
	for _, status := range []int{200, 204, 503, 504} {
		r.Inject(Fault{Times: 1, Reply: ReplyEmpty(status)})
		if g = r.call("GET", jobsPath, ""); g.status != status || g.raw != "" {
			t.Errorf("empty = %d %q", g.status, g.raw)
		}
	}
	r.Inject(Fault{Times: 1, Reply: ReplyRedirect(307, "/elsewhere")})
	if g = r.call("POST", jobsPath+"/1/stop", ""); g.status != 307 || g.header.Get("Location") != "/elsewhere" {
		t.Errorf("redirect = %d %v", g.status, g.header)
	}
	r.wantStatus("1", 8)
}

func TestReplyHTTPStatus(t *testing.T) {
	r := startFaulty(t, Fault{Reply: ReplyHTTPStatus(202)})
	if g := r.call("POST", jobsPath+"/1/stop", ""); g.status != 202 || g.body["is_success"] != true {
		t.Errorf("answer = %d %s", g.status, g.raw)
	}
	r.wantStatus("1", 9)
}

func TestReplyStatusLies(t *testing.T) {
	r := startFaulty(t, Fault{Reply: ReplyStatus(10)})
	if g := r.call("GET", jobsPath+"/1", ""); g.number("status") != 10 || g.text("job_name") != "n" {
		t.Errorf("detail = %s", g.raw)
	}
	if g := r.call("GET", jobsPath, ""); !strings.Contains(g.raw, `"status":10`) {
		t.Errorf("list = %s", g.raw)
	}
	if g := r.call("GET", jobsPath+"/2", ""); g.status != 404 || strings.Contains(g.raw, `"status"`) {
		t.Errorf("absent job = %s", g.raw)
	}
	r.wantStatus("1", 8)
}

func TestReplyTruncated(t *testing.T) {
	r := startFaulty(t, Fault{Reply: ReplyTruncated()})
	g := r.call("GET", jobsPath+"/1", "")
	if g.status != 200 || g.body != nil || !strings.HasPrefix(g.raw, "{") {
		t.Errorf("answer = %d %s", g.status, g.raw)
	}
}

func TestReplyCut(t *testing.T) {
	r := startFaulty(t, Fault{Reply: ReplyCut()})
	g, err := r.do(r.request("GET", jobsPath+"/1", ""))
	if !errors.Is(err, io.ErrUnexpectedEOF) || g.status != 200 || len(g.raw) == 0 {
		t.Errorf("answer = %d %s, %v", g.status, g.raw, err)
	}
}

func TestReplyWrongTypes(t *testing.T) {
	r := startFaulty(t, Fault{Reply: ReplyWrongTypes()})
	g := r.call("GET", jobsPath+"/1", "")
	for field, want := range map[string]any{
		"status": []any{8.0}, "job_id": []any{1.0}, "is_success": "true", "job_name": map[string]any{"value": "n"},
	} {
		if !reflect.DeepEqual(g.body[field], want) {
			t.Errorf("%s = %#v, want %#v", field, g.body[field], want)
		}
	}
	if g = r.call("GET", jobsPath, ""); g.text("jobs") == "" {
		t.Errorf("list = %s", g.raw)
	}
}

func TestReplyHuge(t *testing.T) {
	r := startFaulty(t, Fault{Reply: ReplyHuge(1 << 20)})
	g := r.call("GET", jobsPath+"/1", "")
	if g.status != 200 || len(g.raw) < 1<<20 || len(g.raw) > 1<<20+100 || g.body["is_success"] != true {
		t.Errorf("answer = %d, %d bytes", g.status, len(g.raw))
	}
}

func TestReplyDrip(t *testing.T) {
	c := newClock()
	r := start(t, sleepOn(c))
	r.AddJob("p1", Job{ID: "1"})
	r.Inject(Fault{Reply: ReplyDrip(10, time.Second)})
	begin := c.now()
	g := r.call("POST", jobsPath+"/1/stop", "")
	if g.body["is_success"] != true {
		t.Errorf("answer = %d %s", g.status, g.raw)
	}
	// The client may have all of it before the last pause.
	if took := c.now().Sub(begin); took < time.Second || took > 2*time.Second {
		t.Errorf("%d bytes took %v", len(g.raw), took)
	}
}

func TestReplyResetBeforeAndAfterTheEffect(t *testing.T) {
	for _, after := range []bool{false, true} {
		r := startFaulty(t, Fault{Reply: ReplyReset(), AfterEffect: after})
		if g, err := r.do(r.request("POST", jobsPath+"/1/stop", "")); err == nil {
			t.Errorf("answer = %d %s", g.status, g.raw)
		}
		if j, _ := r.Job("p1", "1"); (j.Status == 9) != after {
			t.Errorf("after effect %t: status %v", after, j.Status)
		}
		if calls := r.Calls("p1", "1"); len(calls) != 1 || calls[0].HTTPStatus != 0 {
			t.Errorf("calls = %+v", calls)
		}
	}
}

func TestReplyResetIsATCPReset(t *testing.T) {
	r := startFaulty(t, Fault{Reply: ReplyReset()})
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST %s/1/stop HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", jobsPath)
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: %v, want %v", err, syscall.ECONNRESET)
	}
}
