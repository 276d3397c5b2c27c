package modelartstest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
)

// object is a JSON object in the making.
type object = map[string]any

// answer is what goes back, before it is written.
type answer struct {
	status  int
	code    string // error code, for the record
	header  http.Header
	body    object
	raw     []byte // instead of body
	deliver func(w http.ResponseWriter, s *Simulator, x *exchange, data []byte)
}

func success(fields object) answer {
	body := object{"is_success": true}
	maps.Copy(body, fields)
	return answer{status: http.StatusOK, body: body}
}

// failure is a refusal by the service itself. Which HTTP status goes with it is
// not documented, so the configuration says.
func (s *Simulator) failure(code, message string) answer {
	return s.serviceError(s.cfg.BusinessFailureStatus, code, message)
}

func (s *Simulator) serviceError(status int, code, message string) answer {
	body := object{"is_success": false, "error_code": code}
	if s.cfg.ErrorField == "both" {
		body["error_msg"], body["error_message"] = message, message
	} else {
		body[s.cfg.ErrorField] = message
	}
	return answer{status: status, code: code, body: body}
}

// gateway is a refusal by the gateway in front of the service. The suffix, such
// as ".0301", completes the prefix of the configuration.
//
// Source: API Gateway user guide and API Request Signing Guide, "Error Codes".
func (s *Simulator) gateway(x *exchange, status int, suffix, message string) *answer {
	a := gatewayError(x, status, s.cfg.GatewayPrefix+suffix, message)
	return &a
}

func gatewayError(x *exchange, status int, code, message string) answer {
	return answer{status: status, code: code, body: object{
		"error_code": code, "error_msg": message, "request_id": x.id,
	}}
}

// iamError has the third shape of an error.
//
// Source: IAM API reference, "Obtaining a User Token Through Password
// Authentication".
func iamError(status int, message string) answer {
	return answer{status: status, code: strconv.Itoa(status), body: object{"error": object{
		"code": status, "message": message, "title": http.StatusText(status),
	}}}
}

// errorFor gives an error the shape that its code and the operation call for.
func (s *Simulator) errorFor(x *exchange, status int, code, message string) answer {
	switch {
	case x.op == OpToken || x.op == OpAssume:
		return iamError(status, message)
	case strings.HasPrefix(code, "APIG"):
		return gatewayError(x, status, code, message)
	case x.generation == V2:
		return v2Error(status, code, message)
	default:
		return s.serviceError(status, code, message)
	}
}

func (a answer) data() []byte {
	if a.raw != nil || a.body == nil {
		return a.raw
	}
	data, err := json.Marshal(a.body)
	if err != nil {
		// Bodies hold only maps, slices, strings, numbers and booleans.
		panic("modelartstest: encode answer: " + err.Error())
	}
	return data
}

func (s *Simulator) write(w http.ResponseWriter, x *exchange, a answer) {
	if x.op == OpAssume {
		s.assumeEnds(x)
	}
	now := s.now()
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=UTF-8")
	h.Set("Date", now.UTC().Format(http.TimeFormat))
	h.Set("X-Request-Id", fmt.Sprintf("%s-%d-simulator", x.id, now.UnixMilli()))
	maps.Copy(h, a.header)
	data := a.data()
	if a.deliver != nil {
		h.Set("Content-Length", strconv.Itoa(len(data)))
		w = &lateHeader{ResponseWriter: w, status: a.status}
		a.deliver(w, s, x, data)
		return
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(data) // the client has gone; nothing to do
}

// lateHeader writes the status with the first byte, so that a delivery may
// still drop or hijack the connection.
type lateHeader struct {
	http.ResponseWriter
	status int
	sent   bool
}

func (l *lateHeader) Write(p []byte) (int, error) {
	if !l.sent {
		l.sent = true
		l.WriteHeader(l.status)
	}
	return l.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController find Flush and Hijack.
func (l *lateHeader) Unwrap() http.ResponseWriter { return l.ResponseWriter }

// requestID is the n-th id, in the gateway's form of 32 hex digits.
func requestID(n uint64) string { return fmt.Sprintf("%032x", n) }
