package v2

import (
	"vizstop/internal/jobs"
	"vizstop/internal/modelarts"
)

// generation is how answers of this generation are judged: the codes decide, since
// the HTTP statuses mislead (a job that does not exist answers 400, a project that is
// not the token's 404).
//
// Source: ModelArts API reference of Open Telekom Cloud, "Error Codes".
var generation = &modelarts.Generation{Name: "v2 training-jobs API", Codes: map[string]jobs.Kind{
	"modelarts.2775": jobs.KindNotFound,
	"modelarts.2786": jobs.KindPermission, // the project is not the token's: it says nothing about the job
	"modelarts.2836": jobs.KindNoAPI,
	"modelarts.2796": jobs.KindNotAllowed,
	"modelarts.2813": jobs.KindNotAllowed,
	"modelarts.2878": jobs.KindNotAllowed, // the state has changed meanwhile
	"modelarts.2799": jobs.KindThrottled,
	"modelarts.2837": jobs.KindCredentials, // the account is frozen: nothing of this credential works
	"modelarts.2838": jobs.KindPermission,  // a policy forbids it
	"modelarts.2784": jobs.KindCredentials,
	"modelarts.2785": jobs.KindPermission,
	"modelarts.2807": jobs.KindInvalid, // 2807 to 2809: a filter's key, operator, value
	"modelarts.2808": jobs.KindInvalid,
	"modelarts.2809": jobs.KindInvalid,
	"modelarts.0101": jobs.KindInvalid,
	"modelarts.2787": jobs.KindInvalid,
	"modelarts.2788": jobs.KindInvalid,
	"modelarts.2812": jobs.KindInvalid,
	"modelarts.0010": jobs.KindUnavailable,
}}
