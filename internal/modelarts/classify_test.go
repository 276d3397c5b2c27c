package modelarts

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"vizstop/internal/jobs"
)

// kindRow is one row of the documents' tables. Codes without a dot are
// ModelArts codes; ".0301" is a gateway code, tried under both prefixes.
type kindRow struct {
	status  int
	code    string
	message string
	want    jobs.Kind
}

func (r kindRow) codes() []string {
	switch {
	case r.code == "":
		return []string{""}
	case strings.HasPrefix(r.code, "."):
		return []string{"APIG" + r.code, "APIGW" + r.code}
	}
	return []string{"ModelArts." + r.code}
}

func checkKinds(t *testing.T, rows []kindRow) {
	t.Helper()
	for _, r := range rows {
		for _, code := range r.codes() {
			t.Run(fmt.Sprintf("%d %s %s", r.status, code, r.message), func(t *testing.T) {
				body := fmt.Sprintf(`{"error_code":%q,"error_msg":%q}`, code, r.message)
				apiErr := judgeBody(jobs.OperationStop, r.status, body)
				if apiErr == nil {
					t.Fatal("taken for a success")
				}
				if apiErr.Kind != r.want {
					t.Errorf("kind = %v, want %v", apiErr.Kind, r.want)
				}
				if want := r.want == jobs.KindUnavailable; apiErr.MaybeSent != want {
					t.Errorf("MaybeSent = %v, want %v", apiErr.MaybeSent, want)
				}
			})
		}
	}
}

// judgeBody judges an answer without a server.
func judgeBody(operation string, status int, body string) *jobs.Error {
	cl := &Call{Operation: operation, Accept: func(*Answer) error { return nil }}
	a := &Answer{Status: status, Header: http.Header{}, Body: []byte(body)}
	return judge(cl, a, nil, newClock().Now())
}

func TestKindOfStatus(t *testing.T) {
	for status, want := range map[int]jobs.Kind{
		301: jobs.KindNoAPI, 302: jobs.KindNoAPI, 307: jobs.KindNoAPI, 308: jobs.KindNoAPI,
		400: jobs.KindInvalid, 401: jobs.KindCredentials, 402: jobs.KindUnavailable, 403: jobs.KindPermission,
		404: jobs.KindNotFound, 405: jobs.KindInvalid, 408: jobs.KindUnavailable, 409: jobs.KindNotAllowed,
		410: jobs.KindNoAPI, 411: jobs.KindInvalid, 413: jobs.KindInvalid, 414: jobs.KindInvalid, 415: jobs.KindInvalid,
		418: jobs.KindUnavailable, 422: jobs.KindInvalid, 429: jobs.KindThrottled, 431: jobs.KindCredentials, 494: jobs.KindCredentials,
		500: jobs.KindUnavailable, 501: jobs.KindUnavailable, 502: jobs.KindUnavailable, 503: jobs.KindUnavailable,
		504: jobs.KindUnavailable, 505: jobs.KindUnavailable,
	} {
		bare := want
		if aboutJob(want) { // only ModelArts' own code says something about a job
			bare = jobs.KindNoAPI
		}
		checkKinds(t, []kindRow{{status: status, want: bare}, {status, "9999", "never heard of", want}})
	}
}

