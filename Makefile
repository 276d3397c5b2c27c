# Needs Go, git and make. `make deps` brings the rest, on Debian and its kin.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c

GO          ?= go
GOTESTFLAGS ?=
BENCH       ?=
BENCHFLAGS  ?=
FUZZTIME    ?= 30s
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# The checks of deploy/ are a module of their own. Go would take an old result
# for the new one: it does not look at files outside of a module.
CHECK := $(GO) -C deploy/check

# A build tells its commit where git can (not in a tarball, or a checkout that
# belongs to someone else). Nothing else needs the commit, and asking for it in
# vain is an error.
VCS := $(shell git log -1 >/dev/null 2>&1 && echo true || echo false)
test-race fuzz demo chaos: export GOFLAGS := $(GOFLAGS) -buildvcs=false

# What looks at the code, the checks of deploy/ and the simulation build as the image does: so
# each package is compiled twice in all, this way and with the race detector.
lint check-deploy manifests simulate test-without-race test-v2: export GOFLAGS := $(GOFLAGS) -buildvcs=false -trimpath
lint check-deploy manifests simulate test-without-race test-v2: export CGO_ENABLED := 0

# The version of images and releases, and the Go that builds them: another one
# would make other bytes.
VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
RELEASE_GO ?= go1.26.8

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# npm brings axe-core, which looks for what makes pages hard to use. It writes its own list last, so that list tells
# whether the version that we name is there.
AXE := internal/browsertest/axe

.PHONY: deps
deps: $(AXE)/node_modules/.package-lock.json ## install what tests need and this machine lacks
	@scripts/need redis-server gcc prometheus promtool chromium $(if $(filter Linux,$(shell uname)),systemd-analyze)

$(AXE)/node_modules/.package-lock.json: $(AXE)/package-lock.json
	@scripts/need npm
	@cd $(AXE) && npm ci --ignore-scripts --no-audit --no-fund --fetch-retries=5 --loglevel=error >&2

.PHONY: build
build: ## build the programs into bin/
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=$(VCS) -o bin/ ./cmd/...

PREFIX ?= /usr/local
BIN    ?= bin

