package modelarts

import (
	"bytes"
	"net/http"
	"strings"
	"vizstop/internal/jobs"
)

// kindOf is the one place where an answer becomes a kind. Codes changed their
// meaning between editions of the documents, so the HTTP status goes first
// wherever it says enough; the code decides where it does not, or where the
// generation of the API says that it does.
//
// Source: ModelArts API reference, "Error Codes" (the table before 2021 and the
// one after) and "Status Code"; API Gateway, "Error Codes".
func kindOf(cl *Call, a *Answer) jobs.Kind {
	if cl.Operation == jobs.OperationToken {
		return kindOfLogin(a.Status, a.problem.message)
	}
	codes := cl.generation().Codes
	code := normalizeCode(a.problem.code)
	if codes != nil { // v2 may leave out the prefix
		code = withPrefix(code, codes)
	}
	kind, decided := codes[code]
	if !decided {
		kind = kindOfCall(a, code)
	}
	switch {
	case !aboutJob(kind) || isOwn(code):
		return kind
	case !a.problem.object && isObject(bytes.TrimSpace(a.Body)):
		return jobs.KindUnavailable // JSON that breaks off comes from the right server
	}
	return jobs.KindNoAPI
}

// isOwn reports whether a normalized code is of ModelArts itself: only it can judge a
// job. An empty answer, a page of HTML or the JSON of some other gateway on the way
// says nothing about one, or ten thousand jobs would look gone.
func isOwn(code string) bool { return strings.HasPrefix(code, "modelarts.") }

func aboutJob(k jobs.Kind) bool {
	return k == jobs.KindNotFound || k == jobs.KindNotAllowed || k == jobs.KindInvalid
}

// notStoppable is the code of a job that can't be stopped, since it is not running.
const notStoppable = "modelarts.0105"

// withPrefix is a bare code with the prefix of ModelArts' own, if that makes one that is known.
func withPrefix(code string, codes map[string]jobs.Kind) string {
	full := "modelarts." + code
	if codes[full] != jobs.KindOK || codeKinds[full] != jobs.KindOK || full == notStoppable {
		return full
	}
	return code
}

func kindOfCall(a *Answer, code string) jobs.Kind {
	gateway := strings.HasPrefix(code, "apig.")
	switch {
	case code == notStoppable:
		return jobs.KindNotAllowed // no document says which HTTP status comes with it
	case a.Status/100 == 3, a.Status == http.StatusGone:
		return jobs.KindNoAPI
	case a.Status == http.StatusTooManyRequests:
		return jobs.KindThrottled
	case a.Status >= 500, a.Status == http.StatusRequestTimeout:
		return jobs.KindUnavailable
	case a.Status == http.StatusUnauthorized:
		return kindOfUnauthorized(code)
	case a.Status == http.StatusConflict:
		return jobs.KindNotAllowed
	case a.Status == http.StatusNotFound:
		return kindOfMissing(gateway, code, a.problem.message)
	}
	if kind, ok := codeKinds[code]; ok {
		return kind
	}
	if code == "modelarts.0102" && a.Status != http.StatusForbidden {
		return kindOfMissingResource(a.problem.message)
	}
	switch a.Status {
	case http.StatusForbidden:
		return jobs.KindPermission
	case 431, 494:
		return jobs.KindCredentials // headers too large, and only a token makes ours large
	case 400, 405, 411, 413, 414, 415, 422:
		return jobs.KindInvalid
	}
	// A refusal that nobody documents says nothing about the job.
	return jobs.KindUnavailable
}

// kindOfLogin never blames the job. What IAM refuses, it refuses to all jobs of the
// project for which the token was to be; to those of all projects if it is about the
// user. No document says which text comes for a project that does not exist.
func kindOfLogin(status int, message string) jobs.Kind {
	switch {
	case status/100 == 3:
		return jobs.KindNoAPI
	case status == http.StatusTooManyRequests:
		return jobs.KindThrottled
	case status == http.StatusRequestTimeout, status/100 != 4:
		return jobs.KindUnavailable
	case status == http.StatusUnauthorized && isAboutUser(message):
		return jobs.KindCredentials
	}
	return jobs.KindPermission
}

// isAboutUser reports whether a refused login would be refused for any project.
func isAboutUser(message string) bool {
	return mentions(message, "password") || mentions(message, "user", "account", "domain") && !mentions(message, "project")
}

// kindOfUnauthorized: an account that is frozen or a policy that forbids also
// answers 401, and no new token helps against that.
func kindOfUnauthorized(code string) jobs.Kind {
	switch code {
	case "modelarts.0112", "modelarts.6201", "modelarts.6203":
		return jobs.KindPermission
	}
	return jobs.KindCredentials
}

// kindOfMissing reads a 404: the gateway means the API, ModelArts the job.
func kindOfMissing(gateway bool, code, message string) jobs.Kind {
	switch {
	case gateway:
		return jobs.KindNoAPI
	case code == "modelarts.0102" && mentions(message, "workspace"):
		return jobs.KindInvalid
	}
	return jobs.KindNotFound
}

// kindOfMissingResource reads 0102, which the old table calls "resource does not
// exist" and the new one "workspace does not exist".
func kindOfMissingResource(message string) jobs.Kind {
	if mentions(message, "job", "resource") && !mentions(message, "workspace") {
		return jobs.KindNotFound
	}
	return jobs.KindInvalid
}

func mentions(message string, words ...string) bool {
	message = strings.ToLower(message)
	for _, w := range words {
		if strings.Contains(message, w) {
			return true
		}
	}
	return false
}

// normalizeCode lowers a code and writes both of the gateway's prefixes, APIG.
// and APIGW., as apig.
func normalizeCode(code string) string {
	code = strings.ToLower(strings.TrimSpace(code))
	if rest, ok := strings.CutPrefix(code, "apigw."); ok {
		return "apig." + rest
	}
	return code
}
