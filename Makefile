# `make` alone lists what there is.
.PHONY: help demo run run-pair test simulate soak bench settings reference fuzz
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# One build for both: without the example cargo would choose other features for what we depend on, and
# build it all again.
BUILD = cargo build --release --locked --bin twinflow --example demo

demo: ## the main job end to end, in under a minute after the build; ends by itself
	$(BUILD)
	$${CARGO_TARGET_DIR:-target}/release/examples/demo

run: ## a node to work with: plans from plans/, the API on http://127.0.0.1:8080
	$(BUILD)
	$${CARGO_TARGET_DIR:-target}/release/twinflow run

run-pair: ## two nodes as a pair on this machine, at http://127.0.0.1:8081 and :8082
	$(BUILD)
	examples/pair/run $${CARGO_TARGET_DIR:-target}/release/twinflow

test: ## everything that is tested, on real databases too: format, clippy, unit, integration, documents
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	cargo test --locked

# In the simulation only the pair runs, without the node: quick to build, and optimised.
SIMULATION = CARGO_PROFILE_DEV_OPT_LEVEL=2 cargo test --no-default-features --locked --test simulation
SEEDS ?= 2000
BASE ?= 1
TIME ?= 60

simulate: ## the pair under bad luck: SEEDS=n from BASE=n; SEED=n tells one; ENTRIES=real or bare
	SEEDS=$(SEEDS) BASE=$(BASE) $(SIMULATION) every_seed -- --nocapture

soak: ## the long form: every rule of the pair left out has to be noticed; pairs and databases that die often
	MUTANTS=all $(SIMULATION) mutants -- --nocapture
	KILLS=20 CUTS=5 FLAPS=100 HALT=30 HALTS=20 BUSY=600 SWITCHES=20 SECONDS=20 RATE=500 EVENTS=100 \
		cargo test --release --locked --test system pair:: -- --nocapture
	KILLS=10 HALT=20 cargo test --release --locked --test system -- stores:: store_versions:: \
		--nocapture

fuzz: ## mutated plans for TIME=seconds from BASE=n, for PART=lexer, parser, checker, builder or all
	FUZZ_SECONDS=$(TIME) SEED=$(BASE) PART=$(PART) \
		cargo test --locked --no-default-features --test fuzz -- --nocapture

bench: ## events a second beside loops by hand, over HTTP, of the journal; memory over new keys; large state
	cargo bench --locked --bench throughput
	cargo bench --locked --bench memory
	cargo bench --locked --bench ingest
	cargo bench --locked --bench journal
	cargo bench --locked --bench store
	cargo bench --locked --bench state

reference: ## write the pages of the manual anew: what can stand in a plan, from the definitions
	cargo run --locked --no-default-features -- reference --pages docs

settings: ## write twinflow.toml anew: every setting with its default and what it means
	cargo run --locked -- run --config /dev/null --print-config > twinflow.toml.tmp
	mv twinflow.toml.tmp twinflow.toml
