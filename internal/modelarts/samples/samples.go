// Package samples holds the answers of the API reference, for tests: in their real
// shape with values made up here; texts of errors are literal. And servers that give
// them.
package samples

// The answers of the first generation of the API, of the gateway and of IAM.
const (
	Detail = `{"duration":33000,"service_url":"https://console.example/modelarts2/tensorboard/0a1b2c3d/4211/","job_name":"loss-board",
 "create_time":1711000000123,"train_url":"/team-bucket/run7/","job_id":4211,"job_desc":"nightly",
 "resource_id":"0f4b2c1e-1111-4222-8333-944455566677","remaining_duration":null,"is_success":true,"status":8}`

	// The newest edition has neither is_success nor remaining_duration.
	DetailBare = `{"duration":33000,"job_name":"loss-board","create_time":1711000000123,"job_id":4211,"status":7}`

	// Quoted numbers come in the sample of the create call.
	Create = `{"is_success":true,"job_id":"4211","job_name":"loss-board","status":"1","create_time":"1711000000123"}`

	List = `{"quotas":100,"is_success":true,"job_total_count":1,"job_count_limit":998,
 "jobs":[{"job_id":4211,"job_name":"loss-board","status":8,"create_time":1711000000123,
          "resource_id":"0f4b2c1e-1111-4222-8333-944455566677","duration":61000,"job_desc":"nightly",
          "service_url":"https://console.example/modelarts/tensorboard/abcd/4211","train_url":"/team-bucket/run7/",
          "schedule":[{"type":"stop","timeUnit":"HOURS","duration":2}],"remaining_duration":null}]}`

	Stop       = `{"is_success":true}`
	StopOld    = `{"is_success": false, "error_msg": "This job can't be stop. job status: 10", "error_code": "ModelArts.0105"}`
	StopNew    = `{"is_success": false, "error_message": "This job can't be stop. job status: 10", "error_code": "ModelArts.0105"}`
	Restart    = `{"is_success": false, "error_message": "This job can't be resubmit. job status: 8", "error_code": "ModelArts.0105"}`
	Delete     = `{"is_success": false, "error_message": "This job can't be delete. job status: 9", "error_code": "ModelArts.0105"}`
	Search     = `{"is_success":false,"error_message":"The length of search content should be in [0,100]","error_code":"ModelArts.0104"}`
	SearchBare = `{"error_message":"The length of search content should be in [0,100]","error_code":"ModelArts.0104"}`
	Name       = `{"is_success":false,"error_message":"Illegal name: %%123","error_code":"ModelArts.0104"}`
	Filler     = `{"is_success":false,"error_message":"error message","error_code":"ModelArts.0103"}`
	Gateway    = `{"error_msg":"Incorrect IAM authentication information: decrypt token fail","error_code":"APIGW.0301","request_id":"0123456789abcdef0123456789abcdef"}`
	Expired    = `{"error_msg":"Incorrect IAM authentication information: calc aksk signature fail:signature expired, signature time:20211217T064303Z,server time:20211217T065804Z","error_code":"APIG.0301","request_id":"0123456789abcdef0123456789abcdef"}`
	Echo       = `{"error_msg":"Incorrect IAM authentication information: verify aksk signature fail, canonicalRequest:POST|/v1/p/|x-security-token:HUSH|","error_code":"APIG.0301","request_id":"0123456789abcdef0123456789abcdef"}`
	Throttled  = `{"error_msg":"The throttling threshold has been reached: policy user over ratelimit,limit:5,time:1 minute","error_code":"APIG.0308","request_id":"0123456789abcdef0123456789abcdef"}`
	NoAPI      = `{"error_msg":"The API does not exist or has not been published in the environment","error_code":"APIGW.0101","request_id":"0123456789abcdef0123456789abcdef"}`
	IAM        = `{"error":{"code":401,"message":"The username or password is wrong.","title":"Unauthorized"}}`
	IAMBody    = `{"error":{"code":400,"message":"The request body is invalid","title":"Bad Request"}}`
	Page502    = "<html><head><title>502 Bad Gateway</title></head></html>"
)

// All lists them.
var All = []string{
	Detail, DetailBare, Create, List, Stop, StopOld, StopNew,
	Restart, Delete, Search, SearchBare, Name, Filler, Gateway,
	Expired, Echo, Throttled, NoAPI, IAM, IAMBody, Page502,
}
