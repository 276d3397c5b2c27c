// Package schematest holds values against the JSON schemas in docs/, for tests.
package schematest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

type object = map[string]any

// Schema checks values by the part of JSON Schema 2020-12 that the schemas in
// docs/ are written in; a keyword outside of it is an error. Test binaries that
// are started hundreds of times use it, and a library for all of JSON Schema
// takes longer to set itself up than they run.
type Schema struct{ root object }

// Read reads a schema.
func Read(path string) (Schema, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Schema{}, err
	}
	var s Schema
	return s, json.Unmarshal(text, &s.root)
}

// In is a schema that is part of a document, such as those of OpenAPI 3.1: its
// references are into the document, decoded JSON.
func In(document map[string]any) Schema { return Schema{document} }

// At is a part of the schema, such as "$defs", "project", "properties"; nil if
// there is none.
func (s Schema) At(path ...string) map[string]any {
	at := s.root
	for _, name := range path {
		at, _ = at[name].(object)
	}
	return at
}

// Check says what is wrong with v, decoded JSON, by a part of the schema such as
// "#/$defs/project"; "#" is all of it.
func (s Schema) Check(part string, v any) error {
	return s.check("", object{"$ref": part}, v)
}

func (s Schema) check(path string, rule object, v any) error {
	var faults []error
	for _, keyword := range slices.Sorted(maps.Keys(rule)) {
		if err := s.keyword(path, rule, keyword, v); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

func (s Schema) keyword(path string, rule object, keyword string, v any) error {
	want := rule[keyword]
	fault := func() error { return fmt.Errorf("%s is %.80v: want %s %v", path, v, keyword, want) }
	switch keyword {
	case "$schema", "title", "description", "default", "$defs":
		return nil
	case "$ref":
		return s.reference(path, want.(string), v)
	case "type":
		if !isAnyType(want, v) {
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
	case "maximum":
		if n, ok := v.(float64); ok && n > want.(float64) {
			return fault()
		}
	case "minItems":
		if items, ok := v.([]any); ok && float64(len(items)) < want.(float64) {
			return fault()
		}
	case "pattern":
		if text, ok := v.(string); ok && !regexp.MustCompile(want.(string)).MatchString(text) {
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

// isAnyType takes the name of a type, or several.
func isAnyType(want, v any) bool {
	if names, ok := want.([]any); ok {
		return slices.ContainsFunc(names, func(name any) bool { return isType(name.(string), v) })
	}
	return isType(want.(string), v)
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

func (s Schema) reference(path, ref string, v any) error {
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
func (s Schema) some(path, keyword string, rules []any, v any) error {
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

func (s Schema) items(path string, rule object, v any) error {
	var faults []error
	list, _ := v.([]any)
	for i, one := range list {
		faults = append(faults, s.check(fmt.Sprintf("%s.%d", path, i), rule, one))
	}
	return errors.Join(faults...)
}

// fields checks the three keywords about the fields of an object.
func (s Schema) fields(path string, rule object, keyword string, v any) error {
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
