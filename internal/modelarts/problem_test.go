package modelarts

import "testing"

func TestReadProblem(t *testing.T) {
	for body, want := range map[string]problem{
		``:        {},
		`null`:    {},
		`[]`:      {},
		`"text"`:  {},
		`{"a":1`:  {},
		`{} {}`:   {},
		`<html>`:  {},
		`{}`:      {object: true},
		`{"x":1}`: {object: true},

		`{"is_success":true}`:                                    {object: true},
		`{"is_success":null}`:                                    {object: true},
		`{"is_success":false}`:                                   {object: true, failed: true},
		`{"is_success":"false"}`:                                 {object: true, failed: true},
		`{"is_success":true,"error_code":"","error_msg":""}`:     {object: true},
		`{"is_success":true,"error_code":null,"error_msg":null}`: {object: true},
		`{"is_success":true,"error_code":"X"}`:                   {object: true, failed: true, code: "X"},
		`{"error_code":105,"error_msg":5}`:                       {object: true, failed: true, code: "105", message: "5"},

		// Both fields at once: the first that is not empty.
		`{"error_code":"X","error_msg":"old","error_message":""}`:    {object: true, failed: true, code: "X", message: "old"},
		`{"error_code":"X","error_msg":"old","error_message":"new"}`: {object: true, failed: true, code: "X", message: "new"},

		// The other shapes decide nothing by themselves, the HTTP status does.
		`{"code":"X","message":"m","request_id":"r"}`:                     {object: true, code: "X", message: "m", requestID: "r"},
		`{"error":{"code":401,"message":"m","title":"t"}}`:                {object: true, code: "401", message: "m"},
		`{"error":{"title":"t"}}`:                                         {object: true, message: "t"},
		`{"error":{"error_code":"X","error_msg":"m","request_id":"r"}}`:   {object: true, failed: true, code: "X", message: "m", requestID: "r"},
		`{"detail":{"error_code":"X","error_msg":"m"}}`:                   {object: true, code: "X", message: "m"},
		`{"a":{"code":"A"},"error":{"code":"E"}}`:                         {object: true, code: "E"},
		`{"message":"outer","error":"Not Found"}`:                         {object: true, message: "outer"},
		`{"message":"outer","error":{"error_code":"X"}}`:                  {object: true, failed: true, code: "X", message: "outer"},
		`{"error_code":{"odd":1},"error_msg":["odd"],"is_success":false}`: {object: true, failed: true},
	} {
		if got := readProblem([]byte(body)); got != want {
			t.Errorf("%s\ngot  %+v\nwant %+v", body, got, want)
		}
	}
}
