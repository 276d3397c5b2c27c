// Package httpapi is the HTTP API of the console.
package httpapi

import "vizstop/internal/console/site"

// New returns the routes below /v1/, and /openapi.yaml.
func New(*site.Site) []site.Route { return nil }
