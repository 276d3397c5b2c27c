package modelartstest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"time"
	v1 "vizstop/internal/modelarts/v1"
)

// Reply is an answer gone wrong, made by one of the Reply functions. The zero
// value is the honest answer.
type Reply struct {
	honest bool // whether build works on the honest answer
	build  func(s *Simulator, x *exchange, honest answer) answer
	header http.Header
}

// With is the reply with one more header, such as Retry-After.
func (r Reply) With(name, value string) Reply {
	h := http.Header{}
	maps.Copy(h, r.header)
	h.Set(name, value)
	r.header = h
	return r
}

func (r Reply) apply(s *Simulator, x *exchange, honest answer) answer {
	a := honest
	if r.build != nil {
		a = r.build(s, x, honest)
	}
	if len(r.header) > 0 {
		h := http.Header{}
		maps.Copy(h, a.header)
		maps.Copy(h, r.header)
		a.header = h
	}
	return a
}

// made is a reply that needs nothing of the honest answer.
func made(a answer) Reply {
	return Reply{build: func(*Simulator, *exchange, answer) answer { return a }}
}

// altered is a reply that changes the honest answer.
func altered(change func(a answer) answer) Reply {
	return Reply{honest: true, build: func(_ *Simulator, _ *exchange, a answer) answer { return change(a) }}
}

// ReplyError is an error in the shape that belongs to it: the gateway's for a
// code that begins with APIG, IAM's for OpToken, else the service's.
func ReplyError(httpStatus int, code, message string) Reply {
	return Reply{build: func(s *Simulator, x *exchange, _ answer) answer {
		return s.errorFor(x, httpStatus, code, message)
	}}
}

// ReplyNotSuccess is HTTP 200 with is_success false.
func ReplyNotSuccess(code, message string) Reply {
	return Reply{build: func(s *Simulator, _ *exchange, _ answer) answer {
		return s.serviceError(http.StatusOK, code, message)
	}}
}

// ReplyHTML is a proxy's page instead of JSON.
func ReplyHTML(httpStatus int) Reply {
	title := fmt.Sprintf("%d %s", httpStatus, http.StatusText(httpStatus))
	page := "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title +
		"</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
	return made(answer{
		status: httpStatus, raw: []byte(page), header: http.Header{"Content-Type": {"text/html"}},
	})
}

// ReplyEmpty is an answer without a body.
func ReplyEmpty(httpStatus int) Reply { return made(answer{status: httpStatus}) }

// ReplyRedirect sends the caller elsewhere, with 302, 307 or the like.
func ReplyRedirect(httpStatus int, location string) Reply {
	return made(answer{status: httpStatus, header: http.Header{"Location": {location}}})
}

// ReplyHTTPStatus is the honest body under another HTTP status, such as 202.
func ReplyHTTPStatus(httpStatus int) Reply {
	return altered(func(a answer) answer {
		a.status = httpStatus
		return a
	})
}

// ReplyStatus lies about the job: the honest answer with another status in it,
// in v2 with its phase. Answers without a status stay as they are.
func ReplyStatus(status v1.Status) Reply {
	return altered(func(a answer) answer {
		a.body = withStatus(a.body, int(status), phaseOf(status))
		return a
	})
}

// ReplyPhase does the same in v2 with any word, such as one that is not
// documented. Answers of v1 stay as they are.
func ReplyPhase(phase string) Reply {
	return altered(func(a answer) answer {
		a.body = withStatus(a.body, nil, phase)
		return a
	})
}

// withStatus is a body of v1 with another status, or of v2 with another phase.
func withStatus(body object, status any, phase string) object {
	body = maps.Clone(body)
	switch old := body["status"].(type) {
	case int:
		body["status"] = cmp.Or(status, any(old))
	case object:
		lie := maps.Clone(old)
		lie["phase"] = phase
		body["status"] = lie
	}
	for _, list := range []string{"jobs", "items"} {
		jobs, ok := body[list].([]object)
		if !ok {
			continue
		}
		lies := make([]object, len(jobs))
		for i, j := range jobs {
			lies[i] = withStatus(j, status, phase)
		}
		body[list] = lies
	}
	return body
}

// ReplyTruncated is the first half of the honest body, framed as if it were
// all: broken JSON in a whole answer.
func ReplyTruncated() Reply {
	return altered(func(a answer) answer {
		data := a.data()
		a.raw = data[:len(data)/2]
		return a
	})
}

// ReplyWrongTypes is the honest answer with every value of another JSON type
// than documented: numbers become arrays, strings objects, all else strings.
func ReplyWrongTypes() Reply {
	return altered(func(a answer) answer {
		wrong := object{}
		for name, v := range a.body {
			wrong[name] = wrongType(v)
		}
		a.body = wrong
		return a
	})
}

func wrongType(v any) any {
	switch v.(type) {
	case int, int64, json.Number:
		return []any{v}
	case string:
		return object{"value": v}
	}
	return fmt.Sprint(v)
}

// ReplyHuge is a successful answer whose JSON body is about size bytes long.
func ReplyHuge(size int64) Reply {
	return made(answer{status: http.StatusOK, deliver: func(w http.ResponseWriter, _ *Simulator, _ *exchange, _ []byte) {
		w.Header().Del("Content-Length")
		chunk := bytes.Repeat([]byte("x"), 32<<10)
		_, err := w.Write([]byte(`{"is_success":true,"padding":"`))
		for left := size; left > 0 && err == nil; left -= int64(len(chunk)) {
			_, err = w.Write(chunk[:min(left, int64(len(chunk)))])
		}
		_, _ = w.Write([]byte(`"}`)) // a client that has enough is the point
	}})
}

// ReplyDrip sends the honest body in pieces of size bytes, waiting for pause
// after each. It announces the whole length at the start.
func ReplyDrip(size int, pause time.Duration) Reply {
	return altered(func(a answer) answer {
		a.deliver = func(w http.ResponseWriter, s *Simulator, x *exchange, data []byte) {
			for len(data) > 0 && x.Context().Err() == nil {
				n := min(max(1, size), len(data))
				if _, err := w.Write(data[:n]); err != nil {
					return
				}
				_ = http.NewResponseController(w).Flush() // no Flush: then all comes at once
				data = data[n:]
				s.pause(x, pause)
			}
		}
		return a
	})
}

// ReplyCut announces the whole honest body, sends half and closes the
// connection.
func ReplyCut() Reply {
	return altered(func(a answer) answer {
		a.deliver = func(w http.ResponseWriter, _ *Simulator, _ *exchange, data []byte) {
			// net/http closes a connection whose answer stays short.
			_, _ = w.Write(data[:len(data)/2])
		}
		return a
	})
}

// ReplyReset answers nothing and drops the connection, with a TCP reset where
// it is TCP. The call had no effect unless the fault says AfterEffect.
func ReplyReset() Reply {
	return made(answer{deliver: func(w http.ResponseWriter, _ *Simulator, _ *exchange, _ []byte) { reset(w) }})
}

func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0) // without it the close is a friendly one
	}
	_ = conn.Close()
}
