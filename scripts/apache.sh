#!/usr/bin/env bash
#
# Apache ZooKeeper for tests: fetches a release by Maven and runs it as a
# standalone server, or as an ensemble, on free loopback ports.
#
#   apache.sh versions                        the releases this project tests against
#   apache.sh fetch VERSION                   put its jars into the cache
#   apache.sh start VERSION [ARG...]          start a server; prints one line:
#                                             connect=HOST:PORT pid=PID dir=DIR version=VERSION
#   apache.sh ensemble VERSION N [ARG...]     start N servers that serve together; prints a
#                                             line as above for each
#   apache.sh kill DIR                        end that server as a crash would, and keep its
#                                             directory
#   apache.sh restart DIR [--empty]           start it again, with the same ports, once it has
#                                             been killed (--empty: without what it knew); prints
#                                             its new pid; does not wait for a quorum
#   apache.sh pause DIR                       stop that server in its tracks, its sockets open
#   apache.sh resume DIR                      have it go on
#   apache.sh stop DIR|PID...                 stop these servers and remove their directories
#   apache.sh with VERSION [ARG...] -- COMMAND...
#                                             run COMMAND beside a server of its own, with
#                                             ZK_TEST_CONNECT and ZK_TEST_VERSION set; always
#                                             stops the server; exits as COMMAND did
#   apache.sh with-ensemble VERSION N [ARG...] -- COMMAND...
#                                             the same beside N servers that serve together;
#                                             ZK_TEST_CONNECT names all of them, and
#                                             ZK_TEST_PEERS their directories, in this order,
#                                             separated by commas
#
# ARG is KEY=VALUE for zoo.cfg (a later one replaces an earlier one and the
# defaults below) or -D... / -X... for the JVM, for instance
# `-Dreadonlymode.enabled=true` or `-Dznode.container.checkIntervalMs=100`:
# ZooKeeper reads those two without its usual `zookeeper.` prefix, so they
# cannot be given in zoo.cfg. The server's id is 1. With `server.1=...` it is an
# ensemble of its own (and `standaloneEnabled=false`), or one that waits in
# read-only mode for another that never comes. In an ensemble ids are 1 to N, and
# the script chooses `server.N` itself.
#
# ZK_APACHE_DATA_DIR names a data directory for `start`, by its whole path; it is kept when
# the server is stopped. Otherwise each server has one of its own.
#
# ZK_APACHE_CACHE names the cache directory, by default
# ${XDG_CACHE_HOME:-~/.cache}/zk-apache. Needs bash, python3, Java 11 or newer and,
# to fetch, Maven with whatever repositories it is configured for.

set -euo pipefail

cache=${ZK_APACHE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/zk-apache}
java=${JAVA_HOME:+$JAVA_HOME/bin/}java

readonly TESTED_VERSIONS=(3.9.5 3.8.6 3.7.2 3.6.4 3.5.10)
readonly DEPENDENCY_PLUGIN=org.apache.maven.plugins:maven-dependency-plugin:3.8.1
readonly START_ATTEMPTS=5
readonly START_SECONDS=60
readonly STOP_SECONDS=10

# `super:admin`, so that tests can have an identity that bypasses ACLs.
readonly SUPER_DIGEST=super:xQJmxLMiHGwaqBvst5y6rkB6HQs=

fail() {
    printf 'apache.sh: %s\n' "$*" >&2
    exit 1
}

usage() {
    awk 'NR > 2 && !/^#/ { exit } NR > 2 { sub(/^# ?/, ""); print }' "${BASH_SOURCE[0]}" >&2
    exit 2
}

check_version() {
    [[ $1 =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[A-Za-z0-9.]+)?$ ]] || fail "not a version: '$1'"
}

# --- fetch -------------------------------------------------------------------

