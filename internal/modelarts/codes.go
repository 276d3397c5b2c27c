package modelarts

import "vizstop/internal/jobs"

// codeKinds is what a normalized code means when the HTTP status leaves it
// open: 2xx, 400, 403 and the other refusals of 4xx. Codes that need more than
// a look at the code are in kindOf.
var codeKinds = map[string]jobs.Kind{
	"modelarts.0010": jobs.KindUnavailable, // internal error
	"modelarts.0012": jobs.KindUnavailable, // internal timeout
	"modelarts.0013": jobs.KindUnavailable, // internal connection
	"modelarts.6100": jobs.KindUnavailable,
	"modelarts.6102": jobs.KindUnavailable,
	"modelarts.6200": jobs.KindUnavailable,
	"modelarts.0401": jobs.KindUnavailable, // OBS server error

	"modelarts.0101": jobs.KindInvalid,
	"modelarts.0103": jobs.KindInvalid, // duplicate name
	"modelarts.0104": jobs.KindInvalid,
	"modelarts.0106": jobs.KindInvalid, // limits and quotas: no retry helps this request
	"modelarts.0107": jobs.KindInvalid,
	"modelarts.0110": jobs.KindInvalid,
	"modelarts.0113": jobs.KindInvalid,
	"modelarts.0116": jobs.KindInvalid,
	"modelarts.0118": jobs.KindInvalid,
	"modelarts.2604": jobs.KindInvalid,
	"modelarts.4104": jobs.KindInvalid,

	"modelarts.2796": jobs.KindNotAllowed, // 2796, 2813, 2878: the v2 API's words for 0105
	"modelarts.2813": jobs.KindNotAllowed,
	"modelarts.2878": jobs.KindNotAllowed,

	"modelarts.0108": jobs.KindPermission,
	"modelarts.0109": jobs.KindPermission, // account frozen; with 500 something else, which the status settles
	"modelarts.0111": jobs.KindPermission, // service not activated
	"modelarts.0112": jobs.KindPermission,
	"modelarts.0207": jobs.KindPermission, // account cannot reach OBS; with 401 an expired signature
	"modelarts.0210": jobs.KindPermission, // wrong project
	"modelarts.6201": jobs.KindPermission, // account frozen
	"modelarts.6203": jobs.KindPermission,

	"modelarts.0201": jobs.KindCredentials,
	"modelarts.0202": jobs.KindCredentials,
	"modelarts.0203": jobs.KindCredentials,
	"modelarts.0204": jobs.KindCredentials,
	"modelarts.0205": jobs.KindCredentials,
	"modelarts.0206": jobs.KindCredentials,
	"modelarts.0208": jobs.KindCredentials,
	"modelarts.0209": jobs.KindCredentials,
	"modelarts.0211": jobs.KindCredentials,
	"modelarts.0212": jobs.KindCredentials,

	"modelarts.0114": jobs.KindThrottled,
	"modelarts.2799": jobs.KindThrottled,
	"modelarts.4206": jobs.KindThrottled,
	"modelarts.6101": jobs.KindThrottled,

	// The gateway: .0103 to .0106 and .0204 are its own faults, although it
	// answers 400.
	"apig.0101": jobs.KindNoAPI,
	"apig.0103": jobs.KindUnavailable,
	"apig.0104": jobs.KindUnavailable,
	"apig.0105": jobs.KindUnavailable,
	"apig.0106": jobs.KindUnavailable,
	"apig.0204": jobs.KindUnavailable,
	"apig.0601": jobs.KindUnavailable,
	"apig.0610": jobs.KindUnavailable,
	"apig.0613": jobs.KindUnavailable,
	"apig.0301": jobs.KindCredentials,
	"apig.0303": jobs.KindCredentials,
	"apig.0305": jobs.KindCredentials,
	"apig.0307": jobs.KindCredentials,
	"apig.0302": jobs.KindPermission,
	"apig.0304": jobs.KindPermission,
	"apig.0306": jobs.KindPermission,
	"apig.0310": jobs.KindPermission,
	"apig.0401": jobs.KindPermission,
	"apig.0402": jobs.KindPermission,
	"apig.0802": jobs.KindPermission,
	"apig.0308": jobs.KindThrottled,
}
