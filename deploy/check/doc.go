// Package check holds what is deployed against what is there: every flag,
// variable, page, metric and label that a manifest, unit, compose file or rule
// names has to be known by the running programs, and every field by the system
// that will read it. It has nothing but tests; "make test" runs them.
package check
