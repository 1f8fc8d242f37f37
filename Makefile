# Coatcheck. `make` alone lists the targets. Everything sets itself up; nothing needs an argument.
GO    ?= go
TAGS  := -tags nomsgpack
PKG   ?= ./...
TOOL  := $(GO) -C tools tool
ROUNDS ?= 3

.DEFAULT_GOAL := help
.PHONY: help run build test check check-long lint fmt generate bench fuzz lab quickstart interop model simulate mutate nemesis figures setup clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

run: build ## Start the demonstration: issuer, edge, store and two services in one process, on loopback
	@bin/coatcheck dev

test: setup ## Run every test with the race detector (starts and stops its own redis-server)
	$(GO) test $(TAGS) -race -shuffle=on -timeout 8m $(PKG)

build: ## Build bin/coatcheck
	@$(GO) build $(TAGS) -trimpath -o bin/coatcheck ./cmd/coatcheck

check: fmt-check lint generate-check test simulate model-short bench-smoke quickstart interop ## All that CI runs: format, linters, generated files, tests, 500 simulated worlds, the model, the README's quick start, peers

check-long: check ## The slow campaigns too: fuzzing, benchmarks, the load lab
	$(MAKE) fuzz FUZZTIME=30s
	$(MAKE) bench figures lab
	$(MAKE) nemesis simulate SEEDS=100000
	$(MAKE) model mutate

lint: ## vet, and the analyzers of tools/lint (staticcheck, errcheck, bodyclose, noctx, errorlint, …)
	$(GO) vet $(TAGS) ./...
	@$(GO) -C tools build -o ../bin/lint ./lint
	$(GO) vet $(TAGS) -vettool=$(CURDIR)/bin/lint ./...

fmt: ## Format all Go files
	@git ls-files -co --exclude-standard '*.go' | sed 's|^|../|' | xargs $(TOOL) gofumpt -w

fmt-check:
	@out=$$(git ls-files -co --exclude-standard '*.go' | sed 's|^|../|' | xargs $(TOOL) gofumpt -l); \
	  [ -z "$$out" ] || { echo "not formatted (mend with: make fmt):"; echo "$$out"; exit 1; }

generate: ## Write the generated files anew: the configuration's JSON Schema, docs/conformance.md
	$(GO) -C tools run ./schema
	$(GO) -C tools run ./conformance

generate-check: generate
	@git diff --exit-code -- configs/coatcheck.schema.json docs/conformance.md || { echo "generated files were stale: commit what make generate wrote"; exit 1; }

bench: ## Micro-benchmarks of the hot paths, with allocations
	$(GO) test $(TAGS) -run '^$$' -bench . -benchmem $(BENCHFLAGS) ./routes ./exchange ./gateway ./issuer ./verifier ./store

bench-smoke:
	@$(MAKE) --no-print-directory bench BENCHFLAGS='-benchtime=20x' >/dev/null

fuzz: ## Each fuzz target for FUZZTIME (default 10s)
	@GO="$(GO)" TAGS="$(TAGS)" tools/fuzz.sh $(or $(FUZZTIME),10s)

lab: build ## Load lab: the edge beside nginx and nginx + Lua, interleaved (installs them); ROUNDS=3
	@benchmarks/lab.sh run $(ROUNDS)

simulate: ## Simulate the revocation protocol in SEEDS=500 worlds, each decided by one number; SEEDS=100000 is a campaign
	$(GO) test $(TAGS) -timeout 0 ./revocation/simulation -run TestSimulation -v -seeds $(or $(SEEDS),500) -from $(or $(FROM),1)

mutate: ## Take each safeguard of the revocation protocol out; the model, the simulation or a test must notice (a quarter of an hour)
	@tools/setup.sh spin gcc redis-server
	@$(GO) -C tools run ./mutate $(if $(MUTANT),'$(MUTANT)')

model: ## Check the model of the revocation protocol with spin (installs it); MODEL=short is what CI runs
	@tools/setup.sh spin gcc
	@revocation/model/check.sh $(MODEL)

model-short:
	@$(MAKE) --no-print-directory model MODEL=short

quickstart: ## Run the README's quick start for real
	@tools/quickstart.sh

interop: build ## Clients and verifiers that are not ours, in Go, JavaScript, Python and C, against a real issuer (installs them)
	@GO="$(GO)" tools/interop/run.sh

nemesis: ## Real edges, issuers and Redis under failures for 30 minutes; writes benchmarks/run/late.svg (NEMESIS='-nemesis 5m -workers 20')
	@mkdir -p benchmarks/run
	$(GO) test $(TAGS) -run TestNemesis -v -timeout 60m ./revocation/nemesis -plot $(CURDIR)/benchmarks/run/late.svg $(or $(NEMESIS),-nemesis 30m -workers 40 -least 30000)

figures: ## How soon a revocation is on 1, 10 and 100 edges, and what it costs at rest
	$(GO) test $(TAGS) -run TestFigures -v -timeout 20m ./benchmarks/revocation -edges 1,10,100 -revocations 100 -rest 10s

setup: ## Install what the tests need (redis-server, curl, openssl) through the system's package manager
	@tools/setup.sh redis-server curl openssl

clean: ## Remove what was built
	rm -rf bin benchmarks/run