# A project whose parent is ZooKeeper's own parent, so that every version
# number below comes from the release itself. ZooKeeper declares some libraries
# it needs at run time as `provided`; those have to be named. slf4j-simple
# takes the place of logback: it writes to a file without a configuration.
write_pom() {
    local version=$1
    cat <<EOP
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <parent>
    <groupId>org.apache.zookeeper</groupId>
    <artifactId>parent</artifactId>
    <version>$version</version>
    <relativePath/>
  </parent>
  <artifactId>server-for-tests</artifactId>
  <dependencies>
    <dependency>
      <groupId>org.apache.zookeeper</groupId>
      <artifactId>zookeeper</artifactId>
      <version>$version</version>
      <exclusions>
        <exclusion><groupId>ch.qos.logback</groupId><artifactId>*</artifactId></exclusion>
        <exclusion><groupId>io.netty</groupId><artifactId>netty-tcnative-boringssl-static</artifactId></exclusion>
      </exclusions>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>\${slf4j.version}</version>
    </dependency>
EOP
    managed_dependency org.xerial.snappy snappy-java
    # The server of 3.5 has no metrics library.
    [[ $version == 3.5.* ]] || managed_dependency io.dropwizard.metrics metrics-core
    # For those who turn the admin server on.
    managed_dependency org.eclipse.jetty jetty-server
    managed_dependency org.eclipse.jetty jetty-servlet
    managed_dependency com.fasterxml.jackson.core jackson-databind
    printf '  </dependencies>\n</project>\n'
}

managed_dependency() {
    cat <<EOP
    <dependency>
      <groupId>$1</groupId>
      <artifactId>$2</artifactId>
      <scope>runtime</scope>
    </dependency>
EOP
}

# Resolves into a directory beside the final one and moves it there when it is
# complete: what is in the cache is whole, also with two fetches at once.
fetch() {
    local version=$1 work
    check_version "$version"
    [[ -d $cache/$version ]] && return
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/.fetch-$version.XXXXXX")
    write_pom "$version" >"$work/pom.xml"
    if ! mvn --batch-mode --quiet --file "$work/pom.xml" \
        "$DEPENDENCY_PLUGIN:copy-dependencies" \
        -DincludeScope=runtime -DoutputDirectory="$work/lib" >"$work/mvn.log" 2>&1; then
        cat "$work/mvn.log" >&2
        rm -rf "$work"
        fail "Maven cannot resolve ZooKeeper $version"
    fi
    mkdir "$work/release"
    mv "$work/lib" "$work/release/lib"
    # Fails, unlike mv, if another fetch was faster; its result is as good.
    python3 -c 'import os, sys; os.rename(*sys.argv[1:])' "$work/release" "$cache/$version" 2>/dev/null || true
    rm -rf "$work"
    [[ -d $cache/$version ]] || fail "cannot create $cache/$version"
}

