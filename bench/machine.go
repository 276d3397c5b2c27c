package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"

	"vizstop/internal/version"
)

// machine is where and with what a measurement was made.
type machine struct {
	CPUs    int    `json:"cpus"`
	CPU     string `json:"cpu"`
	Kernel  string `json:"kernel"`
	Go      string `json:"go"`
	Redis   string `json:"redis"`
	Asynq   string `json:"asynq"`
	Vizstop string `json:"vizstop"`
	Load    string `json:"load"` // the one-minute load average after it
}

func (m machine) String() string {
	return fmt.Sprintf("%d CPUs (%s), %s, %s, %s, asynq %s, vizstop %s",
		m.CPUs, m.CPU, m.Kernel, m.Go, m.Redis, m.Asynq, m.Vizstop)
}

func thisMachine(ctx context.Context) (machine, error) {
	out, err := exec.CommandContext(ctx, "redis-server", "--version").Output()
	if err != nil {
		return machine{}, fmt.Errorf("redis-server --version: %w", err)
	}
	redis, _, _ := strings.Cut(string(out), " sha=")
	m := machine{
		CPUs: runtime.NumCPU(), CPU: cpuModel(), Go: runtime.Version(), Vizstop: version.String(),
		Redis: strings.Replace(redis, "Redis server v=", "Redis ", 1),
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = "Linux " + strings.TrimSpace(string(b))
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(b), " ")
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == "github.com/hibiken/asynq" {
				m.Asynq = d.Version
			}
		}
	}
	return m, nil
}

func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(b)) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return runtime.GOARCH
}
