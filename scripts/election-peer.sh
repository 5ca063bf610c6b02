#!/usr/bin/env bash
#
# Elections of our peers beside Apache's, and with machines that fall silent.
#
#   election-peer.sh apache [VERSION]   two servers of Apache ZooKeeper (3.9.5) and one of our
#                                       election ports, with every sid in turn: all agree
#   election-peer.sh blackhole          four peers in network namespaces; the leader's machine
#                                       drops everything; the others elect within 500 ms
#                                       of an election with a leader that was killed
#
# A peer of ours is the ignored test `one_peer_of_a_script` of zk-server: it does nothing
# but vote. `apache` needs what scripts/apache.sh needs, `blackhole` needs root and iproute2.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly LIMIT_MS=500
readonly WAIT_SECONDS=60

work=$(mktemp -d "${TMPDIR:-/tmp}/zk-election.XXXXXX")
pids=()
namespaces=()

fail() {
    printf 'election-peer.sh: %s\n' "$*" >&2
    exit 1
}

cleanup() {
    local pid namespace
    for pid in ${pids[@]+"${pids[@]}"}; do kill "$pid" 2>/dev/null || true; done
    for namespace in ${namespaces[@]+"${namespaces[@]}"}; do
        ip netns delete "$namespace" 2>/dev/null || true
    done
    ip link delete "$bridge" 2>/dev/null || true
    rm -rf "$work"
}
bridge=zkel$$
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The test binary of the library, built if need be.
peer_binary() {
    cargo test --quiet -p zk-server --lib --no-run --message-format=json 2>/dev/null |
        python3 -c '
import json, sys
found = None
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == "zk_server":
        found = message["executable"]
print(found or "")'
}

# Starts our peer ID, with its stdin at $work/ID.in and its stdout at $work/ID.out.
# The rest of the arguments are a command to run it under.
start_peer() {
    local id=$1
    shift
    mkfifo "$work/$id.in"
    ELECTION_CONFIG=$work/config ELECTION_ID=$id "$@" "$binary" \
        --ignored --exact --nocapture quorum::election::driver::tests::one_peer_of_a_script \
        <>"$work/$id.in" >"$work/$id.out" 2>&1 &
    pids+=("$!")
    peer_pid[$id]=$!
    wait_for "peer $id to listen" grep -q '^listening' "$work/$id.out"
}
declare -A peer_pid

stop_peer() {
    kill "${peer_pid[$1]}"
    wait "${peer_pid[$1]}" 2>/dev/null || true
    rm -f "$work/$1.in" "$work/$1.out"
}

look() { printf 'look %s %s\n' "$2" "$3" >"$work/$1.in"; }

# Waits until a command succeeds.
wait_for() {
    local what=$1 deadline=$((SECONDS + WAIT_SECONDS))
    shift
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= deadline)); then
            tail -n 20 "$work"/*.out >&2 || true
            fail "waited ${WAIT_SECONDS}s for $what"
        fi
        sleep 0.02
    done
}

# The Nth decision of a peer.
decision() { grep '^decided' "$work/$1.out" | sed -n "$2p"; }
has_decided() { [[ -n $(decision "$1" "$2") ]]; }
field() { sed -n "s/.*\b$1=\([-0-9]*\).*/\1/p"; }

# --- apache --------------------------------------------------------------------

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

launch_apache() {
    local id=$1 dir=$work/apache$1 lib
    lib=${ZK_APACHE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/zk-apache}/$version/lib
    mkdir -p "$dir/data"
    printf '%s\n' "$id" >"$dir/data/myid"
    {
        printf 'dataDir=%s\nclientPort=%s\nclientPortAddress=127.0.0.1\n' "$dir/data" "$(free_port)"
        printf 'tickTime=500\ninitLimit=10\nsyncLimit=5\nadmin.enableServer=false\n'
        cat "$work/config"
    } >"$dir/zoo.cfg"
    "${JAVA_HOME:+$JAVA_HOME/bin/}java" -cp "$lib/*" -Xmx128m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC \
        -Dzookeeper.jmx.log4j.disable=true -Dorg.slf4j.simpleLogger.logFile=System.out \
        org.apache.zookeeper.server.quorum.QuorumPeerMain "$dir/zoo.cfg" \
        </dev/null >"$work/apache$id.out" 2>&1 &
    pids+=("$!")
    apache_pid[$id]=$!
}
declare -A apache_pid

