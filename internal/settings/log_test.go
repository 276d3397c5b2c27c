package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

type named string

// What comes from outside stays within its value, within bounds, and does
// nothing to a terminal, in either format and whatever its type.
func TestLogsCannotBeForged(t *testing.T) {
	t.Parallel()
	const nasty = "a\nlevel=ERROR msg=forged\r\x1b[2J\x00\x7f\u009b\u202e\u2066\u2028\xff"
	long := strings.Repeat("y", 1<<20)
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		log := Log{Level: "debug", Format: format}.Logger(&out)
		log.With("w", nasty).WithGroup("g").Debug(nasty+long, "text", nasty+long, "error", errors.New(nasty+long), "named", named(nasty+long),
			"raw", []byte("bytes"), "took", 1500*time.Millisecond)
		line := out.String()
		if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") || len(line) > 6*maxLogged {
			t.Errorf("%s: %d lines, %d bytes", format, strings.Count(line, "\n"), len(line))
		}
		if i := strings.IndexFunc(line[:len(line)-1], func(r rune) bool { return r < ' ' || obeyedByTerminals(r) }); i >= 0 {
			t.Errorf("%s: %q came through in %.300q", format, line[i:i+1], line[max(0, i-50):])
		}
		if !strings.Contains(line, "1.5s") {
			t.Errorf("%s: no duration in %.300q", format, line)
		}
		if format == "json" && !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %.300q", line)
		}
	}
}

func obeyedByTerminals(r rune) bool {
	return r >= 0x7f && r <= 0x9f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// The level and the time stay what log tools expect.
func TestLogKeepsItsOwnFields(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	Log{Level: "info", Format: "json"}.Logger(&out).Warn("message", "n", 3, "ok", true, "at", time.Unix(0, 0).UTC())
	var line struct {
		Time  time.Time
		Level slog.Level
		Msg   string
		N     int
		OK    bool
		At    time.Time
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, &out)
	}
	if line.Time.IsZero() || line.Level != slog.LevelWarn || line.Msg != "message" || line.N != 3 || !line.OK || line.At.Unix() != 0 {
		t.Errorf("line %s", &out)
	}
}