// Both tables of the error-code page. A code whose HTTP status is not documented
// stands with each that is likely.
func TestKindOfCode(t *testing.T) {
	var rows []kindRow
	for _, status := range []int{200, 400, 403, 404, 409, 500} {
		rows = append(rows, kindRow{status, "0105", "This job can't be stop. job status: 10", jobs.KindNotAllowed})
	}
	for _, code := range []string{"0101", "0103", "0104", "0106", "0107", "0110", "0113", "0116", "0118", "2604"} {
		rows = append(rows, kindRow{200, code, "", jobs.KindInvalid}, kindRow{400, code, "", jobs.KindInvalid})
	}
	for _, code := range []string{"0201", "0202", "0203", "0204", "0205", "0206", "0208", "0209", "0211", "0212"} {
		for _, status := range []int{200, 400, 401, 403} {
			rows = append(rows, kindRow{status, code, "", jobs.KindCredentials})
		}
	}
	for _, code := range []string{"0108", "0109", "0111", "0112", "0207", "0210", "6201", "6203"} {
		for _, status := range []int{200, 400, 403} {
			rows = append(rows, kindRow{status, code, "", jobs.KindPermission})
		}
	}
	for _, code := range []string{"0114", "2799", "4206", "6101"} {
		for _, status := range []int{200, 400, 403, 429} {
			rows = append(rows, kindRow{status, code, "", jobs.KindThrottled})
		}
	}
	for _, code := range []string{"0010", "0012", "0013", "6100", "6102", "6200", "0401"} {
		for _, status := range []int{200, 400, 408, 500} {
			rows = append(rows, kindRow{status, code, "", jobs.KindUnavailable})
		}
	}
	checkKinds(t, append(rows, []kindRow{
		{404, "0015", "The requested resource does not exist.", jobs.KindNotFound},
		{404, "0102", "The job does not exist.", jobs.KindNotFound},
		{400, "0102", "The job 4211 does not exist.", jobs.KindNotFound},
		{200, "0102", "Resource not found.", jobs.KindNotFound},
		{400, "0102", "The workspace does not exist.", jobs.KindInvalid},
		{404, "0102", "The workspace does not exist.", jobs.KindInvalid},
		{400, "0102", "The workspace of the job does not exist.", jobs.KindInvalid},
		{400, "0102", "", jobs.KindInvalid},
		{403, "0102", "The job does not exist.", jobs.KindPermission},
		{500, "0102", "The job does not exist.", jobs.KindUnavailable},
		{500, "0109", "", jobs.KindUnavailable},
		{401, "0112", "", jobs.KindPermission},
		{401, "6201", "", jobs.KindPermission},
		{401, "6203", "", jobs.KindPermission},
		{401, "0207", "", jobs.KindCredentials},
		{401, "0210", "", jobs.KindCredentials},
		{409, "2796", "", jobs.KindNotAllowed},
		{409, "2813", "", jobs.KindNotAllowed},
		{409, "2878", "", jobs.KindNotAllowed},
		{200, "2796", "", jobs.KindNotAllowed},
		{413, "4104", "", jobs.KindInvalid},
		{500, "6102", "", jobs.KindUnavailable},
		{200, "9999", "never heard of", jobs.KindUnavailable},
	}...))
}

// The gateway's table.
func TestKindOfGatewayCode(t *testing.T) {
	checkKinds(t, []kindRow{
		{404, ".0101", "The API does not exist", jobs.KindNoAPI},
		{404, ".0103", "backend not found", jobs.KindNoAPI},
		{500, ".0103", "", jobs.KindUnavailable},
		{400, ".0104", "", jobs.KindUnavailable},
		{500, ".0104", "", jobs.KindUnavailable},
		{400, ".0105", "", jobs.KindUnavailable},
		{500, ".0105", "", jobs.KindUnavailable},
		{400, ".0106", "", jobs.KindUnavailable},
		{400, ".0201", "", jobs.KindNoAPI},
		{413, ".0201", "", jobs.KindNoAPI},
		{414, ".0201", "", jobs.KindNoAPI},
		{494, ".0201", "", jobs.KindCredentials},
		{500, ".0201", "", jobs.KindUnavailable},
		{502, ".0201", "", jobs.KindUnavailable},
		{504, ".0201", "", jobs.KindUnavailable},
		{400, ".0204", "", jobs.KindUnavailable},
		{401, ".0301", "", jobs.KindCredentials},
		{403, ".0301", "", jobs.KindCredentials},
		{403, ".0302", "", jobs.KindPermission},
		{401, ".0303", "", jobs.KindCredentials},
		{403, ".0304", "", jobs.KindPermission},
		{401, ".0305", "", jobs.KindCredentials},
		{403, ".0306", "", jobs.KindPermission},
		{401, ".0307", "The token must be updated", jobs.KindCredentials},
		{429, ".0308", "", jobs.KindThrottled},
		{403, ".0308", "", jobs.KindThrottled},
		{403, ".0310", "", jobs.KindPermission},
		{403, ".0401", "", jobs.KindPermission},
		{403, ".0402", "", jobs.KindPermission},
		{500, ".0601", "", jobs.KindUnavailable},
		{400, ".0602", "", jobs.KindNoAPI},
		{502, ".0610", "", jobs.KindUnavailable},
		{503, ".0613", "", jobs.KindUnavailable},
		{403, ".0802", "", jobs.KindPermission},
	})
}

