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
compare --workload pipelined --workload pipelined-in-order
# On two CPUs a sequential figure is mostly the scheduler's: whether it wakes the
# other end on the same CPU or on a sleeping one. Linux can keep both ends on one.
if taskset -c 0 true 2>/dev/null; then
    pin='taskset -c 0'
    echo 'The following on one CPU:'
fi
compare --workload sequential
