package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestErrorText(t *testing.T) {
	tests := []struct {
		err  *Error
		want string
	}{
		{&Error{Operation: OperationStop, HTTPStatus: 400, Code: "ModelArts.0105",
			Message: "This job can't be stop. job status: 10", RequestID: "r1", Kind: KindNotAllowed},
			"modelarts stop: http 400 ModelArts.0105: This job can't be stop. job status: 10, request id r1"},
		{&Error{Operation: OperationDetail, HTTPStatus: 502, Kind: KindUnavailable},
			"modelarts detail: http 502"},
		{&Error{Operation: OperationStop, Kind: KindTimeout, MaybeSent: true, Err: io.ErrUnexpectedEOF},
			"modelarts stop: timeout: unexpected EOF"},
		{&Error{Operation: OperationStop, HTTPStatus: 404, Code: "APIGW.0101", Message: "no", Kind: KindNoAPI, Hint: "not here"},
			"modelarts stop: http 404 APIGW.0101: no (not here)"},
		{&Error{Operation: OperationStop, HTTPStatus: 500, Code: "a\nb", Message: "c\r\nd", RequestID: "e\x1b[31m", Err: errors.New("f\ng")},
			"modelarts stop: http 500 a b: c d: f g, request id e [31m"},
	}
	for _, tt := range tests {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got  %q\nwant %q", got, tt.want)
		}
	}
}

func TestErrorUnwrap(t *testing.T) {
	err := fmt.Errorf("stopping: %w", &Error{Operation: OperationStop, Kind: KindCanceled, Err: context.Canceled})
	if !errors.Is(err, context.Canceled) || KindOf(err) != KindCanceled {
		t.Errorf("%v does not unwrap to context.Canceled", err)
	}
}

func TestNotSent(t *testing.T) {
	look := &Error{Operation: OperationDetail, Kind: KindTimeout, MaybeSent: true, Err: context.DeadlineExceeded}
	for _, tt := range []struct {
		err       error
		operation string
		kind      Kind
	}{
		{look, OperationDetail, KindTimeout},
		{fmt.Errorf("looking: %w", look), OperationDetail, KindTimeout},
		{context.Canceled, OperationStop, KindCanceled},
		{errors.New("redis is away"), OperationStop, KindUnavailable},
	} {
		got := NotSent(OperationStop, tt.err)
		if got.Operation != tt.operation || got.Kind != tt.kind || got.MaybeSent {
			t.Errorf("%v: got %+v", tt.err, got)
		}
	}
	if !look.MaybeSent {
		t.Error("the error of the look was altered")
	}
}