stop_apache() {
    kill "${apache_pid[$1]}"
    wait "${apache_pid[$1]}" 2>/dev/null || true
    rm -rf "$work/apache$1" "$work/apache$1.out"
}

apache_round() {
    local ours=$1 id others=() first leader found
    for id in 1 2 3; do
        printf 'server.%s=127.0.0.1:%s:%s\n' "$id" "$(free_port)" "$(free_port)"
    done >"$work/config"
    for id in 1 2 3; do [[ $id == "$ours" ]] || others+=("$id"); done

    # An election with one of Apache's: neither is a quorum without the other.
    first=${others[0]}
    start_peer "$ours"
    look "$ours" 0 0
    launch_apache "$first"
    wait_for "an election of $ours and Apache's $first" has_decided "$ours" 1
    leader=$(decision "$ours" 1 | field leader)
    ((leader == (ours > first ? ours : first))) || fail "sid $ours elected $leader with Apache's $first"
    if ((leader == ours)); then
        wait_for "Apache's $first to follow $ours" grep -q 'FOLLOWING - LEADER ELECTION TOOK' "$work/apache$first.out"
    else
        wait_for "Apache's $first to lead" grep -q 'LEADING - LEADER ELECTION TOOK' "$work/apache$first.out"
    fi
    stop_peer "$ours"
    stop_apache "$first"

    # Two of Apache's that have a leader, and ours comes late.
    for id in "${others[@]}"; do launch_apache "$id"; done
    for id in "${others[@]}"; do
        wait_for "Apache's $id to serve" grep -Eq 'Using checkIntervalMs|Peer state changed: .*broadcast' "$work/apache$id.out"
    done
    start_peer "$ours"
    look "$ours" 0 0
    wait_for "$ours to find the leader of Apache's" has_decided "$ours" 1
    leader=$(decision "$ours" 1 | field leader)
    found=$leader
    ((leader == others[1])) || fail "sid $ours came late and found $leader instead of ${others[1]}"
    stop_peer "$ours"
    for id in "${others[@]}"; do stop_apache "$id"; done

    for id in 4 5; do
        printf 'server.%s=127.0.0.1:%s:%s\n' "$id" "$(free_port)" "$(free_port)"
    done >>"$work/config"
    # Of five servers two are Apache's, looking, and two are not there: ours makes the
    # quorum, has more to show, and all three elect it.
    for id in "${others[@]}"; do launch_apache "$id"; done
    for id in "${others[@]}"; do
        wait_for "Apache's $id to look" grep -q 'Notification: my state:LOOKING' "$work/apache$id.out"
    done
    start_peer "$ours"
    look "$ours" 5 0
    wait_for "$ours to be elected" has_decided "$ours" 1
    leader=$(decision "$ours" 1 | field leader)
    ((leader == ours)) || fail "sid $ours has the best vote and elected $leader"
    for id in "${others[@]}"; do
        wait_for "Apache's $id to follow $ours" grep -q 'FOLLOWING - LEADER ELECTION TOOK' "$work/apache$id.out"
        ! grep -q 'LEADING - LEADER ELECTION TOOK' "$work/apache$id.out" || fail "Apache's $id leads beside $ours"
    done
    stop_peer "$ours"
    for id in "${others[@]}"; do stop_apache "$id"; done
    printf 'sid %s: agrees with Apache %s, is elected by both with the best vote, finds leader %s when late\n' \
        "$ours" "$first" "$found"
}

