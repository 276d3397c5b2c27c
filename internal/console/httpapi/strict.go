package httpapi

import (
	"bytes"
	"context"
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
func strict(ctx context.Context, body []byte, of shape, into any) error {
	if !utf8.Valid(body) {
		return problem.New(problem.MalformedBody, "The body is not UTF-8.")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	s := scanner{ctx: ctx, d: d}
	if err := s.value("", of, 0); err != nil {
		if errors.Is(err, errEnough) {
			return invalid("The body has fields that can't be taken.", s.faults...)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
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
	value, number, _ := strings.Cut(wrong.Value, " ")
	if want == "a whole number" && number != "" && strings.Trim(strings.TrimPrefix(number, "-"), "0123456789") == "" {
		return invalid("The body has a number that is too large.", problem.Fault{Pointer: pointer, Detail: "is too large a number"})
	}
	return invalid("The body has a field of the wrong type.", problem.Fault{Pointer: pointer, Detail: fmt.Sprintf("is a JSON %s, and should be %s", value, want)})
}

// invalid is a body that can be read and says what can't be done.
func invalid(detail string, faults ...problem.Fault) *problem.Problem {
	return &problem.Problem{Type: problem.InvalidContent, Detail: detail, Faults: faults}
}

// maxFaults is how many faults of one body are told.
const maxFaults = 10

const (
	// maxElements is how many elements the arrays of one body have at most.
	maxElements = 100_000
	// maxFields is how many fields an object has whose fields are of the sender's choice, such as labels.
	maxFields = maxLabels
)

// errEnough ends the scan of a body: there are as many faults as are told.
var errEnough = errors.New("enough faults")

// scanner goes through JSON token by token, and no further than a body may be long.
type scanner struct {
	ctx      context.Context
	d        *json.Decoder
	faults   []problem.Fault
	elements int
}

func (s *scanner) fault(pointer, format string, args ...any) error {
	s.faults = append(s.faults, problem.Fault{Pointer: pointer, Detail: fmt.Sprintf(format, args...)})
	if len(s.faults) >= maxFaults {
		return errEnough
	}
	return nil
}

// element counts one more element of an array.
func (s *scanner) element() error {
	if s.elements++; s.elements > maxElements {
		return problem.New(problem.BodyTooLarge, fmt.Sprintf("The arrays of a JSON body have at most %d elements. Send a long list as %s or %s.", maxElements, typeNDJSON, typeCSV))
	}
	if s.elements%1000 == 0 {
		return s.ctx.Err()
	}
	return nil
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
			if err = s.element(); err == nil {
				err = s.value(pointer+"/"+strconv.Itoa(i), of["*"], depth+1)
			}
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
			err = s.fault(at, "is there twice")
		case of != nil && !free && !known:
			err = s.fault(at, "is not known here; there are %s", strings.Join(names(of), ", "))
		case (of == nil || free) && len(seen) == maxFields:
			_ = s.fault(pointer, "has more than %d fields", maxFields)
			err = errEnough
		}
		if err != nil {
			return err
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