// What does not hold ModelArts' own code is another server's answer, and says
// nothing about a job.
func TestKindOfForeignAnswer(t *testing.T) {
	for _, body := range []string{"", "{}", "<html>404 Not Found</html>", "default backend - 404", `["no", "object"]`,
		`{"message":"no Route matched with those values"}`, `{"error_code":"IAM.0011","error_msg":"not found"}`, `{"code":404,"message":"job not found"}`} {
		for status, want := range map[int]jobs.Kind{
			400: jobs.KindNoAPI, 404: jobs.KindNoAPI, 405: jobs.KindNoAPI, 409: jobs.KindNoAPI, 413: jobs.KindNoAPI,
			401: jobs.KindCredentials, 403: jobs.KindPermission, 429: jobs.KindThrottled, 502: jobs.KindUnavailable,
		} {
			if apiErr := judgeBody(jobs.OperationStop, status, body); apiErr.Kind != want {
				t.Errorf("%d with %q is %v, want %v", status, body, apiErr.Kind, want)
			}
		}
	}
	for _, body := range []string{`{"is_success": false, "error_mess`, ` {"is_success"`} { // our own server's, cut off
		for _, status := range []int{400, 404, 409} {
			if apiErr := judgeBody(jobs.OperationStop, status, body); apiErr.Kind != jobs.KindUnavailable || !apiErr.MaybeSent {
				t.Errorf("%d with %q is %v, maybe sent %v", status, body, apiErr.Kind, apiErr.MaybeSent)
			}
		}
	}
}

// Whatever IAM refuses is never a job's fault.
func TestKindOfLogin(t *testing.T) {
	for status, want := range map[int]jobs.Kind{
		200: jobs.KindUnavailable, 302: jobs.KindNoAPI, 400: jobs.KindPermission, 401: jobs.KindPermission,
		403: jobs.KindPermission, 404: jobs.KindPermission, 405: jobs.KindPermission, 408: jobs.KindUnavailable,
		409: jobs.KindPermission, 429: jobs.KindThrottled, 500: jobs.KindUnavailable, 503: jobs.KindUnavailable,
	} {
		apiErr := judgeBody(jobs.OperationToken, status, `{"error":{"code":1,"message":"no","error_code":"IAM.1"}}`)
		if apiErr.Kind != want || apiErr.MaybeSent {
			t.Errorf("login with %d is %v, MaybeSent %v; want %v, false", status, apiErr.Kind, apiErr.MaybeSent, want)
		}
	}
}

func TestNormalizeCode(t *testing.T) {
	for code, want := range map[string]string{
		"ModelArts.0105": "modelarts.0105", " modelarts.0105 ": "modelarts.0105",
		"APIG.0301": "apig.0301", "APIGW.0301": "apig.0301", "": "", "APIGX.0301": "apigx.0301",
	} {
		if got := normalizeCode(code); got != want {
			t.Errorf("normalizeCode(%q) = %q, want %q", code, got, want)
		}
	}
}
