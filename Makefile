# One command a job; `make` alone prints them. Each sets up only what it needs (scripts/setup.sh), once.
.DEFAULT_GOAL := help
.NOTPARALLEL:
SHELL := /bin/bash
MAKEFLAGS += --no-builtin-rules
setup = @scripts/setup.sh
env = @source scripts/env.sh &&

.PHONY: help setup run user build edge pkg www fmt lint no-std test-core openapi simulate vectors test-edge test-fuzz fuzz edge-test api-test soak soak-test audit pkg-test \
	console-test dist deploy-check run-test e2e test test-backends bench bench-auth bench-client docs sizes clean

help: ## print this
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: ## make this machine ready for every job
	$(setup)

run: ## start the edge, the console and a real model: PORT= BACKENDS= DATA_DIR= ADMIN_EMAIL= ADMIN_PASSWORD=
	@scripts/run.sh

user: ## users of a running edge: DO='list', DO='create ann@example.com', … alone it prints them all
	$(setup) base
	$(env) node scripts/user.mjs $(DO)

build: ## the edge, the npm package and the console, where out of date
	$(setup) base wasm tools npm
	@scripts/build.sh

edge: ## worker/build: the edge for workerd and Cloudflare
	$(setup) base wasm tools npm
	@scripts/build.sh edge

pkg: ## the npm package @co-mind/client, ready to pack
	$(setup) base wasm tools npm
	@scripts/build.sh pkg

www: ## www/dist: the console
	$(setup) base wasm tools npm
	@scripts/build.sh pkg www

fmt: ## format Rust and JavaScript
	$(setup) npm
	$(env) cargo fmt --all && for crate in bench/core bench/edge/load tests/fuzz; do cargo fmt --manifest-path $$crate/Cargo.toml; done && prettier --write --log-level warn .

lint: ## formatting, clippy, shellcheck, the repository's rules
	$(setup) base wasm npm lint
	@scripts/lint.sh

no-std: ## the core builds without std and names no clock, dice, I/O or JavaScript
	$(setup) base no-std
	@scripts/no-std.sh

test-core: ## the core's unit tests, and how often it asks for memory
	$(setup) base
	$(env) cargo test -p comind --lib --example openapi --features contract && cargo test -p comind --test allocations

openapi: ## writes worker/openapi.json and docs/api.md from the core's tables and types
	$(setup) base
	$(env) cargo run --quiet -p comind --features contract --example openapi

simulate: ## docs/scale.md: admission, affinity and retries of the core on a thousand isolates
	$(setup) base
	$(env) cargo test --release -p comind --test scale

vectors: ## event-stream vectors, natively and in wasm: FILE= for one file
	$(setup) base wasm npm
	@scripts/vectors.sh $(if $(FILE),"$(FILE)")

test-edge: ## the edge's unit tests
	$(setup) base
	$(env) cargo test -p comind-edge --lib

test-fuzz: ## the fuzzed readers of foreign bytes for a moment, on any compiler
	$(setup) base
	$(env) cargo test -p comind-edge --test fuzz

fuzz: ## the same under libFuzzer and the address sanitizer: SECONDS_EACH=600 TARGETS="sse jwt"
	$(setup) base fuzz
	@scripts/fuzz.sh $(TARGETS)

edge-test: edge ## the edge over HTTP in workerd, against a scripted backend
	$(setup) openai
	@scripts/node-test.sh tests/e2e/*.test.mjs

api-test: edge ## openapi.json: valid, and what the edge does, by schemathesis: EXAMPLES=8
	$(setup) openai schemathesis
	@scripts/node-test.sh tests/api/*.test.mjs

soak: edge ## an hour of mixed load with faults: MINUTES=60 CALLERS=12; lost and wrong are to be 0
	$(env) node tests/soak/soak.mjs

soak-test: edge ## half a minute of the same
	$(env) MINUTES=0.5 node tests/soak/soak.mjs

audit: ## what comes from others: licences, sources, known vulnerabilities
	$(setup) base deny
	@scripts/audit.sh

pkg-test: edge pkg ## the packed npm package in Node, Workers, bundlers, TypeScript and browsers
	$(setup) chromium firefox
	@scripts/node-test.sh tests/packaging/*.test.mjs

console-test: build ## the console in real Chromium
	$(setup) chromium
	@scripts/node-test.sh tests/console/*.test.mjs

dist: build ## target/dist: the edge as one archive for machines without Node
	$(env) node scripts/dist.mjs

deploy-check: dist ## the archive on a machine without Node, wrangler deploy --dry-run, wrangler dev
	$(setup) systemd
	@scripts/node-test.sh tests/deploy/*.test.mjs

run-test: build ## `make run` itself: what it keeps, how it fails and ends, the console as it serves it
	@scripts/node-test.sh tests/run/*.test.mjs

e2e: build ## the quickstart on the real model, and the official openai packages
	$(setup) model openai
	@scripts/node-test.sh tests/e2e/real/*.test.mjs

test-backends: build ## the real vLLM, Ollama and llama.cpp behind the edge (7 GB): BACKENDS_TO_TEST="vllm ollama llamacpp"
	$(setup) model minilm $(or $(filter vllm ollama,$(BACKENDS_TO_TEST)),$(if $(BACKENDS_TO_TEST),,ollama vllm))
	@scripts/node-test.sh tests/backends/*.test.mjs

test: ## everything, in the order that fails fastest
	$(setup) base npm
	$(env) node scripts/test.mjs

bench: build ## all of them, or PARTS="core auth edge scale client": ROUNDS= SECONDS_EACH=
	$(setup) bench litellm chromium
	@bench/run.sh

bench-auth: ## µs for checking a credential, beside jose and jsonwebtoken
	$(setup) base wasm npm bench
	@bench/auth/run.sh

bench-client: pkg ## what reading a stream costs, beside openai, ai and eventsource-parser: ROUNDS=
	$(setup) bench chromium
	@bench/client/run.sh

docs: pkg ## target/docs: the core by rustdoc, the client by typedoc
	$(setup) docs
	@scripts/docs.sh

sizes: build ## what a cold start and a page load read
	$(env) node scripts/sizes.mjs && node pkg/sizes.mjs 35000 && node www/build.mjs

clean: ## remove what was built (not the cache of tools, not .data)
	rm -rf target worker/build pkg/wasm www/dist
