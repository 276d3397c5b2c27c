package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"vizstop/internal/console/problem"
	"vizstop/internal/joblist"
	"vizstop/internal/notify"
	"vizstop/internal/plain"
	"vizstop/internal/principals"
	"vizstop/internal/selection"
	"vizstop/internal/settings"
	"vizstop/internal/when"
)

// The limits of what one request asks for.
const (
	maxList    = 256 << 20 // bytes of a list
	maxJSON    = 8 << 20   // bytes of a JSON body, which is in memory
	largeJSON  = 1 << 20   // from where on a few at a time are decoded
	mostLarge  = 4         // of them
	maxLines   = 2_000_000 // jobs that a list may name, repeated ones too
	defaultMax = 1000      // jobs, unless max says otherwise
	mostMax    = 1_000_000
	maxText    = 256 // bytes of a text that is kept
	maxLabels  = 16
)

// options are what a request says of its stops, in JSON or as parameters.
type options struct {
	ProjectID string            `json:"project_id"`
	Reason    string            `json:"reason"`
	Labels    map[string]string `json:"labels"`
	At        string            `json:"at"`
	In        string            `json:"in"`
	Timezone  string            `json:"timezone"`
	Spread    string            `json:"spread"`
	Deadline  string            `json:"deadline"`
	Shadow    bool              `json:"shadow"`
	Notify    string            `json:"notify"`
	Max       *int              `json:"max"`
	Confirm   *int              `json:"confirm"`

	SkipInvalid  bool `json:"skip_invalid"`
	ValidateOnly bool `json:"validate_only"`
}

// document is a request in JSON.
type document struct {
	options
	Jobs []jobRef `json:"jobs"`
	Rule *rule    `json:"rule"`
}

var documentShape = shape{
	"project_id": nil, "reason": nil, "labels": anyKeys, "at": nil, "in": nil, "timezone": nil, "spread": nil, "deadline": nil, "shadow": nil,
	"notify": nil, "max": nil, "confirm": nil, "skip_invalid": nil, "validate_only": nil,
	"jobs": {"*": {"id": nil, "project_id": nil, "labels": anyKeys}},
	"rule": {"all": nil, "status": nil, "name": nil, "older_than": nil, "exclude": nil, "limit": nil, "order": nil},
}

// rule chooses the jobs of a project by what they are, as a schedule's does.
type rule struct {
	All       bool     `json:"all"`
	Status    []string `json:"status"`
	Name      []string `json:"name"`
	OlderThan string   `json:"older_than"`
	Exclude   []string `json:"exclude"`
	Limit     int      `json:"limit"`
	Order     string   `json:"order"`
}

func (r *rule) selection() (selection.Rule, error) {
	made := selection.Rule{All: r.All, Names: r.Name, Exclude: r.Exclude, Limit: r.Limit, Order: r.Order}
	for i, v := range r.Status {
		statuses, err := selection.ParseStatuses(v, settings.Statuses())
		if err != nil {
			return made, invalid("The rule can't be applied.", problem.Fault{Pointer: "/rule/status/" + strconv.Itoa(i), Detail: err.Error()})
		}
		made.Statuses = append(made.Statuses, statuses...)
	}
	if r.OlderThan != "" {
		age, err := time.ParseDuration(r.OlderThan)
		if err != nil || age <= 0 {
			return made, invalid("The rule can't be applied.", problem.Fault{Pointer: "/rule/older_than", Detail: "is not a duration such as 8h or 90m"})
		}
		made.OlderThan = age
	}
	if err := made.Check(); err != nil {
		return made, invalid("The rule can't be applied.", problem.Fault{Pointer: "/rule", Detail: err.Error()})
	}
	return made, nil
}

// jobRef is one job of a JSON body: its id, or an object.
type jobRef struct {
	id, project string
	labels      map[string]string
	fault       string // what is wrong with it; "": nothing was found yet
}

// UnmarshalJSON never fails: one job that is wrong is told with its place, as in other lists.
func (j *jobRef) UnmarshalJSON(text []byte) error {
	switch text[0] {
	case '{':
		var object struct {
			ID        json.RawMessage   `json:"id"`
			ProjectID string            `json:"project_id"`
			Labels    map[string]string `json:"labels"`
		}
		if err := json.Unmarshal(text, &object); err != nil {
			j.fault = "project_id is text, and labels are an object of text"
			return nil
		}
		j.project, j.labels = object.ProjectID, object.Labels
		text = object.ID
	case '[', 't', 'f', 'n':
		j.fault = "is neither an id nor an object"
		return nil
	}
	switch {
	case len(text) == 0:
		j.fault = "there is no id"
	case text[0] == '"':
		if json.Unmarshal(text, &j.id) != nil {
			j.fault = "its id can't be read"
		}
	case strings.Trim(string(text), "0123456789") == "": // 1e3 would pass for the id of another job
		j.id = string(text)
	default:
		j.fault = "its id is neither text nor a whole number"
	}
	return nil
}

// request is what somebody asks for, read and not yet checked.
type request struct {
	options
	rule  *rule
	pass  func() iter.Seq2[joblist.Item, error] // nil: a rule chooses the jobs
	print string                                // of all that the request says
	close func()
}

