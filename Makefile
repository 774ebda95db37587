# The one entry point. `make` alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.ONESHELL:

# Which server `make run` assembles (mysql-9, mariadb, mysql-5.6), or the vendor's tarball to use.
SERVER ?= mysql-9
TARBALL ?=
# The application's name.
APP ?= mysql

# The hooks must run in a container whose glibc is from 2010: static, whatever builds them.
HOST = $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
BUILT = target/$(HOST)/release
HOOKS = builder postinstall starttest backup agent

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 18

.PHONY: run
run: ## put a real MySQL behind a push: SERVER=mysql-9|mariadb|mysql-5.6, or TARBALL=/path/to/vendor.tar.xz
	@scripts/setup run "$(SERVER)"
	$(MAKE) --no-print-directory hooks
	scripts/run "$(APP)" "$(SERVER)" "$(TARBALL)"

.PHONY: stop
stop: ## stop what `make run` started; the data stays, and `make run` starts it again
	@target/bin/dotcloud --application "$(APP)" down

.PHONY: clean
clean: ## undo everything, the database of `make run` included (asks first)
	@scripts/clean "$(APP)"

.PHONY: image
image: ## write an image that docker, podman and containerd load to target/image/: SERVER=…, or TARBALL=…
	@scripts/setup run "$(SERVER)"
	$(MAKE) --no-print-directory hooks
	scripts/image "$(SERVER)" "$(TARBALL)"

.PHONY: hooks
hooks: ## build the static executables: the hooks into hooks/, dotcloud, repack and blink into target/bin/
	@scripts/setup build
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --quiet --release --locked --target "$$(rustc -vV | sed -n 's/^host: //p')"
	mkdir -p target/bin
	for name in $(HOOKS); do install -m 755 "$(BUILT)/$$name" "hooks/$$name.new"; mv "hooks/$$name.new" "hooks/$$name"; done
	for name in blink dotcloud repack; do install -m 755 "$(BUILT)/$$name" "target/bin/$$name.new"; mv "target/bin/$$name.new" "target/bin/$$name"; done

.PHONY: fixtures
fixtures: ## assemble the real servers that the tests use, below target/fixtures/
	@scripts/setup test
	fixtures/assemble --all >/dev/null

.PHONY: test
test: ## install what the tests need, build, assemble the servers, run every test
	@scripts/setup test
	# One computes, the other mostly downloads.
	$(MAKE) --no-print-directory --jobs=2 hooks fixtures
	scripts/test

.PHONY: torture
torture: ## the long forms of the tests; repeat one with the seed that it prints
	@scripts/setup test
	$(MAKE) --no-print-directory hooks fixtures
	MYCNF_FILES=20000 cargo test --locked -p mycnf --test my_print_defaults -- --nocapture
	cargo build --locked -p builder -p postinstall -p starttest
	MOD_POINTS=200 cargo test --locked -p starttest --test torture -- --nocapture
	MOD_POINTS=100 cargo test --locked -p starttest --test upgrades killed_at_any_point -- --nocapture
	MOD_POINTS=50 cargo test --locked -p starttest --test series_upgrades killed_anywhere -- --nocapture
	MOD_SERIES=every cargo test --locked -p starttest --test adopted --test first_run --test seed --test servers
	MOD_POINTS=200 cargo test --locked -p backup --test killed -- --nocapture killed
	MOD_POINTS=100 MOD_SERIES=every cargo test --locked -p backup --test pitr -- --nocapture
	MOD_SERIES=every cargo test --locked -p backup --test servers other_series
	MOD_POINTS=200 cargo test --locked -p dotcloud --test servers -- --nocapture killed committed
	MOD_POINTS=200 cargo test --locked -p blink --test killed -- --nocapture
	REPACK_BYTES=10000000000 cargo test --locked -p repack --test memory -- --nocapture
	cargo test --locked -p starttest --test memory -- --ignored
	cargo test --locked -p dotcloud --test lifecycle -- --ignored ten_pushes
	MOD_POINTS=100 cargo test --locked -p dotcloud --test lifecycle -- --ignored --nocapture killed_at_random
	cargo test --locked -p dotcloud --test servers -- --ignored readme

.PHONY: test-kubernetes
test-kubernetes: ## run deploy/kubernetes on a real node of Kubernetes, built once in 15 minutes: root only, no part of CI
	@scripts/setup run mysql-9
	$(MAKE) --no-print-directory hooks
	scripts/test-kubernetes

# Seconds for each target of `make fuzz`.
FUZZ_SECONDS ?= 300

.PHONY: fuzz
fuzz: ## feed nonsense to the parsers of option files and tarballs (needs: rustup toolchain install nightly; cargo install cargo-fuzz)
	@cd crates/mycnf/fuzz
	for target in round_trip edit; do
	    mkdir -p "corpus/$$target"
	    cargo +nightly fuzz run "$$target" "corpus/$$target" "seeds/$$target" -- \
	        -max_total_time="$(FUZZ_SECONDS)" -dict=option_file.dict -max_len=9000
	done
	cd ../../repack/fuzz
	mkdir -p corpus/read
	cargo +nightly fuzz run read corpus/read seeds/read -- -max_total_time="$(FUZZ_SECONDS)" -max_len=20000

.PHONY: bench
bench: ## measure against what one would do instead: repack and builder, first starts, pushes, public ports
	@scripts/setup bench
	$(MAKE) --no-print-directory hooks
	scripts/bench-repack
	scripts/bench-first-start
	scripts/bench-dotcloud
	scripts/bench-ports

.PHONY: bench-blink
bench-blink: ## measure blink against pytest-mysql and mysql-memory-server: a quiet machine, bars as ratios
	@scripts/setup bench
	$(MAKE) --no-print-directory hooks
	scripts/bench-blink

.PHONY: try-image
try-image: ## run MySQL's image in docker, podman and containerd, which are Debian's (needs root)
	@scripts/setup run mysql-9
	$(MAKE) --no-print-directory hooks
	scripts/image mysql-9
	scripts/try-image

.PHONY: bench-backup
bench-backup: ## measure `dotcloud backup` against dumps and mariadb-backup
	@scripts/setup bench
	@scripts/setup run
	$(MAKE) --no-print-directory hooks
	scripts/bench-backup

.PHONY: bench-image
bench-image: ## measure MySQL's image: its size, and first starts against the official image's sequence (needs root)
	@scripts/setup run mysql-9
	$(MAKE) --no-print-directory hooks
	scripts/image mysql-9
	scripts/bench-image

.PHONY: bench-dbdeployer
bench-dbdeployer: ## measure against dbdeployer, which is built below target/
	@scripts/setup bench
	$(MAKE) --no-print-directory hooks
	scripts/bench-dbdeployer

.PHONY: check
check: ## formatting, lints, licences and documentation, all warnings denied
	@scripts/setup check
	cargo fmt --all --check
	scripts/lints-inherited
	scripts/check-kubernetes
	cargo clippy --quiet --locked --workspace --all-targets -- --deny warnings
	target/tools/bin/cargo-deny --all-features --log-level error check bans licenses sources
	RUSTDOCFLAGS="--deny warnings" cargo doc --quiet --locked --workspace --no-deps --document-private-items
