// Package pages is the web page of the console.
package pages

import "vizstop/internal/console/site"

// New returns the routes of the pages and of their static files.
func New(*site.Site) []site.Route { return nil }
