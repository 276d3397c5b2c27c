// Package e2e holds tests only: the programs as people run them, each a process
// of its own, with a real redis-server, and over HTTP a simulated API that
// checks every signature.
package e2e
