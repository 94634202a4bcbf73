# `make` alone lists what there is.
.PHONY: help demo run test bench settings
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: ## the main job end to end, in under a minute after the build; ends by itself
	cargo build --release --locked --bin twinflow --example demo
	cargo run --release --locked --quiet --example demo

run: ## a node to work with: plans from plans/, the API on http://127.0.0.1:8080
	cargo run --release --locked --bin twinflow -- run

test: ## everything that is tested: format, clippy, unit, integration and doc tests
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	cargo test --locked

bench: ## events a second: the engine beside loops written by hand, then over HTTP
	cargo bench --locked --bench throughput
	cargo bench --locked --bench ingest

settings: ## write twinflow.toml anew: every setting with its default and what it means
	cargo run --locked -- run --config /dev/null --print-config > twinflow.toml.tmp
	mv twinflow.toml.tmp twinflow.toml
