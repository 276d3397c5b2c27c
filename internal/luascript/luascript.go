// Package luascript loads the scripts that Redis runs.
package luascript

import (
	"context"
	"embed"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

//go:embed *.lua
var common embed.FS

// Script is one that Redis runs. It is put together when it is first used: a program
// that starts needs a few of some sixty. Its methods are those of redis.Script, and may
// be called at the same time.
type Script struct{ whole func() *redis.Script }

// Load makes one script of files of a package's folder "scripts", the last of which
// returns. A name without a file there is that of a common one: "gather" collects
// changes. It panics when there is none: that is a build without its files.
func Load(scripts embed.FS, names ...string) *Script {
	parts := make([]func() ([]byte, error), len(names))
	for i, name := range names {
		from, path := scripts, "scripts/"+name+".lua"
		if !holds(from, path) {
			from, path = common, name+".lua"
		}
		if !holds(from, path) {
			panic("script not embedded: " + name)
		}
		parts[i] = func() ([]byte, error) { return from.ReadFile(path) }
	}
	return &Script{sync.OnceValue(func() *redis.Script {
		var src strings.Builder
		for _, read := range parts {
			part, _ := read() // it is there
			src.Write(part)
		}
		return redis.NewScript(src.String())
	})}
}

func holds(files embed.FS, path string) bool {
	f, err := files.Open(path)
	if err != nil {
		return false
	}
	return f.Close() == nil
}

// Run runs the script by its hash, and sends the whole of it to a Redis that does not know it.
func (s *Script) Run(ctx context.Context, rdb redis.Scripter, keys []string, args ...any) *redis.Cmd {
	return s.whole().Run(ctx, rdb, keys, args...)
}

// Eval sends the whole script.
func (s *Script) Eval(ctx context.Context, rdb redis.Scripter, keys []string, args ...any) *redis.Cmd {
	return s.whole().Eval(ctx, rdb, keys, args...)
}

// EvalSha runs the script by its hash. A Redis that does not know it answers NOSCRIPT.
func (s *Script) EvalSha(ctx context.Context, rdb redis.Scripter, keys []string, args ...any) *redis.Cmd {
	return s.whole().EvalSha(ctx, rdb, keys, args...)
}

// FieldOf is what an HMGET found in the one field that it was asked for; "" for nothing. In
// a pipeline, the error that HGET has for nothing would hide those of other commands.
func FieldOf(c redis.Cmder) string {
	found, _ := c.(*redis.SliceCmd).Val()[0].(string)
	return found
}

// NoHash reports whether a key that was to hold a hash holds something else.
func NoHash(c redis.Cmder) bool { return redis.HasErrorPrefix(c.Err(), "WRONGTYPE") }

// Together returns a pipeline for commands of one slot of a Redis Cluster, scripts
// among them. While a cluster moves the slot, go-redis 9.23 repeats a whole plain
// pipeline if its first command is told to try again, those that were carried out, too, and reads
// the answers of one that was sent elsewhere twice at once. A transaction is
// repeated as a whole or not at all, and costs a tenth more.
func Together(rdb redis.UniversalClient) redis.Pipeliner {
	if _, is := rdb.(*redis.ClusterClient); is {
		return rdb.TxPipeline()
	}
	return rdb.Pipeline()
}

// RunAndRead runs a script and then reads hashes, which are in the same slot of a
// Redis Cluster, all in one write. A script that returned them would have each
// field copied into Lua and out again, which costs several times as much. Others
// may change a hash in between: what the script has written there must tell the
// caller. A hash whose key holds something else is read as none.
func RunAndRead(ctx context.Context, rdb redis.UniversalClient, script *Script, keys []string, args []any, hashes []string) (answer []any, read []map[string]string, err error) {
	for _, run := range []func(context.Context, redis.Scripter, []string, ...any) *redis.Cmd{script.EvalSha, script.Eval} {
		pipe := Together(rdb)
		cmd := run(ctx, pipe, keys, args...)
		gets := make([]*redis.MapStringStringCmd, len(hashes))
		for i, key := range hashes {
			gets[i] = pipe.HGetAll(ctx, key)
		}
		_, err = pipe.Exec(ctx)
		if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
			continue
		}
		if cmd.Err() != nil {
			return nil, nil, cmd.Err()
		}
		read = make([]map[string]string, len(gets))
		for i, get := range gets {
			if get.Err() != nil && !NoHash(get) {
				return nil, nil, err
			}
			read[i] = get.Val()
		}
		answer, err = cmd.Slice()
		return answer, read, err
	}
	return nil, nil, err
}
