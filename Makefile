# `make` alone lists what there is.
.PHONY: help run test settings
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: ## a node to work with: plans from plans/, the API on http://127.0.0.1:8080
	cargo run --release --locked -- run

test: ## everything that is tested: format, clippy, unit, integration and doc tests
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	cargo test --locked

settings: ## write twinflow.toml anew: every setting with its default and what it means
	cargo run --locked -- run --config /dev/null --print-config > twinflow.toml.tmp
	mv twinflow.toml.tmp twinflow.toml