class_path() {
    local IFS=:
    local jars=("$cache/$1"/lib/*.jar)
    printf '%s' "${jars[*]}"
}

# --- start -------------------------------------------------------------------

# The server started last.
server_dir=
server_pid=
server_connect=

# The servers of an ensemble, in the order of their ids.
peer_dirs=()
peer_connects=()

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Sessions may be as short as 400 ms (two ticks) and as long as a minute (not
# 20 ticks, which a loaded machine can exceed). Nothing has to survive a power
# cut, so the log is not synced.
write_config() {
    local dir=$1 port=$2
    shift 2
    cat <<EOC
dataDir=$dir/data
clientPort=$port
clientPortAddress=127.0.0.1
tickTime=200
maxSessionTimeout=60000
maxClientCnxns=0
extendedTypesEnabled=true
4lw.commands.whitelist=*
admin.enableServer=false
forceSync=no
EOC
    local setting
    for setting in "$@"; do printf '%s\n' "$setting"; done
}

# One spelling per directory: processes are recognised by it.
real_dir() {
    (cd "$1" && pwd -P)
}

# A directory for a server, with its id.
new_server_dir() {
    server_dir=$(real_dir "$(mktemp -d "${TMPDIR:-/tmp}/zk-apache.XXXXXX")")
    mkdir "$server_dir/data"
    printf '%s\n' "$1" >"$server_dir/data/myid"
    : >"$server_dir/log"
}

launch() {
    local version=$1 dir=$2
    shift 2
    nohup "$java" -cp "$(class_path "$version")" \
        -Xmx256m -XX:TieredStopAtLevel=1 -Xshare:auto -XX:+UseSerialGC -XX:-UsePerfData \
        -Dzookeeper.jmx.log4j.disable=true \
        -Dorg.slf4j.simpleLogger.logFile=System.out \
        -Dorg.slf4j.simpleLogger.showDateTime=true \
        -Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS \
        "-Dzookeeper.DigestAuthenticationProvider.superDigest=$SUPER_DIGEST" \
        "$@" \
        org.apache.zookeeper.server.quorum.QuorumPeerMain "$dir/zoo.cfg" \
        </dev/null >"$dir/log" 2>&1 &
    server_pid=$!
    # The shell would tell of every server that is killed.
    disown "$server_pid"
    printf '%s\n' "$server_pid" >"$dir/pid"
}

# The container manager starts last, after the port is bound and the server
# runs. Its line in this server's own log tells it from a stranger that took
# the port first. A read-only server has no container manager.
is_started() {
    grep -Eq 'Using checkIntervalMs|Read-only server started' "$1/log"
}

# Any answer will do: a caller's whitelist may refuse the command.
answers_srvr() {
    local port=$1 answer
    { exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null || return 1
    printf srvr >&3
    IFS= read -r -t 5 answer <&3 || answer=
    exec 3>&-
    [[ $answer == 'Zookeeper version:'* || $answer == *'not in the whitelist'* ]]
}

# Status 0: serves. 1: the process ended. 2: too slow.
wait_until_serving() {
    local dir=$1 pid=$2 port=$3
    local deadline=$((SECONDS + START_SECONDS))
    until is_started "$dir" && answers_srvr "$port"; do
        kill -0 "$pid" 2>/dev/null || return 1
        ((SECONDS < deadline)) || return 2
        sleep 0.05
    done
}

# What callers give: for zoo.cfg, and for the JVM.
settings=()
jvm=()

sort_args() {
    local arg
    for arg in "$@"; do
        case $arg in
            -D* | -X*) jvm+=("$arg") ;;
            dataDir=* | dataLogDir=* | clientPort=* | clientPortAddress=*)
                fail "the script chooses this itself: '$arg'" ;;
            *=*) settings+=("$arg") ;;
            *) fail "neither KEY=VALUE nor a JVM option: '$arg'" ;;
        esac
    done
}

start() {
    local version=$1
    shift
    sort_args "$@"
    fetch "$version"
    command -v "$java" >/dev/null || fail "no Java at '$java'"

    local attempt port status
    for ((attempt = 1; attempt <= START_ATTEMPTS; attempt++)); do
        new_server_dir 1
        if [[ -n ${ZK_APACHE_DATA_DIR:-} ]]; then
            rm -r "$server_dir/data"
            ln -s "$ZK_APACHE_DATA_DIR" "$server_dir/data"
            printf '1\n' >"$server_dir/data/myid"
        fi
        port=$(free_port)
        write_config "$server_dir" "$port" ${settings[@]+"${settings[@]}"} >"$server_dir/zoo.cfg"
        launch "$version" "$server_dir" ${jvm[@]+"${jvm[@]}"}
        status=0
        wait_until_serving "$server_dir" "$server_pid" "$port" || status=$?
        if ((status == 0)); then
            server_connect=127.0.0.1:$port
            return
        fi
        # Somebody else may bind the port between our choice and the server's bind.
        if ((status == 1)) && grep -q 'Address already in use' "$server_dir/log"; then
            stop_server "$server_dir"
            continue
        fi
        tail -n 40 "$server_dir/log" >&2
        stop_server "$server_dir"
        ((status == 1)) && fail "ZooKeeper $version ended while starting; the end of its log is above"
        fail "ZooKeeper $version does not serve after ${START_SECONDS}s; the end of its log is above"
    done
    fail "found no free port in $START_ATTEMPTS attempts"
}

# --- ensemble ----------------------------------------------------------------

# Apart from one another, since all are held until all are chosen.
free_ports() {
    python3 -c '
import socket, sys
sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in sockets:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))' "$1"
}

# Ticks of 200 ms: ten seconds to join and five to fall behind, since a loaded
# machine must not break a quorum. A server that is killed is noticed at once.
launch_peers() {
    local version=$1 count=$2 ports members=() id
    read -r -a ports <<<"$(free_ports $((3 * count)))"
    for ((id = 1; id <= count; id++)); do
        members+=("server.$id=127.0.0.1:${ports[3 * id - 3]}:${ports[3 * id - 2]}:participant;127.0.0.1:${ports[3 * id - 1]}")
    done
    for ((id = 1; id <= count; id++)); do
        new_server_dir "$id"
        peer_dirs+=("$server_dir")
        peer_connects+=("127.0.0.1:${ports[3 * id - 1]}")
        write_config "$server_dir" "${ports[3 * id - 1]}" initLimit=50 syncLimit=25 \
            ${settings[@]+"${settings[@]}"} "${members[@]}" >"$server_dir/zoo.cfg"
        printf '%s\n' "$version" ${jvm[@]+"${jvm[@]}"} >"$server_dir/launch"
        launch "$version" "$server_dir" ${jvm[@]+"${jvm[@]}"}
    done
}

# A server binds its port before it takes part in an election; one that has none says
# "not currently serving requests".
is_peer_serving() {
    grep -q 'LEADER ELECTION TOOK' "$1/log" && answers_srvr "${2##*:}"
}

# Status as wait_until_serving. The last one not to serve is `server_dir`.
wait_until_peers_serve() {
    local deadline=$((SECONDS + START_SECONDS)) at
    for at in "${!peer_dirs[@]}"; do
        server_dir=${peer_dirs[at]}
        until is_peer_serving "$server_dir" "${peer_connects[at]}"; do
            kill -0 "$(<"$server_dir/pid")" 2>/dev/null || return 1
            ((SECONDS < deadline)) || return 2
            sleep 0.05
        done
    done
}

ensemble() {
    local version=$1 count=$2
    shift 2
    [[ $count =~ ^[1-9][0-9]?$ ]] || fail "not a number of servers: '$count'"
    ((count > 1)) || fail "an ensemble has two servers at least"
    sort_args "$@"
    fetch "$version"
    command -v "$java" >/dev/null || fail "no Java at '$java'"

    local attempt status
    for ((attempt = 1; attempt <= START_ATTEMPTS; attempt++)); do
        launch_peers "$version" "$count"
        status=0
        wait_until_peers_serve || status=$?
        ((status != 0)) || return 0
        if ((status == 1)) && grep -q 'Address already in use' "$server_dir/log"; then
            stop_peers
            continue
        fi
        tail -n 40 "$server_dir/log" >&2
        stop_peers
        fail "ZooKeeper $version does not serve as an ensemble; the end of one server's log is above"
    done
    fail "found no free ports in $START_ATTEMPTS attempts"
}

stop_peers() {
    local dir
    for dir in ${peer_dirs[@]+"${peer_dirs[@]}"}; do stop_server "$dir"; done
    peer_dirs=()
    peer_connects=()
}

print_peers() {
    local at
    for at in "${!peer_dirs[@]}"; do
        printf 'connect=%s pid=%s dir=%s version=%s\n' \
            "${peer_connects[at]}" "$(<"${peer_dirs[at]}/pid")" "${peer_dirs[at]}" "$1"
    done
}

# Until the process has gone: its ports are free then.
kill_peer() {
    local dir pid
    dir=$(server_dir_named "$1")
    pid=$(<"$dir/pid")
    while runs_in "$pid" "$dir"; do
        kill -KILL "$pid" 2>/dev/null || true
        sleep 0.02
    done
}

restart_peer() {
    local dir options
    dir=$(server_dir_named "$1")
    [[ -f $dir/launch ]] || fail "not a server of an ensemble: '$dir'"
    ! runs_in "$(<"$dir/pid")" "$dir" || fail "still runs: '$dir'"
    case ${2:-} in
        --empty) rm -rf "$dir/data/version-2" ;;
        '') ;;
        *) usage ;;
    esac
    cat "$dir/log" >>"$dir/log.before"
    mapfile -t options <"$dir/launch"
    launch "${options[0]}" "$dir" "${options[@]:1}"
}

signal_peer() {
    local dir pid
    dir=$(server_dir_named "$2")
    pid=$(<"$dir/pid")
    runs_in "$pid" "$dir" || fail "does not run: '$dir'"
    kill "-$1" "$pid"
}

# --- stop --------------------------------------------------------------------

# Whether the process is the server of that directory, and not one that got its
# number later.
runs_in() {
    local pid=$1 dir=$2
    [[ $(ps -ww -o args= -p "$pid" 2>/dev/null) == *" $dir/zoo.cfg" ]]
}

dir_of_pid() {
    local args
    args=$(ps -ww -o args= -p "$1" 2>/dev/null) || fail "no process $1"
    [[ $args == *QuorumPeerMain\ *.??????/zoo.cfg ]] || fail "process $1 is not a server of this script"
    args=${args##*QuorumPeerMain }
    printf '%s' "${args%/zoo.cfg}"
}

stop_server() {
    local dir=$1 pid=
    if [[ -f $dir/pid ]]; then pid=$(<"$dir/pid"); fi
    if [[ -n $pid ]] && runs_in "$pid" "$dir"; then
        kill -TERM "$pid" 2>/dev/null || true
        local deadline=$((SECONDS + STOP_SECONDS))
        while runs_in "$pid" "$dir"; do
            if ((SECONDS >= deadline)); then kill -KILL "$pid" 2>/dev/null || true; fi
            sleep 0.02
        done
    fi
    rm -rf "$dir"
}

# The directory, if it is one that this script has made.
server_dir_named() {
    local dir=$1
    [[ -f $dir/pid && -f $dir/zoo.cfg ]] || fail "not the directory of a server: '$dir'"
    dir=$(real_dir "$dir")
    [[ ${dir##*/} == zk-apache.?????? ]] || fail "not made by this script: '$dir'"
    printf '%s' "$dir"
}

