package redistest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// What stands before a part of an RDB file that is not a key.
//
// Source: src/rdb.h of Redis 7.0.
const (
	rdbFunction = 0xF5
	rdbIdle     = 0xF8
	rdbFreq     = 0xF9
	rdbAux      = 0xFA
	rdbSizes    = 0xFB
	rdbExpireMs = 0xFC
	rdbExpire   = 0xFD
	rdbDatabase = 0xFE
	rdbEnd      = 0xFF
)

// The types of a value, as far as they are known here: all of Redis 7.0 but
// streams, modules and what only old versions wrote.
const (
	rdbString     = 0
	rdbSet        = 2
	rdbHash       = 4
	rdbSortedSet  = 5
	rdbIntSet     = 11
	rdbHashPacked = 16
	rdbZSetPacked = 17
	rdbList       = 18
)

// saveAgain is the RDB file that Redis would have written had it saved the same
// data now: what was to expire in a minute, expires in a minute. The file must say
// when it was saved, which is age before now.
func saveAgain(rdb []byte, now time.Time) (again []byte, age time.Duration, err error) {
	r := &rdbReader{rdb: slices.Clone(rdb)}
	defer func() {
		if recover() != nil { // read beyond the end
			err = errors.New("the RDB file ends in the middle")
		}
	}()
	if string(r.next(5)) != "REDIS" {
		return nil, 0, errors.New("not an RDB file")
	}
	r.next(4) // the version
	known := false
	for {
		switch code := r.next(1)[0]; code {
		case rdbAux:
			name, value := r.text(), r.text()
			if name == "ctime" {
				saved, err := strconv.ParseInt(value, 10, 64)
				if err != nil {
					return nil, 0, fmt.Errorf("saved at %q", value)
				}
				age, known = now.Sub(time.Unix(saved, 0)).Truncate(time.Second), true
			}
		case rdbFunction:
			r.text()
		case rdbDatabase, rdbIdle:
			r.length()
		case rdbSizes:
			r.length()
			r.length()
		case rdbFreq:
			r.next(1)
		case rdbExpire:
			at := r.next(4)
			binary.LittleEndian.PutUint32(at, binary.LittleEndian.Uint32(at)+uint32(age/time.Second))
		case rdbExpireMs:
			at := r.next(8)
			binary.LittleEndian.PutUint64(at, binary.LittleEndian.Uint64(at)+uint64(age.Milliseconds()))
		case rdbEnd:
			if !known {
				return nil, 0, errors.New("the RDB file does not say when it was saved")
			}
			clear(r.rdb[r.at:]) // no checksum
			return r.rdb, age, nil
		default:
			r.text() // the key
			if err := r.value(code); err != nil {
				return nil, 0, err
			}
		}
	}
}

// rdbReader goes through an RDB file. It panics at the end.
type rdbReader struct {
	rdb []byte
	at  int
}

func (r *rdbReader) next(n int) []byte {
	b := r.rdb[r.at : r.at+n]
	r.at += n
	return b
}

func (r *rdbReader) value(kind byte) error {
	switch kind {
	case rdbString, rdbIntSet, rdbHashPacked, rdbZSetPacked:
		r.text()
	case rdbSet:
		for range r.length() {
			r.text()
		}
	case rdbHash:
		for range r.length() {
			r.text()
			r.text()
		}
	case rdbSortedSet:
		for range r.length() {
			r.text()
			r.next(8) // the score
		}
	case rdbList:
		for range r.length() {
			r.length()
			r.text()
		}
	default:
		return fmt.Errorf("a value of type %d, which is not known here", kind)
	}
	return nil
}

func (r *rdbReader) length() int {
	n, coded := r.lengthOrCode()
	if coded {
		panic("a number where a length should be")
	}
	return n
}

// lengthOrCode reads a length or, where coded, how a text is written in a shorter
// way.
func (r *rdbReader) lengthOrCode() (n int, coded bool) {
	b := r.next(1)[0]
	switch b >> 6 {
	case 0:
		return int(b & 0x3F), false
	case 1:
		return int(b&0x3F)<<8 | int(r.next(1)[0]), false
	case 3:
		return int(b & 0x3F), true
	}
	if b == 0x81 {
		return int(binary.BigEndian.Uint64(r.next(8))), false
	}
	return int(binary.BigEndian.Uint32(r.next(4))), false
}

// text reads a text; "" if it is compressed, which is of no interest here.
func (r *rdbReader) text() string {
	n, coded := r.lengthOrCode()
	if !coded {
		return string(r.next(n))
	}
	switch n {
	case 0:
		return strconv.Itoa(int(int8(r.next(1)[0])))
	case 1:
		return strconv.Itoa(int(int16(binary.LittleEndian.Uint16(r.next(2)))))
	case 2:
		return strconv.Itoa(int(int32(binary.LittleEndian.Uint32(r.next(4)))))
	default:
		packed := r.length()
		r.length()
		r.next(packed)
		return ""
	}
}
