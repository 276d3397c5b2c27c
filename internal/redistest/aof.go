package redistest

import (
	"os"
	"path/filepath"
	"strings"
)

// AwaitLog waits until a server that was told to keep an append-only file has begun
// it: until then it refuses to end.
func (s *Server) AwaitLog() {
	s.t.Helper()
	client := s.Client(s.t)
	Await(s.t, "an append-only file", func() bool {
		info := client.Info(s.t.Context(), "persistence").Val()
		return strings.Contains(info, "aof_enabled:1") && strings.Contains(info, "aof_rewrite_in_progress:0") &&
			strings.Contains(info, "aof_rewrite_scheduled:0")
	})
}

// LogSize is how much of the append-only file's newest part has been written.
// The server must keep one, and not rewrite it meanwhile.
func (s *Server) LogSize() int64 {
	s.t.Helper()
	info, err := os.Stat(s.logFile())
	if err != nil {
		s.t.Fatal(err)
	}
	return info.Size()
}

// CutLog takes the append-only file of a killed server back to an earlier
// LogSize: what was written later is lost, as in a power cut before it was
// synced to the disk.
func (s *Server) CutLog(size int64) {
	s.t.Helper()
	if s.proc != nil {
		s.t.Fatal("redistest: CutLog of a running server")
	}
	if err := os.Truncate(s.logFile(), size); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) logFile() string {
	s.t.Helper()
	found, err := filepath.Glob(filepath.Join(s.dir, "appendonlydir", "*.incr.aof"))
	if err != nil || len(found) != 1 {
		s.t.Fatalf("redistest: append-only files %q, %v: want one", found, err)
	}
	return found[0]
}
