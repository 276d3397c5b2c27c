// Package console is the HTTP server's inside: the API and the pages, and around them what every request passes.
package console

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"vizstop/internal/console/site"
	"vizstop/internal/principals"
)

// Config is a console.
type Config struct {
	Site       *site.Site // what API and pages are given
	Principals *principals.Directory

	// TrustedOrigins are those, such as "https://ops.example.com", whose pages may send requests that write, besides the
	// console's own: where a proxy shows it under another host.
	TrustedOrigins []string
	// Hosts are names, without port, that requests may have in Host besides loopback names and the address that was dialled.
	Hosts []string

	// Rate is how many requests a second a principal may send, and twice that in a burst; 0: DefaultRate.
	Rate int
	// InFlight is how many requests are at work at once, of all principals; 0: DefaultInFlight. One principal has half.
	InFlight int

	Registry *prometheus.Registry // gets the console's own series
	Log      *slog.Logger
}

// The defaults of Config.
const (
	DefaultRate     = 500
	DefaultInFlight = 2048
)
