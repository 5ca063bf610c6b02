#!/bin/sh
# Builds everything for release and prints every figure. With arguments it only
# runs the comparison with them: `benches/run.sh --rounds 3 --client zk-client` for a
# quick look, `benches/run.sh --help` for all there are.
set -eu
benches=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
cd "$benches/.."
target=${CARGO_TARGET_DIR:-$PWD/target}

cargo build --release --package zk-benches --bins
# Into the same directory: what both trees need is built once.
CARGO_TARGET_DIR=$target cargo build --release --manifest-path benches/peers/Cargo.toml

pin=
compare() {
    $pin "$target/release/zk-bench-peers" \
        --backend "$target/release/responder" \
        --backend "$target/release/bench-server" \
        "$@"
}

if [ $# -gt 0 ]; then
    compare "$@"
    exit
fi
cargo test --quiet --package zk-benches --test allocations -- --nocapture
compare --workload pipelined --workload pipelined-in-order --workload sequential
# On one CPU nobody can wait awake, and the scheduler hands it from one end to the
# other: what is left is the cost of the code.
if taskset -c 0 true 2>/dev/null; then
    pin='taskset -c 0'
    echo 'The following on one CPU:'
    compare --workload sequential
fi
