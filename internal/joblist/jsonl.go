package joblist

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// parseJSON reads one object.
func parseJSON(line string) (rec record, err error) {
	rec.project, rec.job, err = readObject(line, rec.field)
	return rec, err
}

// IDs reads the ids of one JSON object, as a line of JSON lines has them: text or a
// whole number, each at most once. Other fields are handed to field. With an error
// come the ids that could be read. They need not be valid; one that is missing is "".
func IDs(object string, field func(name string, value any) error) (projectID, jobID string, err error) {
	return readObject(object, field)
}

// readObject reads the ids of one object, and hands its other fields to field. It
// goes token by token: a map would hide a field that is there twice. What is wrong
// with one field keeps no other from being read.
func readObject(text string, field func(name string, value any) error) (project, job string, fault error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return "", "", errors.New("is not a JSON object")
	}
	seen := map[string]bool{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return project, job, badJSON(err)
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return project, job, badJSON(err)
		}
		name, _ := key.(string) // any other key was an error above
		switch key := keyOf(name); {
		case (key == projectKey || key == jobKey) && seen[key]:
			err = fmt.Errorf("%s is there twice", key)
		case key == projectKey:
			project, err = readID(key, value)
		case key == jobKey:
			job, err = readID(key, value)
		default:
			err = field(name, value)
		}
		seen[keyOf(name)] = true
		fault = cmp.Or(fault, err)
	}
	if _, err := d.Token(); err != nil {
		return project, job, badJSON(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return project, job, errors.New("there is more than one object on the line")
	}
	return project, job, fault
}

func badJSON(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON object does not end on its line")
	}
	return fmt.Errorf("is not a JSON object: %w", err)
}

// field notes one field of an object that is no id.
func (r *record) field(name string, value any) error {
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

// readID reads an id; null is as good as none.
func readID(key string, value any) (string, error) {
	switch v := value.(type) {
	case string:
		return strings.TrimSpace(v), nil
	case json.Number:
		// 1e3 would pass for an id, of another job than the one that is meant.
		if strings.Trim(v.String(), "0123456789") != "" {
			return "", fmt.Errorf("%s %.40s is not a whole number", key, v)
		}
		return v.String(), nil
	case nil:
		return "", nil
	default:
		return "", fmt.Errorf("%s is neither text nor a number", key)
	}
}
