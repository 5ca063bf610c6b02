#!/usr/bin/env bash
#
# Our recipes beside those of Curator, kazoo and go-zookeeper, on one server.
#
#   interop.sh build          build the peers into the cache
#   interop.sh run [ARG...]   build them, then run the interop tests with them; ARG goes to
#                             the tests, for instance a part of their names
#
# The tests run against the bundled server, or against the ensemble that
# ZK_TEST_CONNECT names, for instance
# `scripts/apache.sh with 3.9.5 -- scripts/interop.sh run`.
#
# ZK_INTEROP_CACHE names the cache directory, by default
# ${XDG_CACHE_HOME:-~/.cache}/zk-interop. Needs bash, Java 11 or newer, Maven, Python 3
# with venv, and Go; versions of the libraries are pinned in tests/interop.

set -euo pipefail
cd "$(dirname "$0")/.."

readonly SOURCES=$PWD/tests/interop
cache=${ZK_INTEROP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/zk-interop}

fail() {
    printf 'interop.sh: %s\n' "$*" >&2
    exit 1
}

usage() {
    awk 'NR > 2 && !/^#/ { exit } NR > 2 { sub(/^# ?/, ""); print }' "${BASH_SOURCE[0]}" >&2
    exit 2
}

# Whether `peer` was built from the sources as they are now.
is_current() {
    local peer=$1
    [[ -f $cache/$peer.sum && $(<"$cache/$peer.sum") == "$(checksum "$peer")" ]]
}

checksum() {
    (cd "$SOURCES/$1" && find . -type f | LC_ALL=C sort | xargs cksum)
}

# A directory of its own, moved to its place when it is complete.
build() {
    local peer=$1 work
    is_current "$peer" && return
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/.build-$peer.XXXXXX")
    if ! "build_$peer" "$work" >"$work/log" 2>&1; then
        cat "$work/log" >&2
        rm -rf "$work"
        fail "cannot build the peer '$peer'"
    fi
    rm -rf "${cache:?}/$peer"
    mv "$work" "$cache/$peer"
    checksum "$peer" >"$cache/$peer.sum"
}

build_curator() {
    cp -r "$SOURCES/curator/." "$1"
    mvn --batch-mode --quiet --file "$1/pom.xml" package \
        org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$1/target/lib"
}

build_kazoo() {
    # Not a venv, whose files know the place where it was made.
    python3 -m pip install --quiet --disable-pip-version-check --no-input \
        --target "$1/lib" --requirement "$SOURCES/kazoo/requirements.txt"
    cp "$SOURCES/kazoo/peer.py" "$1"
}

build_go() {
    cp -r "$SOURCES/go/." "$1"
    (cd "$1" && go build -o peer .)
}

# How each peer is started, for the tests: a program and its arguments, one a line.
export_commands() {
    export ZK_INTEROP_CURATOR ZK_INTEROP_KAZOO ZK_INTEROP_GO
    ZK_INTEROP_CURATOR=$(printf '%s\n' java -XX:TieredStopAtLevel=1 -Xshare:auto -XX:+UseSerialGC \
        -cp "$cache/curator/target/classes:$cache/curator/target/lib/*" interop.Peer)
    ZK_INTEROP_KAZOO=$(printf '%s\n' env "PYTHONPATH=$cache/kazoo/lib" python3 "$cache/kazoo/peer.py")
    ZK_INTEROP_GO=$cache/go/peer
}

main() {
    local verb=${1:-} peer
    (($#)) && shift
    [[ $verb == build || $verb == run ]] || usage
    for peer in curator kazoo go; do build "$peer"; done
    [[ $verb == run ]] || return 0
    export_commands
    cargo test --locked --package zk-tests --test interop -- --test-threads 2 "$@"
}

main "$@"
