package when

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"vizstop/internal/plain"
)

// Zone is the time zone that the variable TZ names: by a name such as Asia/Shanghai, by the path of a zone file, or by
// a rule as POSIX has it, such as CST-8 or CET-1CEST,M3.5.0,M10.5.0/3. Go itself knows no rules, and takes UTC for
// them. Without a text it is the machine's own zone. The error says what to set.
func Zone(tz string) (*time.Location, error) {
	name := strings.TrimPrefix(tz, ":")
	if name == "" {
		return time.Local, nil
	}
	if zone, err := time.LoadLocation(name); err == nil {
		return zone, nil
	}
	if filepath.IsAbs(name) {
		if data, err := os.ReadFile(name); err == nil {
			if zone, err := time.LoadLocationFromTZData(name, data); err == nil {
				return zone, nil
			}
		}
	} else if zone, err := ruled(name); err == nil && plain.Fits(name) {
		return zone, nil
	}
	return nil, fmt.Errorf("TZ: %.80q is not a time zone: set it to a name such as Asia/Shanghai, or to a rule such as CST-8", tz)
}

// noZone is the name of a zone whose rule could not be read.
const noZone = "-00"

// ruled is the zone of a POSIX rule. A zone file (RFC 9636) may end in such a rule for the times after its last
// transition; this one consists of the rule only.
func ruled(rule string) (*time.Location, error) {
	var file bytes.Buffer
	header := func(transitions, types, chars uint32) {
		file.WriteString("TZif2" + strings.Repeat("\x00", 15))
		for _, n := range []uint32{0, 0, 0, transitions, types, chars} {
			_ = binary.Write(&file, binary.BigEndian, n)
		}
	}
	zone := "\x00\x00\x00\x00" + "\x00" + "\x00" + noZone + "\x00" // offset, no summer time, index of the name; the name
	header(0, 1, uint32(len(noZone)+1))
	file.WriteString(zone)
	header(0, 1, uint32(len(noZone)+1)) // once more, with the times in 64 bits of which there are none
	file.WriteString(zone + "\n" + rule + "\n")
	location, err := time.LoadLocationFromTZData(rule, file.Bytes())
	if err != nil {
		return nil, err
	}
	if name, _ := time.Unix(0, 0).In(location).Zone(); name == noZone {
		return nil, fmt.Errorf("%.80q is not a rule", rule)
	}
	return location, nil
}
