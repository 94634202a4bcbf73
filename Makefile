# `make` alone lists what there is.
.PHONY: help test
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

test: ## everything that is tested: format, clippy, unit, integration and doc tests
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	cargo test --locked
