package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"vizstop/internal/console/problem"
)

// shape is the fields that an object may have, each with the shape of what is in it; nil is any value. Under "*" is the
// shape of the elements of an array.
type shape map[string]shape

// anyKeys is the shape of an object whose fields have names of the sender's choice.
var anyKeys = shape{"**": nil}

// maxDepth is how deep JSON may be nested.
const maxDepth = 8

// strict decodes one JSON value. A field that is not of the shape, or is there twice, is a fault: what somebody has
// misspelt must not be passed over where jobs are stopped.
func strict(body []byte, of shape, into any) error {
	if !utf8.Valid(body) {
		return problem.New(problem.MalformedBody, "The body is not UTF-8.")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	s := scanner{d: d}
	if err := s.value("", of, 0); err != nil {
		return malformed(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return problem.New(problem.MalformedBody, "There is more after the JSON value: one is expected.")
	}
	if len(s.faults) > 0 {
		return invalid("The body has fields that can't be taken.", s.faults...)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return mistyped(err)
	}
	return nil
}

func malformed(err error) error {
	if p, ok := errors.AsType[*problem.Problem](err); ok {
		return p
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return problem.New(problem.MalformedBody, "The body is empty, or its JSON does not end.")
	}
	return problem.New(problem.MalformedBody, fmt.Sprintf("The body is not JSON: %.200s.", err))
}

func mistyped(err error) error {
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if !ok {
		return problem.New(problem.MalformedBody, fmt.Sprintf("The body is not JSON of the right form: %.200s.", err))
	}
	want := map[string]string{"string": "text", "bool": "true or false", "int": "a whole number"}[wrong.Type.Kind().String()]
	switch {
	case want != "":
	case wrong.Type.Kind().String() == "slice":
		want = "an array"
	default:
		want = "an object"
	}
	pointer := ""
	if wrong.Field != "" {
		pointer = "/" + strings.ReplaceAll(strings.TrimPrefix(wrong.Field, "options."), ".", "/") // options are embedded
	}
	value, _, _ := strings.Cut(wrong.Value, " ")
	return invalid("The body has a field of the wrong type.", problem.Fault{Pointer: pointer, Detail: fmt.Sprintf("is a JSON %s, and should be %s", value, want)})
}

// invalid is a body that can be read and says what can't be done.
func invalid(detail string, faults ...problem.Fault) *problem.Problem {
	return &problem.Problem{Type: problem.InvalidContent, Detail: detail, Faults: faults}
}

// maxFaults is how many faults of one body are told.
const maxFaults = 10

// scanner goes through JSON token by token.
type scanner struct {
	d      *json.Decoder
	faults []problem.Fault
}

func (s *scanner) fault(pointer, format string, args ...any) {
	if len(s.faults) < maxFaults {
		s.faults = append(s.faults, problem.Fault{Pointer: pointer, Detail: fmt.Sprintf(format, args...)})
	}
}

func (s *scanner) value(pointer string, of shape, depth int) error {
	if depth > maxDepth {
		return problem.New(problem.MalformedBody, fmt.Sprintf("The JSON is nested more than %d levels deep.", maxDepth))
	}
	t, err := s.d.Token()
	if err != nil {
		return err
	}
	switch t {
	case json.Delim('{'):
		err = s.object(pointer, of, depth)
	case json.Delim('['):
		for i := 0; s.d.More() && err == nil; i++ {
			err = s.value(pointer+"/"+strconv.Itoa(i), of["*"], depth+1)
		}
	default:
		return nil
	}
	if err == nil {
		_, err = s.d.Token() // the end of it
	}
	return err
}

func (s *scanner) object(pointer string, of shape, depth int) error {
	seen := map[string]bool{}
	_, free := of["**"]
	for s.d.More() {
		t, err := s.d.Token()
		if err != nil {
			return err
		}
		name, _ := t.(string) // any other key was an error
		at := pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(short(name))
		inner, known := of[name]
		switch {
		case seen[name]:
			s.fault(at, "is there twice")
		case of != nil && !free && !known:
			s.fault(at, "is not known here; there are %s", strings.Join(names(of), ", "))
		}
		seen[name] = true
		if err := s.value(at, inner, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// names are the fields of a shape.
func names(of shape) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(of)), func(name string) bool { return name == "*" })
}
