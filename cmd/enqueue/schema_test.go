package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// The parts of the documented schema that a text is checked against.
const (
	printed  = "#"                    // what --json prints
	notified = "#/$defs/notification" // what --notify posts
)

const schemaFile = "../../docs/enqueue.schema.json"

var readSchema = sync.OnceValues(func() (object, error) {
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		return nil, err
	}
	var s object
	return s, json.Unmarshal(text, &s)
})

// fits says what is wrong with one JSON object by the documented schema.
func fits(part, text string) error {
	root, err := readSchema()
	if err != nil {
		return err
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return fmt.Errorf("not one JSON object: %w", err)
	}
	return schema{root}.check("", object{"$ref": part}, v)
}

type object = map[string]any

// schema checks values by the part of JSON Schema 2020-12 that our schema is
// written in; a keyword outside of it is an error. The scripts' programs are
// this very test binary, started hundreds of times, and a library for all of
// JSON Schema takes longer to set itself up than they run.
type schema struct{ root object }

func (s schema) check(path string, rule object, v any) error {
	var faults []error
	for _, keyword := range slices.Sorted(maps.Keys(rule)) {
		if err := s.keyword(path, rule, keyword, v); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

func (s schema) keyword(path string, rule object, keyword string, v any) error {
	want := rule[keyword]
	fault := func() error { return fmt.Errorf("%s is %.80v: want %s %v", path, v, keyword, want) }
	switch keyword {
	case "$schema", "title", "description", "$defs":
		return nil
	case "$ref":
		return s.reference(path, want.(string), v)
	case "type":
		if !isType(want.(string), v) {
			return fault()
		}
	case "const":
		if v != want {
			return fault()
		}
	case "enum":
		if !slices.Contains(want.([]any), v) {
			return fault()
		}
	case "minimum":
		if n, ok := v.(float64); ok && n < want.(float64) {
			return fault()
		}
	case "format":
		if text, ok := v.(string); ok && want == "date-time" {
			_, err := time.Parse(time.RFC3339, text)
			return err
		}
		if want != "date-time" {
			return fmt.Errorf("the schema knows no format %v", want)
		}
	case "oneOf", "anyOf":
		return s.some(path, keyword, want.([]any), v)
	case "items":
		return s.items(path, want.(object), v)
	case "properties", "additionalProperties", "required":
		return s.fields(path, rule, keyword, v)
	default:
		return fmt.Errorf("the schema uses %s at %s, which is not known here", keyword, path)
	}
	return nil
}

func isType(name string, v any) bool {
	switch v := v.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case float64:
		return name == "number" || name == "integer" && v == math.Trunc(v)
	case []any:
		return name == "array"
	default:
		return name == "object"
	}
}

func (s schema) reference(path, ref string, v any) error {
	at := s.root
	for name := range strings.SplitSeq(ref, "/") {
		if name == "#" {
			continue
		}
		next, ok := at[name].(object)
		if !ok {
			return fmt.Errorf("the schema has no %s", ref)
		}
		at = next
	}
	return s.check(path, at, v)
}

// some wants one of several rules to hold, and only one for oneOf.
func (s schema) some(path, keyword string, rules []any, v any) error {
	var faults []error
	for _, rule := range rules {
		if err := s.check(path, rule.(object), v); err != nil {
			faults = append(faults, err)
		}
	}
	held := len(rules) - len(faults)
	if held == 0 || keyword == "oneOf" && held > 1 {
		return fmt.Errorf("%s: %d of %s hold: %w", path, held, keyword, errors.Join(faults...))
	}
	return nil
}

func (s schema) items(path string, rule object, v any) error {
	var faults []error
	list, _ := v.([]any)
	for i, one := range list {
		faults = append(faults, s.check(fmt.Sprintf("%s.%d", path, i), rule, one))
	}
	return errors.Join(faults...)
}

// fields checks the three keywords about the fields of an object.
func (s schema) fields(path string, rule object, keyword string, v any) error {
	fields, ok := v.(object)
	if !ok {
		return nil // its type says so
	}
	var faults []error
	if keyword == "required" {
		for _, name := range rule[keyword].([]any) {
			if _, ok := fields[name.(string)]; !ok {
				faults = append(faults, fmt.Errorf("%s lacks %s", path, name))
			}
		}
		return errors.Join(faults...)
	}
	named, _ := rule["properties"].(object)
	for name, field := range fields {
		at := path + "." + name
		one, known := named[name].(object)
		switch {
		case known && keyword == "properties":
			faults = append(faults, s.check(at, one, field))
		case known || keyword == "properties":
		case rule[keyword] == false:
			faults = append(faults, fmt.Errorf("%s is not in the schema", at))
		default:
			faults = append(faults, s.check(at, rule[keyword].(object), field))
		}
	}
	return errors.Join(faults...)
}
