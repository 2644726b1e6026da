# Everything a person or CI runs. `make demo` shows live video; `make test` runs every test.
.DEFAULT_GOAL := help
SHELL := /bin/bash
CARGO ?= cargo
# The program as `cargo test` builds it: with the tests' features a plain build would compile most crates again.
BUILD_TESTED = $(CARGO) build --bin weir --test it
E2E := tests/e2e

.PHONY: help demo test check fmt player player-deps admin-ui admin-deps e2e-deps audit test-needs test-operations test-rust test-api test-player test-ui test-e2e test-built test-faults check-rust check-pages cluster faults floods release bench soak fuzz clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: player admin-ui ## build, then live video at a link (embedded database, nothing to install)
	$(CARGO) run -- demo

player: player-deps ## the player and its pages, built into player/dist; fails where it grew too large
	cd player && npm run --silent build

player-deps: player/node_modules/.package-lock.json
player/node_modules/.package-lock.json: player/package-lock.json
	cd player && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

admin-ui: admin-deps player ## the admin UI, built into admin-ui/dist
	cd admin-ui && npm run --silent build

admin-deps: admin-ui/node_modules/.package-lock.json
admin-ui/node_modules/.package-lock.json: admin-ui/package-lock.json
	cd admin-ui && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

e2e-deps: $(E2E)/node_modules/.package-lock.json
$(E2E)/node_modules/.package-lock.json: $(E2E)/package-lock.json
	cd $(E2E) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# What has to be fetched is fetched while the compiler works; `-j4` are the compiler's jobs too.
test: ## install what the tests need, then run all of them
	$(MAKE) -j4 test-needs test-built audit
	$(MAKE) test-operations test-rust test-api test-player test-ui test-e2e

test-needs: ## ffmpeg, PostgreSQL, browsers and the like, as Debian packages
	tests/needs.sh

test-operations:
	tests/deploy.sh
	promtool check rules docs/operations/alerts.yml
	promtool test rules docs/operations/alerts_test.yml

test-built: player e2e-deps
	$(CARGO) test --no-run

# Most of these tests wait for something, so there are more of them at once than cores.
test-rust: player
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-4} $(CARGO) test

test-api: player
	$(BUILD_TESTED)
	WEIR_BIN=$(CURDIR)/target/debug/weir tests/schemathesis.sh
	WEIR_BIN=$(CURDIR)/target/debug/weir tests/conformance.sh

test-player: player-deps
	cd player && npm test

test-e2e: player e2e-deps
	$(BUILD_TESTED)
	WEIR_BIN=$(CURDIR)/target/debug/weir node $(E2E)/run.mjs
	WEIR_BIN=$(CURDIR)/target/debug/weir node $(E2E)/player.mjs

test-faults: player e2e-deps ## the player against every fault in the media, four minutes
	node $(E2E)/faults.mjs

cluster: player admin-ui ## three nodes, PostgreSQL, Redis and haproxy as processes on this machine, until Ctrl-C; test-needs first
	$(CARGO) build --release
	WEIR_BIN=$(CURDIR)/target/release/weir node $(E2E)/up.mjs

faults: player e2e-deps ## every row of tests/faults/README.md that names a command, about an hour; ROWS="F1 F9" picks some
	$(CARGO) build --release
	CARGO=$(CARGO) WEIR_BIN=$(CURDIR)/target/release/weir node tests/faults/run.mjs $(ROWS)

floods: ## 10,000 connections, wrong keys, wrong tokens beside those who mean well; LIVELOAD as for bench
	$(CARGO) build --release
	WEIR_BIN=$(CURDIR)/target/release/weir unshare --map-root-user --net node tests/faults/floods.mjs

fuzz: ## each target for SECONDS=60, on a nightly toolchain with cargo-fuzz
	tests/fuzz/run.sh $(or $(SECONDS),60)

test-ui: admin-ui e2e-deps
	cd admin-ui && npm test
	$(BUILD_TESTED)
	WEIR_BIN=$(CURDIR)/target/debug/weir timeout 900 node $(E2E)/admin.mjs

check: ## formatting, lints, documentation, types, licences
	$(MAKE) -j4 check-rust check-pages

check-rust: player
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) clippy --no-default-features --lib -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --quiet

check-pages: player admin-deps e2e-deps
	cd player && npm run --silent types && npm run --silent lint
	cd admin-ui && npm run --silent api:check && npm run --silent types && npm run --silent lint
	node tests/licences.mjs
	node tests/locks.mjs
	node tests/faults/run.mjs --check
	node tests/docs.mjs

audit: ## bans, licences, sources by cargo-deny; known holes: ADVISORIES=a clone of the RustSec database
	ADVISORIES=$(ADVISORIES) tests/audit.sh

# The same sources make the same program: the compiler is this one, and the paths of the machine are left out.
RELEASE_RUST := 1.95.0
release: player admin-ui ## target/release/weir with its pages, and what is in it (weir.cdx.json)
	@rustc --version | grep -qF "rustc $(RELEASE_RUST) " || { echo "a release is made by rustc $(RELEASE_RUST), this is $$(rustc --version)" >&2; exit 1; }
	RUSTFLAGS="--remap-path-prefix=$(CURDIR)=weir --remap-path-prefix=$(HOME)=home" $(CARGO) build --release --locked
	node .ci/embedded.mjs target/release/weir player/dist admin-ui/dist
	node .ci/sbom.mjs > target/release/weir.cdx.json

soak: ## viewers who come and go for an hour (SECONDS=3600): memory and files; LIVELOAD as for bench
	$(CARGO) build --release
	WEIR_BIN=$(CURDIR)/target/release/weir node tests/bench/soak.mjs --seconds $(or $(SECONDS),3600)

bench: ## cost and latency beside the kernel's floor; LIVELOAD=/path/of/the/measuring/tool
	$(CARGO) build --release
	WEIR_BIN=$(CURDIR)/target/release/weir node tests/bench/bench.mjs --svg tests/bench/last.svg

fmt: ## format everything
	$(CARGO) fmt
	cd player && npx biome format --write .
	cd admin-ui && npx biome format --write .

clean: ## what was built
	$(CARGO) clean
	rm -rf player/dist player/node_modules admin-ui/dist admin-ui/node_modules $(E2E)/node_modules
