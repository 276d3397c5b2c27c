package modelarts

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"vizstop/internal/modelarts/loose"
)

// problem is what an answer's body says about failure, in whichever of the
// documented shapes: error_code with error_msg or error_message, code with
// message, or one of these nested one level down, as IAM does.
type problem struct {
	object    bool // the body is a JSON object
	failed    bool // is_success is false or there is an error_code: not a success, even with 2xx
	code      string
	message   string
	requestID string
}

// problemFields are the names in use.
type problemFields struct {
	IsSuccess    loose.False  `json:"is_success"`
	ErrorCode    loose.String `json:"error_code"`
	ErrorMsg     loose.String `json:"error_msg"`
	ErrorMessage loose.String `json:"error_message"`
	Code         loose.String `json:"code"`
	Message      loose.String `json:"message"`
	Title        loose.String `json:"title"`
	RequestID    loose.String `json:"request_id"`
}

func (f *problemFields) code() string {
	return string(firstOf(f.ErrorCode, f.Code))
}

func (f *problemFields) message() string {
	return string(firstOf(f.ErrorMessage, f.ErrorMsg, f.Message, f.Title))
}

func firstOf(texts ...loose.String) loose.String {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// readProblem is the zero value for a body that is not a JSON object.
func readProblem(body []byte) problem {
	var top problemFields
	if !isObject(body) || json.Unmarshal(body, &top) != nil {
		return problem{}
	}
	p := problem{
		object:    true,
		failed:    bool(top.IsSuccess) || top.ErrorCode != "",
		code:      top.code(),
		message:   top.message(),
		requestID: string(top.RequestID),
	}
	if p.code == "" && bytes.Count(body, []byte("{")) > 1 {
		p.readNested(body)
	}
	return p
}

func isObject(raw []byte) bool { return bytes.HasPrefix(raw, []byte("{")) }

// readNested looks into "error" first, then into every other member that is an
// object. Only an error_code inside "error" makes a failure of a 2xx: a job's
// own details may have codes of any kind.
func (p *problem) readNested(body []byte) {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return
	}
	names := slices.Sorted(maps.Keys(members))
	if _, ok := members["error"]; ok {
		names = append([]string{"error"}, names...)
	}
	for _, name := range names {
		var inner problemFields
		if !isObject(members[name]) || json.Unmarshal(members[name], &inner) != nil {
			continue
		}
		if inner.code() == "" && inner.message() == "" {
			continue
		}
		p.code = inner.code()
		if m := inner.message(); m != "" {
			p.message = m
		}
		if p.requestID == "" {
			p.requestID = string(inner.RequestID)
		}
		p.failed = p.failed || name == "error" && inner.ErrorCode != ""
		return
	}
}
