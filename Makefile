# Targets with a ## are what `make help` lists. Each fetches only the tools it needs; the
# versions stand in deploy/tools/versions.env, the tools in .tools/ (links into the user's cache).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

export PATH := $(CURDIR)/.tools/bin:$(PATH)

# How long each fuzz target runs.
FUZZTIME ?= 20s
# How many steps make model takes.
MODEL_STEPS ?= 1000000
# The packages that make mutants changes; without any, all that have a floor.
MUTANTS ?=
# How many mutants it tries at once.
MUTANTS_WORKERS ?= 1
# The longest that the end-to-end tests may take.
E2E_TIMEOUT ?= 30m

install := deploy/tools/install
servers := envoy postgresql valkey

.PHONY: help tools check generate build lint test fuzz model mutants peers bench bench-http soak up demo ci generated clean

help: ## List the targets.
	@echo "usage: make TARGET"
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | column -t -s '|' 2>/dev/null || \
		sed -nE 's/^([a-z-]+):.*## (.*)/  \1  \2/p' $(firstword $(MAKEFILE_LIST))

tools: check ## Install every pinned tool into .tools/ (the cache is shared between clones).
	@$(install)

# Says everything that is missing at once, before anything takes time.
check:
	@$(install) --check

generate: check ## Generate api/gen from the protobuf schemas.
	@$(install) buf protoc-gen-go protoc-gen-connect-go
	buf generate

build: check ## Build bin/sluice.
	go build -o bin/sluice ./cmd/sluice

lint: check ## Check formatting, Go and protobuf rules, and that the API stays compatible with main.
	@$(install) buf golangci-lint gofumpt
	@unformatted=$$(gofumpt -l .) && test -z "$$unformatted" || { printf 'run gofumpt -w on:\n%s\n' "$$unformatted"; exit 1; }
	golangci-lint run ./...
	buf lint
	deploy/tools/breaking

test: build ## Run the unit tests with the race detector, then the end-to-end tests on real parts.
	@$(install) $(servers) python
	go run ./deploy/tools/testsummary \
		-- -race $$(go list ./... | grep -v '/sluice/e2e') \
		-- -p 1 -timeout $(E2E_TIMEOUT) ./e2e/...

fuzz: check ## Run each fuzz target for FUZZTIME (20s).
	deploy/tools/fuzz $(FUZZTIME)

model: check ## Hold the PostgreSQL engine, then whole sessions, against a model of the server for MODEL_STEPS (1000000) random steps each.
	go test ./extproc/postgres/engine -run TestTheEngineSaysWhatAGuardedPostgreSQLWould -count=1 -v -timeout 60m -args -model.steps=$(MODEL_STEPS) | \
		grep -v '^=== RUN'
	go test ./extproc/postgres -run '^Test(TheExchange|ACancel|ALoss|AMask)' -count=1 -v -timeout 60m -args -model.steps=$$(( $(MODEL_STEPS) / 9 )) | \
		grep -v '^=== RUN'

mutants: check ## Change the code of MUTANTS=./pkg/... token by token, and tell what no test notices (a night; not part of ci).
	@$(install) gremlins
	go run ./deploy/tools/mutants -workers $(MUTANTS_WORKERS) $(MUTANTS)

peers: build ## Run drivers' own tests directly and through Sluice; PSYCOPG_DIR and NODE_PG_DIR name checkouts (not part of ci).
	@$(install) $(servers) peers
	go run ./e2e/peers

bench: build ## Measure throughput and memory: direct, Envoy alone, a bare relay, sluice.
	@$(install) $(servers)
	go run ./e2e/bench

bench-http: build ## Measure HTTP at a fixed rate, memory and held requests: direct, Envoy alone, a no-op processor, sluice.
	@$(install) $(servers)
	go run ./e2e/benchhttp

soak: build ## Hold requests for 330 s and see them succeed after approval (not part of ci).
	@$(install) $(servers)
	go run ./e2e/soak

bin/sluice-demo: build
	@$(install) $(servers)
	go build -o $@ ./deploy/demo

up: bin/sluice-demo ## Run the whole stack in the foreground until Ctrl-C; .demo/env tells how to use it.
	exec bin/sluice-demo up

demo: bin/sluice-demo ## Play the story on a stack of its own, checking each step.
	exec bin/sluice-demo demo

generated: generate
	@git diff --exit-code --stat -- api || { echo "api/gen is not what the schemas generate: commit the result of make generate"; exit 1; }
	@new=$$(git ls-files --others --exclude-standard -- api) && test -z "$$new" || { printf 'generated, but not committed:\n%s\n' "$$new"; exit 1; }

ci: export SLUICE_NO_SKIP := 1
ci: ## Everything that must pass: lint, generated code, tests without skips, fuzz, demo.
	$(MAKE) lint
	$(MAKE) generated
	$(MAKE) test
	$(MAKE) fuzz
	$(MAKE) demo

clean: ## Remove what was built here; the cache of tools stays.
	rm -rf bin .tools .demo
