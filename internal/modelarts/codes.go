package modelarts

// codeKinds is what a normalized code means when the HTTP status leaves it
// open: 2xx, 400, 403 and the other refusals of 4xx. Codes that need more than
// a look at the code are in kindOf.
var codeKinds = map[string]Kind{
	"modelarts.0010": KindUnavailable, // internal error
	"modelarts.0012": KindUnavailable, // internal timeout
	"modelarts.0013": KindUnavailable, // internal connection
	"modelarts.6100": KindUnavailable,
	"modelarts.6102": KindUnavailable,
	"modelarts.6200": KindUnavailable,
	"modelarts.0401": KindUnavailable, // OBS server error

	"modelarts.0101": KindInvalid,
	"modelarts.0103": KindInvalid, // duplicate name
	"modelarts.0104": KindInvalid,
	"modelarts.0106": KindInvalid, // limits and quotas: no retry helps this request
	"modelarts.0107": KindInvalid,
	"modelarts.0110": KindInvalid,
	"modelarts.0113": KindInvalid,
	"modelarts.0116": KindInvalid,
	"modelarts.0118": KindInvalid,
	"modelarts.2604": KindInvalid,
	"modelarts.4104": KindInvalid,

	"modelarts.2796": KindNotAllowed, // 2796, 2813, 2878: the v2 API's words for 0105
	"modelarts.2813": KindNotAllowed,
	"modelarts.2878": KindNotAllowed,

	"modelarts.0108": KindPermission,
	"modelarts.0109": KindPermission, // account frozen; with 500 something else, which the status settles
	"modelarts.0111": KindPermission, // service not activated
	"modelarts.0112": KindPermission,
	"modelarts.0207": KindPermission, // account cannot reach OBS; with 401 an expired signature
	"modelarts.0210": KindPermission, // wrong project
	"modelarts.6201": KindPermission, // account frozen
	"modelarts.6203": KindPermission,

	"modelarts.0201": KindCredentials,
	"modelarts.0202": KindCredentials,
	"modelarts.0203": KindCredentials,
	"modelarts.0204": KindCredentials,
	"modelarts.0205": KindCredentials,
	"modelarts.0206": KindCredentials,
	"modelarts.0208": KindCredentials,
	"modelarts.0209": KindCredentials,
	"modelarts.0211": KindCredentials,
	"modelarts.0212": KindCredentials,

	"modelarts.0114": KindThrottled,
	"modelarts.2799": KindThrottled,
	"modelarts.4206": KindThrottled,
	"modelarts.6101": KindThrottled,

	// The gateway: .0103 to .0106 and .0204 are its own faults, although it
	// answers 400.
	"apig.0101": KindNoAPI,
	"apig.0103": KindUnavailable,
	"apig.0104": KindUnavailable,
	"apig.0105": KindUnavailable,
	"apig.0106": KindUnavailable,
	"apig.0204": KindUnavailable,
	"apig.0601": KindUnavailable,
	"apig.0610": KindUnavailable,
	"apig.0613": KindUnavailable,
	"apig.0301": KindCredentials,
	"apig.0303": KindCredentials,
	"apig.0305": KindCredentials,
	"apig.0307": KindCredentials,
	"apig.0302": KindPermission,
	"apig.0304": KindPermission,
	"apig.0306": KindPermission,
	"apig.0310": KindPermission,
	"apig.0401": KindPermission,
	"apig.0402": KindPermission,
	"apig.0802": KindPermission,
	"apig.0308": KindThrottled,
}
