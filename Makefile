# Needs Go, git and make. `make deps` brings the rest, on Debian and its kin.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c

GO          ?= go
GOTESTFLAGS ?=
BENCH       ?=
BENCHFLAGS  ?=
FUZZTIME    ?= 30s
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# A build tells its commit where git can (not in a tarball, or a checkout that
# belongs to someone else). Nothing else needs the commit, and asking for it in
# vain is an error.
VCS := $(shell git log -1 >/dev/null 2>&1 && echo true || echo false)
lint test fuzz demo simulate chaos: export GOFLAGS := $(GOFLAGS) -buildvcs=false

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: deps
deps: ## install what tests need and this machine lacks
	@scripts/need redis-server gcc prometheus promtool

.PHONY: build
build: ## build the programs into bin/
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=$(VCS) -o bin/ ./cmd/...

.PHONY: test
test: deps ## run all tests with the race detector (GOTESTFLAGS='-run Name')
	CGO_ENABLED=1 $(GO) test -race -timeout 9m $(GOTESTFLAGS) ./...

.PHONY: lint
lint: ## check formatting, vet, staticcheck, go.mod
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not gofmt'ed: $$unformatted" >&2; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) mod tidy -diff

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME (30s)
	@GO='$(GO)' scripts/fuzz '$(FUZZTIME)'

SEEDS ?= 1000
SEED  ?= 1

.PHONY: simulate
simulate: ## play SEEDS (1000) bad days in virtual time, from SEED on
	$(GO) test ./internal/worker -run 'TestSimulation$$' -seeds $(SEEDS) -seed $(SEED) -simulate-for 0 -timeout 0 -v

RUNS ?= 1

.PHONY: chaos
chaos: deps ## kill workers and Redis, cut off the API, each RUNS (1) times; print a table
	$(GO) test ./e2e -run '^TestChaos' -chaos -runs $(RUNS) -parallel 4 -count 1 -timeout 0 -v

.PHONY: bench-build
bench-build: deps build
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=$(VCS) -o bin/ ./bench ./bench/baseline/...

.PHONY: bench
bench: bench-build ## measure everything the README claims, 25 minutes (BENCH='-only wall -rounds 1')
	bin/bench $(BENCH)

.PHONY: bench-go
bench-go: deps ## measure the hot pieces, with allocations per operation
	$(GO) test -run '^$$' -bench . -benchmem $(BENCHFLAGS) ./internal/modelarts/... ./internal/tasks ./internal/ledger ./internal/throttle

.PHONY: demo
demo: ## stop simulated jobs with everything in one process
	$(GO) run ./cmd/worker demo

.PHONY: watch
watch: deps ## stop simulated jobs for as long as it is watched, with a Prometheus beside
	@GO='$(GO)' scripts/watch

.PHONY: clean
clean: ## remove what make has built
	rm -rf bin dist coverage.out
