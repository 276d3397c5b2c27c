package modelarts

// The answers of the API reference, in their real shape with values made up
// here; texts of errors are literal.
const (
	sampleDetail = `{"duration":33000,"service_url":"https://console.example/modelarts2/tensorboard/0a1b2c3d/4211/","job_name":"loss-board",
 "create_time":1711000000123,"train_url":"/team-bucket/run7/","job_id":4211,"job_desc":"nightly",
 "resource_id":"0f4b2c1e-1111-4222-8333-944455566677","remaining_duration":null,"is_success":true,"status":8}`

	// The newest edition has neither is_success nor remaining_duration.
	sampleDetailBare = `{"duration":33000,"job_name":"loss-board","create_time":1711000000123,"job_id":4211,"status":7}`

	// Quoted numbers come in the sample of the create call.
	sampleCreate = `{"is_success":true,"job_id":"4211","job_name":"loss-board","status":"1","create_time":"1711000000123"}`

	sampleList = `{"quotas":100,"is_success":true,"job_total_count":1,"job_count_limit":998,
 "jobs":[{"job_id":4211,"job_name":"loss-board","status":8,"create_time":1711000000123,
          "resource_id":"0f4b2c1e-1111-4222-8333-944455566677","duration":61000,"job_desc":"nightly",
          "service_url":"https://console.example/modelarts/tensorboard/abcd/4211","train_url":"/team-bucket/run7/",
          "schedule":[{"type":"stop","timeUnit":"HOURS","duration":2}],"remaining_duration":null}]}`

	sampleStop       = `{"is_success":true}`
	sampleStopOld    = `{"is_success": false, "error_msg": "This job can't be stop. job status: 10", "error_code": "ModelArts.0105"}`
	sampleStopNew    = `{"is_success": false, "error_message": "This job can't be stop. job status: 10", "error_code": "ModelArts.0105"}`
	sampleRestart    = `{"is_success": false, "error_message": "This job can't be resubmit. job status: 8", "error_code": "ModelArts.0105"}`
	sampleDelete     = `{"is_success": false, "error_message": "This job can't be delete. job status: 9", "error_code": "ModelArts.0105"}`
	sampleSearch     = `{"is_success":false,"error_message":"The length of search content should be in [0,100]","error_code":"ModelArts.0104"}`
	sampleSearchBare = `{"error_message":"The length of search content should be in [0,100]","error_code":"ModelArts.0104"}`
	sampleName       = `{"is_success":false,"error_message":"Illegal name: %%123","error_code":"ModelArts.0104"}`
	sampleFiller     = `{"is_success":false,"error_message":"error message","error_code":"ModelArts.0103"}`
	sampleGateway    = `{"error_msg":"Incorrect IAM authentication information: decrypt token fail","error_code":"APIGW.0301","request_id":"0123456789abcdef0123456789abcdef"}`
	sampleExpired    = `{"error_msg":"Incorrect IAM authentication information: calc aksk signature fail:signature expired, signature time:20211217T064303Z,server time:20211217T065804Z","error_code":"APIG.0301","request_id":"0123456789abcdef0123456789abcdef"}`
	sampleEcho       = `{"error_msg":"Incorrect IAM authentication information: verify aksk signature fail, canonicalRequest:POST|/v1/p/|x-security-token:HUSH|","error_code":"APIG.0301","request_id":"0123456789abcdef0123456789abcdef"}`
	sampleThrottled  = `{"error_msg":"The throttling threshold has been reached: policy user over ratelimit,limit:5,time:1 minute","error_code":"APIG.0308","request_id":"0123456789abcdef0123456789abcdef"}`
	sampleNoAPI      = `{"error_msg":"The API does not exist or has not been published in the environment","error_code":"APIGW.0101","request_id":"0123456789abcdef0123456789abcdef"}`
	sampleIAM        = `{"error":{"code":401,"message":"The username or password is wrong.","title":"Unauthorized"}}`
	sampleIAMBody    = `{"error":{"code":400,"message":"The request body is invalid","title":"Bad Request"}}`
	samplePage502    = "<html><head><title>502 Bad Gateway</title></head></html>"
)

var samples = []string{
	sampleDetail, sampleDetailBare, sampleCreate, sampleList, sampleStop, sampleStopOld, sampleStopNew,
	sampleRestart, sampleDelete, sampleSearch, sampleSearchBare, sampleName, sampleFiller, sampleGateway,
	sampleExpired, sampleEcho, sampleThrottled, sampleNoAPI, sampleIAM, sampleIAMBody, samplePage502,
}
