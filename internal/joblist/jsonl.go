package joblist

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// parseJSON reads one object, token by token: a map would hide a field that is
// there twice.
func parseJSON(line string) (record, error) {
	var rec record
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return rec, errors.New("is not a JSON object")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return rec, badJSON(err)
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return rec, badJSON(err)
		}
		name, _ := key.(string) // any other key was an error above
		if err := rec.field(name, value); err != nil {
			return rec, err
		}
	}
	if _, err := d.Token(); err != nil {
		return rec, badJSON(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return rec, errors.New("there is more than one object on the line")
	}
	return rec, nil
}

func badJSON(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON object does not end on its line")
	}
	return fmt.Errorf("is not a JSON object: %w", err)
}

// field notes one field of an object.
func (r *record) field(name string, value any) error {
	switch key := keyOf(name); key {
	case projectKey:
		return setID(&r.project, key, value)
	case jobKey:
		return setID(&r.job, key, value)
	}
	switch v := value.(type) {
	case string:
		return r.label(name, v)
	case json.Number:
		return r.label(name, v.String())
	case bool:
		return r.label(name, strconv.FormatBool(v))
	}
	return nil
}

func setID(id *string, key string, value any) error {
	if *id != "" {
		return fmt.Errorf("%s is there twice", key)
	}
	switch v := value.(type) {
	case string:
		*id = strings.TrimSpace(v)
	case json.Number:
		// 1e3 would pass for an id, of another job than the one that is meant.
		if strings.Trim(v.String(), "0123456789") != "" {
			return fmt.Errorf("%s %.40s is not a whole number", key, v)
		}
		*id = v.String()
	case nil:
	default:
		return fmt.Errorf("%s is neither text nor a number", key)
	}
	return nil
}
