// Package simulation tests whole fleets in virtual time: workers, asynq, an
// embedded Redis (miniredis) and the simulated API run in one testing/synctest
// bubble, where an hour of waiting takes seconds.
//
// It has two kinds of tests. A story is one named test that sets up one
// situation, such as an outage of the API or a crash in the middle of a call,
// and checks how the stops end. TestSimulation plays many random days, each from
// a seed, and checks after each day what must always hold; "make simulate" runs it.
// docs/reliability.md lists what happens on such a day, what must hold, and
// which bugs it has found.
//
// The package has no code but tests, and uses workers as cmd/worker does: through
// the exported API of internal/worker.
package simulation
