package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"vizstop/internal/modelarts/modelartstest"
)

// realistic are the simulator's settings for calls that take as long as calls do: lognormal with a median of 80 ms,
// 69 % of them within 49 to 132 ms.
func realistic(more ...string) []string {
	return append([]string{"--latency", "80ms", "--latency-spread", "0.5"}, more...)
}

// counts asks the simulator what calls it saw.
func (st *stage) counts(ctx context.Context) (page modelartstest.CountsPage, err error) {
	err = st.page(ctx, modelartstest.PathCounts, func(d *json.Decoder) error { return d.Decode(&page) })
	return page, err
}

// calls asks the simulator for all calls, in order of arrival.
func (st *stage) calls(ctx context.Context) (all []modelartstest.Call, err error) {
	err = st.page(ctx, "/calls", func(d *json.Decoder) error {
		for d.More() {
			var c modelartstest.Call
			if err := d.Decode(&c); err != nil {
				return err
			}
			all = append(all, c)
		}
		return nil
	})
	return all, err
}

// order has the simulator make calls go wrong.
func (st *stage) order(ctx context.Context, o modelartstest.Order) error {
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, st.control+"/faults", bytes.NewReader(body))
	if err != nil {
		return err
	}
	return st.fetch(req, http.StatusNoContent, func(*json.Decoder) error { return nil })
}

// histories asks the simulator what happened to each job, by project and id.
func (st *stage) histories(ctx context.Context) (map[jobKey]modelartstest.JobHistory, error) {
	all := map[jobKey]modelartstest.JobHistory{}
	err := st.page(ctx, modelartstest.PathJobs, func(d *json.Decoder) error {
		for d.More() {
			var h modelartstest.JobHistory
			if err := d.Decode(&h); err != nil {
				return err
			}
			all[jobKey{h.ProjectID, h.JobID}] = h
		}
		return nil
	})
	return all, err
}

type jobKey struct{ project, job string }

func (st *stage) page(ctx context.Context, path string, read func(*json.Decoder) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, st.control+path, nil)
	if err != nil {
		return err
	}
	return st.fetch(req, http.StatusOK, read)
}

// fetch makes a request of the simulator, wants that status and reads the answer.
func (st *stage) fetch(req *http.Request, status int, read func(*json.Decoder) error) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != status {
		return fmt.Errorf("%s %s: %s", req.Method, req.URL.Path, res.Status)
	}
	return read(json.NewDecoder(res.Body))
}