.PHONY: install
install: ## copy what "make build" has built, and docs/, below PREFIX (/usr/local)
	@[ -x '$(BIN)/worker' ] || { echo 'nothing is built yet: run make build first, as yourself' >&2; exit 1; }
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/share/doc/vizstop'
	install -m 0755 $(addprefix '$(BIN)'/,worker enqueue console simulator) '$(DESTDIR)$(PREFIX)/bin'
	install -m 0644 docs/*.md docs/*.json docs/*.yaml '$(DESTDIR)$(PREFIX)/share/doc/vizstop'

# Many tests wait, others need all cores: what runs with the race detector and what runs without go side by side. "make
# lint" has looked at the code.
GOTEST = $(GO) test -vet=off -timeout 30m $(GOTESTFLAGS)

.PHONY: test
test: deps ## run all tests, with the race detector where it can find something, hold deploy/ against the programs, play some bad days (GOTESTFLAGS='-run Name')
	@$(MAKE) --no-print-directory -j 2 test-race test-without-race

# Where nothing runs beside anything else, or in another program, the race detector finds nothing and costs minutes. Of
# the scripts of enqueue, each a dozen processes, those run with it in which enqueue does several things at once, and of
# the tests of e2e those in which processes die, lose Redis, end or share their work.
RACELESS = /simulation$$|/browsertest$$|/takeover$$|/deploy/|/cmd/enqueue$$|/e2e$$
E2E      = Chaos|Killed|Workers|Redis|SIG|Shutdown|Signal|Pipe
SCRIPTS  = cancel_large|from|interrupt|large|select_pages|select_projects|undo|wait|watch

.PHONY: test-race
test-race:
	CGO_ENABLED=1 $(GO) test -vet=off -timeout 30m -race -run '$(E2E)' $(GOTESTFLAGS) ./e2e
	CGO_ENABLED=1 $(GOTEST) -race -skip TestInABrowser $$($(GO) list ./... | grep -Ev '$(RACELESS)')
	CGO_ENABLED=1 $(GO) test -vet=off -timeout 30m -race -run 'Test[^S]|TestScripts/^($(SCRIPTS))$$' $(GOTESTFLAGS) ./cmd/enqueue
	CGO_ENABLED=1 $(GO) test -vet=off -timeout 30m -race -run 'TestSimulation$$|TestOutcomes|TestFrozen|TestListChecksOf' $(GOTESTFLAGS) ./simulation -seed 11 -seeds 2

.PHONY: test-without-race
test-without-race:
	$(GOTEST) ./simulation -simulate-for 8s
	$(GOTEST) -skip '$(E2E)' ./e2e
	$(GOTEST) $$($(GO) list ./... | grep -E '$(RACELESS)' | grep -Ev '/simulation$$|/e2e$$')
	$(GO) test -vet=off -timeout 30m -run TestInABrowser $(GOTESTFLAGS) ./internal/console/pages
	@$(MAKE) --no-print-directory check-deploy

.PHONY: test-v2
test-v2: deps ## run the tests of e2e and simulation with the second generation of the API, without the race detector
	VIZSTOP_TEST_API=v2 $(GOTEST) -count=1 ./e2e # Go's cache of tests does not see the variable
	VIZSTOP_TEST_API=v2 $(GOTEST) -count=1 ./simulation -simulate-for 8s

.PHONY: check-deploy
check-deploy: deps ## hold deploy/ against the programs: flags, variables, series, schemas
	$(CHECK) test -count=1 $(GOTESTFLAGS) ./...

.PHONY: manifests
manifests: ## make the PrometheusRule anew from deploy/prometheus
	$(CHECK) test -count=1 -run 'TestPrometheusRule$$' -update ./...

.PHONY: image
image: ## build the container image (needs Docker)
	docker build -f deploy/docker/Dockerfile --build-arg VERSION='$(VERSION)' \
	  --build-arg REVISION="$$(git rev-parse HEAD 2>/dev/null || true)" -t 'vizstop:$(VERSION)' .

.PHONY: release
release: ## build archives, checksums and an SBOM of VERSION into dist/
	GOTOOLCHAIN=$(RELEASE_GO) $(GO) run -buildvcs=false ./release '$(VERSION)' dist

.PHONY: release-check
release-check: ## build the release of this commit in two places and compare the bytes
	GOTOOLCHAIN=$(RELEASE_GO) GO='$(GO)' scripts/reproduce

.PHONY: lint
lint: ## check formatting, vet, staticcheck, go.mod
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not gofmt'ed: $$unformatted" >&2; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) mod tidy -diff
	$(CHECK) vet ./...
	$(CHECK) run $(STATICCHECK) ./...
	$(CHECK) mod tidy -diff

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME (30s)
	@GO='$(GO)' scripts/fuzz '$(FUZZTIME)'

SEEDS ?= 1000
SEED  ?= 1
SIMULATE_FOR ?= 0

.PHONY: simulate
simulate: ## play SEEDS (1000) bad days in virtual time, from SEED on (SIMULATE_FOR=1m: at most)
	$(GO) test ./simulation -run 'TestSimulation$$' -count 1 -seeds $(SEEDS) -seed $(SEED) -simulate-for $(SIMULATE_FOR) -timeout 0 -v \
	  | awk '!/^ *(===|--- PASS)/'

RUNS ?= 1

.PHONY: chaos
chaos: deps ## kill workers and Redis, cut off the API, each RUNS (1) times; print a table
	$(GO) test ./e2e -run '^TestChaos' -chaos -runs $(RUNS) -parallel 4 -count 1 -timeout 0 -v

.PHONY: bench-build
bench-build: deps build
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=$(VCS) -o bin/ ./bench ./bench/baseline/...

.PHONY: bench
bench: bench-build ## measure everything the README claims, an hour (BENCH='-only wall -rounds 1')
	bin/bench $(BENCH)

.PHONY: bench-go
bench-go: deps ## measure the hot pieces, with allocations per operation
	$(GO) test -run '^$$' -bench . -benchmem $(BENCHFLAGS) ./internal/modelarts/... ./internal/tasks ./internal/ledger ./internal/release

.PHONY: demo
demo: ## stop simulated jobs with everything in one process
	@echo 'building; the first time this takes a few minutes'
	@$(GO) run ./cmd/worker demo

.PHONY: watch
watch: deps ## stop simulated jobs for as long as it is watched, with a Prometheus beside
	@GO='$(GO)' scripts/watch

.PHONY: clean
clean: ## remove what make has built
	rm -rf bin dist coverage.out
