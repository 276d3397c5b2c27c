package modelarts

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// kindRow is one row of the documents' tables. Codes without a dot are
// ModelArts codes; ".0301" is a gateway code, tried under both prefixes.
type kindRow struct {
	status  int
	code    string
	message string
	want    Kind
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
				apiErr := judgeBody(OperationStop, r.status, body)
				if apiErr == nil {
					t.Fatal("taken for a success")
				}
				if apiErr.Kind != r.want {
					t.Errorf("kind = %v, want %v", apiErr.Kind, r.want)
				}
				if want := r.want == KindUnavailable; apiErr.MaybeSent != want {
					t.Errorf("MaybeSent = %v, want %v", apiErr.MaybeSent, want)
				}
			})
		}
	}
}

// judgeBody judges an answer without a server.
func judgeBody(operation string, status int, body string) *APIError {
	cl := &call{operation: operation, accept: func(*answer) error { return nil }}
	a := &answer{status: status, header: http.Header{}, body: []byte(body)}
	return judge(cl, a, nil, newClock().Now())
}

func TestKindOfStatus(t *testing.T) {
	for status, want := range map[int]Kind{
		301: KindNoAPI, 302: KindNoAPI, 307: KindNoAPI, 308: KindNoAPI,
		400: KindInvalid, 401: KindCredentials, 402: KindUnavailable, 403: KindPermission,
		404: KindNotFound, 405: KindInvalid, 408: KindUnavailable, 409: KindNotAllowed,
		410: KindNoAPI, 411: KindInvalid, 413: KindInvalid, 414: KindInvalid, 415: KindInvalid,
		418: KindUnavailable, 422: KindInvalid, 429: KindThrottled, 431: KindCredentials, 494: KindCredentials,
		500: KindUnavailable, 501: KindUnavailable, 502: KindUnavailable, 503: KindUnavailable,
		504: KindUnavailable, 505: KindUnavailable,
	} {
		bare := want
		if want.aboutJob() { // only ModelArts' own code says something about a job
			bare = KindNoAPI
		}
		checkKinds(t, []kindRow{{status: status, want: bare}, {status, "9999", "never heard of", want}})
	}
}

// Both tables of the error-code page. A code whose HTTP status is not documented
// stands with each that is likely.
func TestKindOfCode(t *testing.T) {
	var rows []kindRow
	for _, status := range []int{200, 400, 403, 404, 409, 500} {
		rows = append(rows, kindRow{status, "0105", "This job can't be stop. job status: 10", KindNotAllowed})
	}
	for _, code := range []string{"0101", "0103", "0104", "0106", "0107", "0110", "0113", "0116", "0118", "2604"} {
		rows = append(rows, kindRow{200, code, "", KindInvalid}, kindRow{400, code, "", KindInvalid})
	}
	for _, code := range []string{"0201", "0202", "0203", "0204", "0205", "0206", "0208", "0209", "0211", "0212"} {
		for _, status := range []int{200, 400, 401, 403} {
			rows = append(rows, kindRow{status, code, "", KindCredentials})
		}
	}
	for _, code := range []string{"0108", "0109", "0111", "0112", "0207", "0210", "6201", "6203"} {
		for _, status := range []int{200, 400, 403} {
			rows = append(rows, kindRow{status, code, "", KindPermission})
		}
	}
	for _, code := range []string{"0114", "2799", "4206", "6101"} {
		for _, status := range []int{200, 400, 403, 429} {
			rows = append(rows, kindRow{status, code, "", KindThrottled})
		}
	}
	for _, code := range []string{"0010", "0012", "0013", "6100", "6102", "6200", "0401"} {
		for _, status := range []int{200, 400, 408, 500} {
			rows = append(rows, kindRow{status, code, "", KindUnavailable})
		}
	}
	checkKinds(t, append(rows, []kindRow{
		{404, "0015", "The requested resource does not exist.", KindNotFound},
		{404, "0102", "The job does not exist.", KindNotFound},
		{400, "0102", "The job 4211 does not exist.", KindNotFound},
		{200, "0102", "Resource not found.", KindNotFound},
		{400, "0102", "The workspace does not exist.", KindInvalid},
		{404, "0102", "The workspace does not exist.", KindInvalid},
		{400, "0102", "The workspace of the job does not exist.", KindInvalid},
		{400, "0102", "", KindInvalid},
		{403, "0102", "The job does not exist.", KindPermission},
		{500, "0102", "The job does not exist.", KindUnavailable},
		{500, "0109", "", KindUnavailable},
		{401, "0112", "", KindPermission},
		{401, "6201", "", KindPermission},
		{401, "6203", "", KindPermission},
		{401, "0207", "", KindCredentials},
		{401, "0210", "", KindCredentials},
		{409, "2796", "", KindNotAllowed},
		{409, "2813", "", KindNotAllowed},
		{409, "2878", "", KindNotAllowed},
		{200, "2796", "", KindNotAllowed},
		{413, "4104", "", KindInvalid},
		{500, "6102", "", KindUnavailable},
		{200, "9999", "never heard of", KindUnavailable},
	}...))
}