stop() {
    local dir
    for dir in "$@"; do
        [[ $dir =~ ^[0-9]+$ ]] && dir=$(dir_of_pid "$dir")
        dir=$(server_dir_named "$dir")
        stop_server "$dir"
    done
}

# --- with --------------------------------------------------------------------

cleanup() {
    trap '' INT TERM HUP
    if ((${#peer_dirs[@]})); then
        stop_peers
    elif [[ -n $server_dir ]]; then
        stop_server "$server_dir"
    fi
}

clean_up_at_exit() {
    trap cleanup EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
}

# Splits at `--`: what is before it, and the command behind.
own_args=()
command_line=()

split_args() {
    while (($#)) && [[ $1 != -- ]]; do
        own_args+=("$1")
        shift
    done
    (($# > 1)) || usage
    command_line=("${@:2}")
}

# A signal to this script alone is handled when the command has ended; a
# terminal and timeout(1) send it to the command too.
run_command() {
    local status=0
    "${command_line[@]}" || status=$?
    exit "$status"
}

with() {
    split_args "${@:2}"
    clean_up_at_exit
    start "$1" ${own_args[@]+"${own_args[@]}"}
    export ZK_TEST_CONNECT=$server_connect ZK_TEST_VERSION=$1
    run_command
}

with_ensemble() {
    split_args "${@:3}"
    clean_up_at_exit
    ensemble "$1" "$2" ${own_args[@]+"${own_args[@]}"}
    local IFS=,
    export ZK_TEST_CONNECT="${peer_connects[*]}" ZK_TEST_PEERS="${peer_dirs[*]}" ZK_TEST_VERSION=$1
    unset IFS
    run_command
}

# -----------------------------------------------------------------------------

case ${1:-} in
    versions)
        (($# == 1)) || usage
        printf '%s\n' "${TESTED_VERSIONS[@]}"
        ;;
    fetch)
        (($# == 2)) || usage
        fetch "$2"
        ;;
    start)
        (($# >= 2)) || usage
        start "${@:2}"
        printf 'connect=%s pid=%s dir=%s version=%s\n' "$server_connect" "$server_pid" "$server_dir" "$2"
        ;;
    ensemble)
        (($# >= 3)) || usage
        ensemble "${@:2}"
        print_peers "$2"
        ;;
    kill)
        (($# == 2)) || usage
        kill_peer "$2"
        ;;
    restart)
        (($# == 2 || $# == 3)) || usage
        restart_peer "${@:2}"
        printf '%s\n' "$server_pid"
        ;;
    pause)
        (($# == 2)) || usage
        signal_peer STOP "$2"
        ;;
    resume)
        (($# == 2)) || usage
        signal_peer CONT "$2"
        ;;
    stop)
        (($# >= 2)) || usage
        stop "${@:2}"
        ;;
    with)
        (($# >= 4)) || usage
        with "${@:2}"
        ;;
    with-ensemble)
        (($# >= 5)) || usage
        with_ensemble "${@:2}"
        ;;
    *) usage ;;
esac
