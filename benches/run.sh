#!/bin/sh
# Builds everything for release and prints every figure. Arguments go to the
# comparison: `benches/run.sh --rounds 3 --client zk-client` for a quick look,
# `benches/run.sh --help` for all of them.
set -eu
benches=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
cd "$benches/.."
target=${CARGO_TARGET_DIR:-$PWD/target}

cargo build --release --package zk-benches --bins
# Same directory: the peers' tree is their own, what is built is not kept twice.
CARGO_TARGET_DIR=$target cargo build --release --manifest-path benches/peers/Cargo.toml

cargo test --quiet --package zk-benches --test allocations -- --nocapture
"$target/release/zk-bench-peers" \
    --backend "$target/release/responder" \
    --backend "$target/release/bench-server" \
    "$@"