with_apache() {
    version=${1:-3.9.5}
    scripts/apache.sh fetch "$version"
    local ours
    for ours in 1 2 3; do apache_round "$ours"; done
}

# --- blackhole -----------------------------------------------------------------

# Peers 1 to 4 on 10.88.0.N, one namespace each, joined by a bridge in another one.
build_network() {
    local id
    ip netns add "$bridge-sw"
    namespaces+=("$bridge-sw")
    ip -n "$bridge-sw" link add br0 type bridge
    ip -n "$bridge-sw" link set br0 up
    for id in 1 2 3 4; do
        ip netns add "$bridge-$id"
        namespaces+=("$bridge-$id")
        ip -n "$bridge-$id" link add eth0 type veth peer name "p$id" netns "$bridge-sw"
        ip -n "$bridge-sw" link set "p$id" master br0 up
        ip -n "$bridge-$id" addr add "10.88.0.$id/24" dev eth0
        ip -n "$bridge-$id" link set eth0 up
        ip -n "$bridge-$id" link set lo up
        printf 'server.%s=10.88.0.%s:2888:3888\n' "$id" "$id"
    done >"$work/config"
}

start_in_namespace() { start_peer "$1" ip netns exec "$bridge-$1"; }

# All of the given peers look at once; prints the slowest one's milliseconds.
elect() {
    local nth=$1 expected=$2 id ms slowest=0
    shift 2
    for id in "$@"; do look "$id" 0 0; done
    for id in "$@"; do
        wait_for "decision $nth of peer $id" has_decided "$id" "$nth"
        [[ $(decision "$id" "$nth" | field leader) == "$expected" ]] ||
            fail "peer $id elected another than $expected: $(decision "$id" "$nth")"
        ms=$(decision "$id" "$nth" | field ms)
        ((ms <= slowest)) || slowest=$ms
    done
    printf '%s' "$slowest"
}

with_blackhole() {
    [[ $(id -u) == 0 ]] || fail "network namespaces need root"
    build_network
    local id clean dead all
    for id in 1 2 3 4; do start_in_namespace "$id"; done
    all=$(elect 1 4 1 2 3 4)

    # The process of the leader dies: its machine refuses.
    stop_peer 4
    clean=$(elect 2 3 1 2 3)

    # It leads again, and its machine goes: frames to it vanish. The entry keeps the
    # others from noticing that nobody answers for the address.
    start_in_namespace 4
    look 4 0 0
    wait_for "peer 4 to join" has_decided 4 1
    for id in 1 2 3; do
        ip -n "$bridge-$id" neigh replace 10.88.0.4 lladdr 02:00:00:00:dd:dd dev eth0 nud permanent
    done
    ip -n "$bridge-4" link set eth0 down
    dead=$(elect 3 3 1 2 3)

    # And with no connection left, so that every vote has to dial into nothing.
    for id in 1 2 3; do stop_peer "$id"; done
    for id in 1 2 3; do start_in_namespace "$id"; done
    local fresh
    fresh=$(elect 1 3 1 2 3)
    printf 'all four: %s ms; leader killed: %s ms; leader silent: %s ms; silent from the start: %s ms\n' \
        "$all" "$clean" "$dead" "$fresh"
    ((dead <= clean + LIMIT_MS)) || fail "a silent leader costs more than $LIMIT_MS ms"
    ((fresh <= clean + LIMIT_MS)) || fail "a silent peer costs more than $LIMIT_MS ms at the start"
}

# -------------------------------------------------------------------------------

binary=$(peer_binary)
[[ -x $binary ]] || fail "cannot build the tests of zk-server"
case ${1:-} in
    apache) with_apache "${2:-}" ;;
    blackhole) with_blackhole ;;
    *) awk 'NR > 2 && !/^#/ { exit } NR > 2 { sub(/^# ?/, ""); print }' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
