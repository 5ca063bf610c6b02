#!/usr/bin/env bash
#
# Servers that store, alone and three together, beside Apache ZooKeeper's on the same
# machine in the same run; README.md says what is measured.
#
#   ensemble.sh                         every figure
#   ensemble.sh failover [ARG...]       the leader is killed, until a write is acknowledged
#   ensemble.sh writes [ARG...]         durable writes per second
#   ensemble.sh start [ARG...]          an ensemble within one process; ours alone
#
# ARG goes to the benchmark: `ensemble.sh writes --rounds 3` for a quick look,
# `ensemble.sh writes --help` for all there are.
#
# ZK_BENCH_DIR names the directory for data directories, by default one below the target
# directory: it should be on the disk that is meant. Apache's release comes by
# scripts/apache.sh, into its cache. Needs bash, Java 11 or newer, Maven to fetch.

set -euo pipefail
cd "$(dirname "$0")/.."

# The figures in README.md belong to it.
readonly APACHE=3.9.5

apache_cache=${ZK_APACHE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/zk-apache}
target=${CARGO_TARGET_DIR:-$PWD/target}
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
dir=${ZK_BENCH_DIR:-$target/bench-ensemble}

# Called with the name of a zoo.cfg; the process that is killed is the server's own. Java as
# zkServer.sh starts it; the log's times are ours, in UTC.
write_systems() {
    printf '#!/bin/sh\nexec "%s" start-foreground "$@"\n' "$target/release/zk-server" >"$dir/zk-server"
    printf '#!/bin/sh\nexec "%s" -cp "%s/*" %s org.apache.zookeeper.server.quorum.QuorumPeerMain "$@"\n' \
        "$java" "$apache_cache/$APACHE/lib" "$(apache_options)" >"$dir/apache"
    chmod +x "$dir/zk-server" "$dir/apache"
}

apache_options() {
    local options=(
        -Xmx1000m -Dzookeeper.jmx.log4j.disable=true -Duser.timezone=UTC
        -Dorg.slf4j.simpleLogger.logFile=System.out
        -Dorg.slf4j.simpleLogger.showDateTime=true
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS'Z'"
    )
    printf '"%s" ' "${options[@]}"
}

# What the figures are of.
describe() {
    local cpu
    cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)
    printf '%s, %s × %s, %s, %s, %s, load %s\n\n' "$(LC_ALL=C date -u '+%-d %B %Y')" \
        "$(getconf _NPROCESSORS_ONLN)" "${cpu:-$(uname -m)}" "$(uname -sr)" "$(rustc --version)" \
        "$("$java" -version 2>&1 | head -n 1)" "$(cut -d ' ' -f 1-3 /proc/loadavg 2>/dev/null || echo unknown)"
}

measure() {
    local figure=$1
    shift
    local systems=()
    [[ $figure == start ]] || systems=(
        --dir "$dir" --system "zk-server=$dir/zk-server" --system "Apache $APACHE=$dir/apache"
    )
    "$target/release/bench-ensemble" "$figure" ${systems[@]+"${systems[@]}"} "$@"
}

cargo build --release --package zk-server --package zk-benches --bins
scripts/apache.sh fetch "$APACHE"
mkdir -p "$dir"
write_systems
describe
if (($#)); then
    measure "$@"
else
    for figure in failover writes start; do measure "$figure"; done
fi
