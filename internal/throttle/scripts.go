package throttle

import (
	"embed"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed scripts/*.lua
var scriptFiles embed.FS

var (
	takeScript   = loadScript("rate", "take")
	parkScript   = loadScript("rate", "park")
	fleetScript  = loadScript("rate", "fleet")
	ratesScript  = loadScript("rate", "rates")
	haltScript   = loadScript("halt")
	liftScript   = loadScript("lift")
	hastenScript = loadScript("hasten")
)

// loadScript makes one script of files, the last of which returns.
func loadScript(names ...string) *redis.Script { return redis.NewScript(scriptSource(names...)) }

func scriptSource(names ...string) string {
	var src strings.Builder
	for _, name := range names {
		part, err := scriptFiles.ReadFile("scripts/" + name + ".lua")
		if err != nil {
			panic("throttle: script not embedded: " + name) // a build without its files
		}
		src.Write(part)
	}
	return src.String()
}

// fleet stands for all projects where a project id is expected. It is not a
// valid id, so no project can be mistaken for it.
const fleet = "-"

func bucketKey(projectID string) string { return "vizstop:{" + projectID + "}:throttle" }
func haltKey(projectID string) string   { return "vizstop:{" + projectID + "}:halt" }
func pauseKey(projectID string) string  { return "vizstop:{" + projectID + "}:pause" }

// announcedKey holds the rate that the workers keep to.
const announcedKey = "vizstop:{-}:rate"
