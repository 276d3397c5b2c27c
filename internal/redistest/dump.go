package redistest

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// StartFrom is Start with the data of a dump: an RDB file that SAVE wrote with
// Redis 7.0 or older. dump is its path below the module's root, and stays as it is.
//
// What expires does so as if the dump had been saved just now: Redis would not
// even load what had expired by today. age is by how much that is later than it
// was, in whole seconds; times in the data itself stay what they were.
func StartFrom(t testing.TB, dump string, args ...string) (s *Server, age time.Duration) {
	t.Helper()
	known, err := users()
	if err != nil {
		t.Fatal(err)
	}
	path, err := InModule(filepath.FromSlash(dump))
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if data, age, err = saveAgain(data, time.Now()); err != nil {
		t.Fatalf("redistest: %s: %v", dump, err)
	}
	s = &Server{t: t, args: append(known, args...), line: readyLine, data: data}
	s.start()
	return s, age
}

// dumpName is the file that redis-server loads, in its working directory.
const dumpName = "dump.rdb"