// readRequest reads the body, whole, before anything else is done.
func (a *api) readRequest(r *http.Request) (*request, error) {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return nil, problem.New(problem.UnsupportedType, fmt.Sprintf("The body is encoded as %.40q: send it as it is.", coding))
	}
	media, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if charset := parameters["charset"]; err != nil || charset != "" && !strings.EqualFold(charset, "utf-8") {
		media = ""
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n", media, r.URL.Query().Encode())
	switch media {
	case typeJSON:
		return a.readDocument(r, sum)
	case typeNDJSON:
		return a.readList(r, sum, "jsonl")
	case typeCSV:
		return a.readList(r, sum, "csv")
	}
	return nil, problem.New(problem.UnsupportedType, "The body is JSON ("+typeJSON+"), one JSON object a line ("+typeNDJSON+") or CSV ("+typeCSV+
		"), in UTF-8: say which in Content-Type.")
}

// readBody reads a JSON body of a few megabytes at most.
func readBody(from io.Reader, most int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(from, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > most {
		return nil, problem.New(problem.BodyTooLarge, fmt.Sprintf("A JSON body here has at most %d bytes. Send a long list as "+typeNDJSON+" or "+typeCSV+".", most))
	}
	return body, nil
}

func (a *api) readDocument(r *http.Request, sum hash.Hash) (*request, error) {
	if err := newQuery(r).done(); err != nil {
		return nil, err
	}
	counted, free := a.held.reader(principals.FromContext(r.Context()).Name, r.Body)
	body, err := readBody(counted, maxJSON)
	if err != nil {
		free()
		return nil, err
	}
	_, _ = sum.Write(body)
	release := free
	if len(body) > largeJSON { // decoded it is many times as large
		select {
		case a.large <- struct{}{}:
			release = func() { <-a.large; free() }
		case <-r.Context().Done():
			free()
			return nil, r.Context().Err()
		}
	}
	req, err := decode(r.Context(), body)
	if err != nil {
		release()
		return nil, err
	}
	req.print, req.close = hex.EncodeToString(sum.Sum(nil)), release
	return req, nil
}

func decode(ctx context.Context, body []byte) (*request, error) {
	var d document
	if err := strict(ctx, body, documentShape, &d); err != nil {
		return nil, err
	}
	req := &request{options: d.options, rule: d.Rule}
	switch {
	case d.Rule != nil && d.Jobs != nil:
		return nil, invalid("Choose jobs either by rule or by id.", problem.Fault{Pointer: "/rule", Detail: "stands beside /jobs"})
	case d.Rule == nil && d.Jobs == nil:
		return nil, invalid("The body names no job: give jobs or a rule.")
	case d.Rule == nil:
		req.pass = func() iter.Seq2[joblist.Item, error] { return d.items }
	}
	return req, nil
}

// items goes through the jobs of a JSON body.
func (d *document) items(yield func(joblist.Item, error) bool) {
	for i, j := range d.Jobs {
		item := joblist.Item{ProjectID: cmp.Or(j.project, d.ProjectID), JobID: j.id, Labels: j.labels, Place: "/jobs/" + strconv.Itoa(i)}
		fault := j.fault
		if fault == "" {
			fault = faultOf(item)
		}
		var err error
		if fault != "" {
			item, err = joblist.Item{}, &joblist.LineError{Place: item.Place, Reason: fault}
		}
		if !yield(item, err) {
			return
		}
	}
}

func faultOf(item joblist.Item) string {
	if item.ProjectID == "" {
		return "there is no project_id, neither here nor for all jobs"
	}
	if err := errors.Join(joblist.ValidateID("job", item.JobID), joblist.ValidateID("project", item.ProjectID)); err != nil {
		return strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	if err := checkLabels(item.Labels); err != nil {
		return err.Error()
	}
	return ""
}

// readList keeps a list of any length in a file, so that it is read twice and is the same each time.
func (a *api) readList(r *http.Request, sum hash.Hash, format string) (*request, error) {
	o, err := optionsOf(newQuery(r))
	if err != nil {
		return nil, err
	}
	body, free := a.spooled.reader(principals.FromContext(r.Context()).Name, io.TeeReader(r.Body, sum))
	spooled, err := joblist.Spool(body)
	if err != nil {
		free()
		return nil, err
	}
	req := &request{options: o, print: hex.EncodeToString(sum.Sum(nil)), close: func() { spooled.Close(); free() }}
	req.pass = func() iter.Seq2[joblist.Item, error] {
		return func(yield func(joblist.Item, error) bool) {
			if _, err := spooled.Seek(0, io.SeekStart); err != nil {
				yield(joblist.Item{}, fmt.Errorf("read the list a second time: %w", err))
				return
			}
			n := 0
			for item, err := range joblist.Read(spooled, joblist.Options{Name: listName, Format: format, Project: o.ProjectID}) {
				if n++; n > maxLines {
					yield(joblist.Item{}, fmt.Errorf("the list has more than %d lines: send it in parts", maxLines))
					return
				}
				if !yield(item, err) {
					return
				}
			}
		}
	}
	return req, nil
}

// listName is what faults call the body.
const listName = "body"

// faultsOf are bad names as a problem has them.
func faultsOf(bad []badName) []problem.Fault {
	faults := make([]problem.Fault, len(bad))
	for i, b := range bad {
		faults[i] = faultAt(b.Place, b.Reason)
	}
	return faults
}

func faultAt(place, detail string) problem.Fault {
	if strings.HasPrefix(place, "/") {
		return problem.Fault{Pointer: place, Detail: detail}
	}
	line := 0
	if _, err := fmt.Sscanf(place, listName+" line %d", &line); err != nil {
		detail = place + ": " + detail
	}
	return problem.Fault{Line: line, Detail: detail}
}

// optionsOf reads the options of a list.
func optionsOf(q *query) (options, error) {
	o := options{ProjectID: q.text("project_id"), Reason: q.text("reason"), At: q.text("at"), In: q.text("in"), Timezone: q.text("timezone"),
		Spread: q.text("spread"), Deadline: q.text("deadline"), Shadow: q.truth("shadow"), Notify: q.text("notify"),
		SkipInvalid: q.truth("skip_invalid"), ValidateOnly: q.truth("validate_only")}
	for _, one := range q.all("label") {
		key, value, ok := strings.Cut(one, "=")
		if !ok || o.Labels[key] != "" {
			q.fail("Parameter label is %.40q: give key=value, each key once.", one)
		}
		if o.Labels == nil {
			o.Labels = map[string]string{}
		}
		o.Labels[key] = value
	}
	const unset = -1
	for name, into := range map[string]**int{"max": &o.Max, "confirm": &o.Confirm} {
		if n := q.number(name, unset, 0, mostMax); n != unset {
			*into = &n
		}
	}
	return o, q.done()
}

// check finds what is wrong with the options by themselves.
func (o *options) check() error {
	var faults []problem.Fault
	fault := func(pointer, detail string) { faults = append(faults, problem.Fault{Pointer: pointer, Detail: detail}) }
	if unfit(o.Reason) {
		fault("/reason", fmt.Sprintf("is longer than %d bytes, or has characters that can't be shown", maxText))
	}
	if o.ProjectID != "" {
		if err := joblist.ValidateID("project", o.ProjectID); err != nil {
			fault("/project_id", err.Error())
		}
	}
	if err := checkLabels(o.Labels); err != nil {
		fault("/labels", err.Error())
	}
	if o.Notify != "" {
		if err := notify.CheckURL(o.Notify); err != nil {
			fault("/notify", err.Error())
		}
	}
	if o.Max != nil && (*o.Max < 1 || *o.Max > mostMax) {
		fault("/max", fmt.Sprintf("is no number from 1 to %d", mostMax))
	}
	if len(faults) > 0 {
		return invalid("Options of the request can't be taken.", faults...)
	}
	return nil
}

// unfit reports whether a text is too long to be kept, or could forge a line.
func unfit(text string) bool { return len(text) > maxText || !plain.Fits(text) }

func checkLabels(labels map[string]string) error {
	if len(labels) > maxLabels {
		return fmt.Errorf("there are %d labels, more than %d", len(labels), maxLabels)
	}
	for key, value := range labels {
		if key == "" || unfit(key) || unfit(value) {
			return fmt.Errorf("label %.40q: key and value have at most %d bytes, which can all be shown, and a key has one", short(plain.Line(key, maxText)), maxText)
		}
	}
	return nil
}

// plan is when the stops are due. Times of day are those of UTC, unless the request names a zone. fixed is the time
// that the same At has meant before; zero: it has not been asked for.
func (o *options) plan(now, fixed time.Time) (when.Plan, error) {
	spec := when.Spec{At: o.At, In: o.In, Spread: o.Spread, Deadline: o.Deadline, Timezone: o.Timezone}
	if !fixed.IsZero() {
		spec.At, spec.Timezone = "", ""
	}
	plan, err := when.Parse(spec, now.UTC())
	if err != nil {
		return plan, invalid("The times of the request make no sense.", timeFaults(err)...)
	}
	if !fixed.IsZero() {
		plan.First = fixed
		if fixed.Before(now) {
			plan.First = now.UTC()
		}
	}
	return plan, nil
}

// timeFaults are the lines of an error of package when, which names each field as a flag.
func timeFaults(err error) (faults []problem.Fault) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		line = fieldWords.Replace(line)
		pointer := ""
		for _, field := range []string{"at", "in", "spread", "deadline", "timezone"} {
			if detail, ok := strings.CutPrefix(line, field+": "); ok {
				pointer, line = "/"+field, detail
			}
		}
		faults = append(faults, problem.Fault{Pointer: pointer, Detail: line})
	}
	return faults
}

// fieldWords calls fields by their names here, not as flags.
var fieldWords = strings.NewReplacer("--at", "at", "--in", "in", "--spread", "spread", "--deadline", "deadline", "--timezone", "timezone")

// compact is JSON without space.
func compact(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // nothing here can fail
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
