// Package docs has the documents that programs show.
package docs

import _ "embed"

// OpenAPI describes the console's HTTP API (OpenAPI 3.1, YAML).
//
//go:embed openapi.yaml
var OpenAPI []byte
