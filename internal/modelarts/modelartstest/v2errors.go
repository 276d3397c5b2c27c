package modelartstest

import (
	"net/http"
	"slices"
)

// V2Error is a row of the error table of v2. The HTTP statuses are the documented ones, however misleading.
//
// Source: ModelArts API reference, "Error Codes". The texts are guesses.
type V2Error struct {
	HTTPStatus    int
	Code, Message string
}

// V2Errors are the rows that concern lists, details and actions.
func V2Errors() []V2Error {
	return []V2Error{
		{http.StatusBadRequest, "ModelArts.0101", "The request is invalid"},
		{http.StatusBadRequest, "ModelArts.2775", "The training job does not exist"},
		{http.StatusForbidden, "ModelArts.2784", "The token is invalid"},
		{http.StatusForbidden, "ModelArts.2785", "ModelArts is not authorized"},
		{http.StatusNotFound, "ModelArts.2786", "The project in the URI is not the project of the token"},
		{http.StatusBadRequest, "ModelArts.2787", "A parameter is invalid"},
		{http.StatusBadRequest, "ModelArts.2788", "A parameter is missing"},
		{http.StatusConflict, "ModelArts.2796", "The training job cannot be terminated in its current state"},
		{http.StatusTooManyRequests, "ModelArts.2799", "Too many requests"},
		{http.StatusBadRequest, "ModelArts.2807", "The filter key is not supported"},
		{http.StatusBadRequest, "ModelArts.2808", "The filter operator is not supported"},
		{http.StatusBadRequest, "ModelArts.2809", "The filter value is not supported"},
		{http.StatusBadRequest, "ModelArts.2812", "The operation is not supported"},
		{http.StatusConflict, "ModelArts.2813", "The training job cannot be restarted"},
		{http.StatusNotFound, "ModelArts.2836", "The path does not exist"},
		{http.StatusBadRequest, "ModelArts.2837", "The account is frozen"},
		{http.StatusBadRequest, "ModelArts.2838", "A policy forbids the operation"},
		{http.StatusConflict, "ModelArts.2878", "The state of the training job has changed"},
		{http.StatusInternalServerError, "ModelArts.0010", "Internal error"},
	}
}

// findV2Error is the row of a code; false if there is none.
func findV2Error(code string) (V2Error, bool) {
	rows := V2Errors()
	i := slices.IndexFunc(rows, func(e V2Error) bool { return e.Code == code })
	if i < 0 {
		return V2Error{}, false
	}
	return rows[i], true
}

// ReplyV2Error is the answer that V2Errors has for code. It panics if there is no such row.
func ReplyV2Error(code string) Reply { return made(*documented(code)) }

// documented is the refusal with that code.
func documented(code string) *answer {
	e, ok := findV2Error(code)
	if !ok {
		panic("modelartstest: no row of V2Errors has the code " + code)
	}
	a := v2Error(e.HTTPStatus, e.Code, e.Message)
	return &a
}

func v2Error(status int, code, message string) answer {
	return answer{status: status, code: code, body: object{"error_code": code, "error_msg": message}}
}