// The gateway's table.
func TestKindOfGatewayCode(t *testing.T) {
	checkKinds(t, []kindRow{
		{404, ".0101", "The API does not exist", KindNoAPI},
		{404, ".0103", "backend not found", KindNoAPI},
		{500, ".0103", "", KindUnavailable},
		{400, ".0104", "", KindUnavailable},
		{500, ".0104", "", KindUnavailable},
		{400, ".0105", "", KindUnavailable},
		{500, ".0105", "", KindUnavailable},
		{400, ".0106", "", KindUnavailable},
		{400, ".0201", "", KindNoAPI},
		{413, ".0201", "", KindNoAPI},
		{414, ".0201", "", KindNoAPI},
		{494, ".0201", "", KindCredentials},
		{500, ".0201", "", KindUnavailable},
		{502, ".0201", "", KindUnavailable},
		{504, ".0201", "", KindUnavailable},
		{400, ".0204", "", KindUnavailable},
		{401, ".0301", "", KindCredentials},
		{403, ".0301", "", KindCredentials},
		{403, ".0302", "", KindPermission},
		{401, ".0303", "", KindCredentials},
		{403, ".0304", "", KindPermission},
		{401, ".0305", "", KindCredentials},
		{403, ".0306", "", KindPermission},
		{401, ".0307", "The token must be updated", KindCredentials},
		{429, ".0308", "", KindThrottled},
		{403, ".0308", "", KindThrottled},
		{403, ".0310", "", KindPermission},
		{403, ".0401", "", KindPermission},
		{403, ".0402", "", KindPermission},
		{500, ".0601", "", KindUnavailable},
		{400, ".0602", "", KindNoAPI},
		{502, ".0610", "", KindUnavailable},
		{503, ".0613", "", KindUnavailable},
		{403, ".0802", "", KindPermission},
	})
}

// What does not hold ModelArts' own code is another server's answer, and says
// nothing about a job.
func TestKindOfForeignAnswer(t *testing.T) {
	for _, body := range []string{"", "{}", "<html>404 Not Found</html>", "default backend - 404", `["no", "object"]`,
		`{"message":"no Route matched with those values"}`, `{"error_code":"IAM.0011","error_msg":"not found"}`, `{"code":404,"message":"job not found"}`} {
		for status, want := range map[int]Kind{
			400: KindNoAPI, 404: KindNoAPI, 405: KindNoAPI, 409: KindNoAPI, 413: KindNoAPI,
			401: KindCredentials, 403: KindPermission, 429: KindThrottled, 502: KindUnavailable,
		} {
			if apiErr := judgeBody(OperationStop, status, body); apiErr.Kind != want {
				t.Errorf("%d with %q is %v, want %v", status, body, apiErr.Kind, want)
			}
		}
	}
	for _, body := range []string{`{"is_success": false, "error_mess`, ` {"is_success"`} { // our own server's, cut off
		for _, status := range []int{400, 404, 409} {
			if apiErr := judgeBody(OperationStop, status, body); apiErr.Kind != KindUnavailable || !apiErr.MaybeSent {
				t.Errorf("%d with %q is %v, maybe sent %v", status, body, apiErr.Kind, apiErr.MaybeSent)
			}
		}
	}
}

// Whatever IAM refuses is never a job's fault.
func TestKindOfLogin(t *testing.T) {
	for status, want := range map[int]Kind{
		200: KindUnavailable, 302: KindNoAPI, 400: KindPermission, 401: KindPermission,
		403: KindPermission, 404: KindPermission, 405: KindPermission, 408: KindUnavailable,
		409: KindPermission, 429: KindThrottled, 500: KindUnavailable, 503: KindUnavailable,
	} {
		apiErr := judgeBody(OperationToken, status, `{"error":{"code":1,"message":"no","error_code":"IAM.1"}}`)
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
