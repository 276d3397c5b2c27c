// Package luascript loads the scripts that Redis runs.
package luascript

import (
	"embed"

	"github.com/redis/go-redis/v9"
)

//go:embed *.lua
var common embed.FS

// Load makes one script of files of a package's folder "scripts", the last of which
// returns. A name without a file there is that of a common one: "gather" collects
// changes. It panics when there is none: that is a build without its files.
func Load(scripts embed.FS, names ...string) *redis.Script {
	var src string
	for _, name := range names {
		part, err := scripts.ReadFile("scripts/" + name + ".lua")
		if err != nil {
			part, err = common.ReadFile(name + ".lua")
		}
		if err != nil {
			panic("script not embedded: " + name)
		}
		src += string(part)
	}
	return redis.NewScript(src)
}
