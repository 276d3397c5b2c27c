package main

import (
	"encoding/json"
	"fmt"
	"sync"

	"vizstop/internal/schematest"
)

// The parts of the documented schema that a text is checked against.
const (
	printed  = "#"                    // what --json prints
	notified = "#/$defs/notification" // what --notify posts
)

const schemaFile = "../../docs/enqueue.schema.json"

var readSchema = sync.OnceValues(func() (schematest.Schema, error) { return schematest.Read(schemaFile) })

// fits says what is wrong with one JSON object by the documented schema.
func fits(part, text string) error {
	schema, err := readSchema()
	if err != nil {
		return err
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return fmt.Errorf("not one JSON object: %w", err)
	}
	return schema.Check(part, v)
}

type object = map[string]any
