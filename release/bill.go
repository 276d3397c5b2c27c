package main

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// bill is a software bill of materials in CycloneDX 1.6, as far as is used here.
// It has no serial number: that would be another one each time.
type bill struct {
	Format       string       `json:"bomFormat"`
	SpecVersion  string       `json:"specVersion"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Timestamp string    `json:"timestamp"` // of the commit
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	PURL       string     `json:"purl,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn"`
}

// writeBill lists what is in the binaries, as they say themselves: every module
// that is linked into any of them, and Go's own library.
func writeBill(file, version string, made time.Time, binaries []string) error {
	parts := map[string]component{}
	for _, path := range binaries {
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return err
		}
		if err := collect(parts, info); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	self := component{Type: "application", Ref: "vizstop", Name: "vizstop", Version: version}
	b := bill{Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata:     metadata{Timestamp: made.Format(time.RFC3339), Component: self},
		Dependencies: []dependency{{Ref: self.Ref, DependsOn: slices.Sorted(maps.Keys(parts))}},
	}
	for _, ref := range b.Dependencies[0].DependsOn {
		b.Components = append(b.Components, parts[ref])
	}
	content, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(content, '\n'), 0o644)
}

// collect adds what one binary holds.
func collect(parts map[string]component, info *debug.BuildInfo) error {
	add(parts, "std", strings.TrimPrefix(info.GoVersion, "go"), "")
	for _, m := range info.Deps {
		if m.Replace != nil {
			return fmt.Errorf("%s is replaced by %s: the bill would be wrong", m.Path, m.Replace.Path)
		}
		add(parts, m.Path, m.Version, m.Sum)
	}
	return nil
}

func add(parts map[string]component, module, version, sum string) {
	c := component{Type: "library", Name: module, Version: version, PURL: "pkg:golang/" + module + "@" + version}
	c.Ref = c.PURL
	if sum != "" {
		c.Properties = []property{{Name: "vizstop:go.sum", Value: sum}}
	}
	parts[c.Ref] = c
}
