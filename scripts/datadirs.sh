#!/usr/bin/env bash
#
# Data directories between Apache ZooKeeper and the bundled server: each starts on what the
# other has written, with every kind of transaction in the log, and shows the same tree. Apache
# compares the digest that each of our transactions carries with that of its own tree, and the
# bundled server does so with Apache's.
#
#   datadirs.sh [VERSION...]      with these releases, by default 3.9.5 and 3.8.6
#
# Needs what scripts/apache.sh needs.

set -euo pipefail
cd "$(dirname "$0")/.."

readonly built=${CARGO_TARGET_DIR:-target}/debug

readonly APACHE=scripts/apache.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/zk-datadirs.XXXXXX")
apache_dir=
ours_pid=
connect=

fail() {
    printf 'datadirs.sh: %s\n' "$*" >&2
    exit 1
}

cleanup() {
    [[ -z $apache_dir ]] || "$APACHE" stop "$apache_dir" || true
    [[ -z $ours_pid ]] || kill "$ours_pid" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

start_apache() {
    local version=$1 line
    shift
    line=$(ZK_APACHE_DATA_DIR=$work/data "$APACHE" start "$version" -Dznode.container.checkIntervalMs=100 "$@")
    connect=${line#connect=}
    connect=${connect%% *}
    apache_dir=${line#*dir=}
    apache_dir=${apache_dir%% *}
}

# Apache says so in its log, and counts, when a digest is not what a transaction said.
stop_apache() {
    local mismatches
    mismatches=$(ask mntr | awk '$1 == "zk_digest_mismatches_count" { print $2 }')
    [[ $mismatches == 0 ]] || fail "Apache counts '$mismatches' digests that do not match"
    if grep -i 'digests are not matching' "$apache_dir/log"; then fail 'Apache found another digest'; fi
    "$APACHE" stop "$apache_dir"
    apache_dir=
}

ask() {
    python3 -c '
import socket, sys
host, port = sys.argv[1].rsplit(":", 1)
with socket.create_connection((host, int(port))) as server:
    server.sendall(sys.argv[2].encode())
    while chunk := server.recv(65536):
        sys.stdout.buffer.write(chunk)' "$connect" "$1"
}

start_ours() {
    local deadline=$((SECONDS + 60)) addr=
    cat >"$work/zoo.cfg" <<EOC
dataDir=$work/data
clientPort=0
clientPortAddress=127.0.0.1
tickTime=200
maxSessionTimeout=60000
extendedTypesEnabled=true
admin.enableServer=false
znode.container.checkIntervalMs=100
EOC
    for setting in "$@"; do printf '%s\n' "$setting" >>"$work/zoo.cfg"; done
    : >"$work/ours.log"
    "$built/zk-server" start-foreground "$work/zoo.cfg" 2>>"$work/ours.log" &
    ours_pid=$!
    until addr=$(grep -o 'server started addr=[^ ]*' "$work/ours.log"); do
        kill -0 "$ours_pid" 2>/dev/null && ((SECONDS < deadline)) || {
            cat "$work/ours.log" >&2
            fail 'the bundled server does not start'
        }
        sleep 0.05
    done
    connect=${addr#*addr=}
}

stop_ours() {
    if grep 'the tree is not what it was' "$work/ours.log"; then fail 'we found another digest'; fi
    kill "$ours_pid"
    wait "$ours_pid" || fail 'the bundled server does not stop cleanly'
    ours_pid=
}

fill() { "$built/datadirs" fill "$connect" "$1"; }
dump() { "$built/datadirs" dump "$connect" >"$work/$1"; }

same() {
    diff "$work/$1" "$work/$2" >&2 || fail "the trees differ: $3"
    printf '%s: %s znodes\n' "$3" "$(wc -l <"$work/$2")"
}

# The newest snapshot, which is the one that is read first, is of this kind.
newest_ends_with() {
    local newest
    newest=$(cd "$work/data/version-2" && printf '%s\n' snapshot.* | awk -F. '{ print length($2), $0 }' | sort | tail -n 1)
    [[ $newest == *"$1" ]] || fail "the newest snapshot is '$newest', not one of '$1'"
}

# Snapshots are in play, too, where there are so few transactions between them.
round() {
    local version=$1 snapshots=$2 ending=$3
    shift 3
    rm -rf "$work/data"
    mkdir "$work/data"
    start_ours "$@"; fill /ours; dump 1; stop_ours
    start_apache "$version" "$@"; dump 2
    same 1 2 "Apache $version reads ours, $snapshots"
    fill /apache; dump 3; stop_apache
    newest_ends_with "$ending"
    start_ours "$@"; dump 4
    same 3 4 "ours reads Apache $version's, $snapshots"
    fill /again; dump 5; stop_ours
    start_apache "$version" "$@"; dump 6; stop_apache
    same 5 6 "Apache $version reads both, $snapshots"
}

cargo build --locked --package zk-server --package zk-tests --bin zk-server --bin datadirs
(($#)) || set -- 3.9.5 3.8.6
for version; do
    round "$version" 'from the log' ''
    round "$version" 'with snapshots' '' snapCount=20
    for method in gz snappy; do
        round "$version" "with $method snapshots" ".$method" snapCount=20 "snapshot.compression.method=$method"
    done
done
