// Package version tells which build runs.
package version

import "runtime/debug"

// version is set by the linker: -X vizstop/internal/version.version=v1.2.3.
var version string

// String is the released version; without one, that of the module or the
// commit it was built from, else "devel".
func String() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	return "devel"
}
