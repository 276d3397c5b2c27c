package v1

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/samples"
	"vizstop/internal/plain"
)

const testToken = "token-for-tests"

// An answer to a call that went well goes to logs, the ledger and tables too.
func TestGoodAnswersAreCleaned(t *testing.T) {
	const nasty = `\u001b[2Jevil\nline \u202e` + "\u009b" + ` `
	long := strings.Repeat("x", 1<<20)
	server := samples.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		secret := r.Header.Get("X-Auth-Token") + nasty
		fmt.Fprintf(w, `{"is_success":true,"request_id":"%s","job_total_count":1,"job_id":"10","job_name":"%s","job_desc":"%s",
			"train_url":"%s","service_url":"%s","resource_id":"%s","status":8,"jobs":[{"job_id":"10","job_name":"%s%s"}]}`,
			secret+long, secret, nasty, secret, secret, nasty, secret, long)
	})
	c := newAPI(t, server.URL, modelarts.WithCredentials(modelarts.NewToken(testToken)))
	accepted, stopErr := c.Stop(t.Context(), testProject, "10")
	job, showErr := c.Get(t.Context(), testProject, "10")
	page, listErr := c.List(t.Context(), testProject, jobs.Query{})
	if stopErr != nil || showErr != nil || listErr != nil {
		t.Fatal(stopErr, showErr, listErr)
	}
	listed := page.Jobs[0]
	for _, text := range []string{accepted.RequestID, job.RequestID, job.Name, job.Description, job.TrainURL, job.ServiceURL, job.ResourceID,
		page.RequestID, listed.Name, listed.RequestID} {
		if !plain.Fits(text) || len(text) > 600 || !strings.Contains(text, "evil line") || strings.Contains(text, testToken) {
			t.Errorf("%.200q came through", text)
		}
	}
}

// What an answer says of another job may be our token.
func TestAnotherJobIsNamedWithoutSecrets(t *testing.T) {
	server := samples.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"job_id":%q,"status":8}`, r.Header.Get("X-Auth-Token"))
	})
	api := newAPI(t, server.URL, modelarts.WithCredentials(modelarts.NewToken(testToken)))
	if _, err := api.Get(t.Context(), testProject, "10"); err == nil || !strings.Contains(err.Error(), `about job "[hidden]"`) {
		t.Errorf("got %v", err)
	}
}
