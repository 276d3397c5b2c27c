package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"vizstop/internal/console/problem"
)

// query reads the parameters of a request one by one. The first fault, or a parameter that nobody has read, is the
// error of done.
type query struct {
	values url.Values
	known  []string
	fault  error
}

func newQuery(r *http.Request) *query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	q := &query{values: values}
	if err != nil {
		q.fail("The query can't be read: escape what is not a letter or digit.")
	}
	return q
}

func (q *query) fail(format string, args ...any) {
	if q.fault == nil {
		q.fault = problem.New(problem.InvalidRequest, fmt.Sprintf(format, args...))
	}
}

// all is every value of a parameter.
func (q *query) all(name string) []string {
	q.known = append(q.known, name)
	for _, v := range q.values[name] {
		if !utf8.ValidString(v) {
			q.fail("Parameter %s is not UTF-8.", name)
		}
	}
	return q.values[name]
}

// text is the one value of a parameter; "" without it.
func (q *query) text(name string) string {
	all := q.all(name)
	if len(all) > 1 {
		q.fail("Parameter %s is there %d times: give it once.", name, len(all))
	}
	if len(all) == 0 {
		return ""
	}
	return all[0]
}

// number is a whole number, unset without the parameter.
func (q *query) number(name string, unset, least, most int) int {
	text := q.text(name)
	if text == "" {
		return unset
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		q.fail("Parameter %s is %.40q, and no whole number from %d to %d.", name, text, least, most)
		return unset
	}
	return n
}

// truth is true or false; false without the parameter.
func (q *query) truth(name string) bool {
	switch text := q.text(name); text {
	case "true":
		return true
	case "", "false":
		return false
	default:
		q.fail("Parameter %s is %.40q, and neither true nor false.", name, text)
		return false
	}
}

// checked is text that check finds right.
func (q *query) checked(name string, check func(string) error) string {
	text := q.text(name)
	if text == "" {
		return ""
	}
	if err := check(text); err != nil {
		q.fail("Parameter %s: %v.", name, err)
	}
	return text
}

// oneOf is one of some words; "" without the parameter.
func (q *query) oneOf(name string, words ...string) string {
	return q.checked(name, func(text string) error {
		if slices.Contains(words, text) {
			return nil
		}
		return fmt.Errorf("%.40q is none of %s", text, strings.Join(words, ", "))
	})
}

// done is what was wrong.
func (q *query) done() error {
	var unknown []string
	for name := range q.values {
		if !slices.Contains(q.known, name) {
			unknown = append(unknown, strconv.Quote(short(name)))
		}
	}
	if slices.Sort(unknown); len(unknown) > 0 {
		takes := "This address takes no parameters."
		if len(q.known) > 0 {
			takes = "This address takes " + strings.Join(q.known, ", ") + "."
		}
		q.fail("Unknown parameter %s. %s", strings.Join(unknown[:min(3, len(unknown))], ", "), takes)
	}
	return q.fault
}

// short is the beginning of a text from outside.
func short(text string) string {
	const most = 40
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

// The media types of the API.
const (
	typeJSON   = "application/json"
	typeNDJSON = "application/x-ndjson"
	typeCSV    = "text/csv"
)

// accepted is that of some types, the first by default, which the request likes best.
func accepted(r *http.Request, types ...string) (string, error) {
	lines := r.Header.Values("Accept")
	if len(lines) == 0 {
		return types[0], nil
	}
	best, quality, closest := "", 0.0, -1
	for part := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		name, more, _ := strings.Cut(strings.TrimSpace(part), ";")
		name = strings.ToLower(strings.TrimSpace(name))
		for _, offer := range types {
			family, _, _ := strings.Cut(offer, "/")
			at := slices.Index([]string{"*/*", family + "/*", offer}, name)
			if q := qualityOf(more); at >= 0 && q > 0 && (q > quality || q == quality && at > closest) {
				best, quality, closest = offer, q, at
				break
			}
		}
	}
	if best == "" {
		return "", problem.New(problem.NotAcceptable, "This address answers with "+strings.Join(types, " or ")+": name one of them in Accept.")
	}
	return best, nil
}

// qualityOf is the weight among the parameters of one type of Accept.
func qualityOf(parameters string) float64 {
	for p := range strings.SplitSeq(parameters, ";") {
		if value, ok := strings.CutPrefix(strings.TrimSpace(p), "q="); ok {
			q, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0
			}
			return q
		}
	}
	return 1
}
