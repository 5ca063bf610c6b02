#!/usr/bin/env bash
#
# Authentication, with servers and clients that are not ours.
#
#   security.sh              everything
#   security.sh CHECK...     these checks only: sasl_apache, sasl_kazoo
#
# Needs what apache.sh needs; sasl_kazoo fetches kazoo and pure-sasl by pip.

set -euo pipefail
cd "$(dirname "$0")/.."

readonly APACHE=${ZK_SECURITY_VERSION:-3.9.5}
readonly CHECKS=(sasl_apache sasl_kazoo)
work=$(mktemp -d "${TMPDIR:-/tmp}/zk-security.XXXXXX")
server=

# Ends only what was started here.
finish() {
    [[ -z $server ]] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

# The users, in the form in which both kinds of servers read them.
write_users() {
    cat >"$work/jaas.conf" <<'EOJ'
Server {
    org.apache.zookeeper.server.auth.DigestLoginModule required
    user_bob="bobsecret"
    user_super="adminsecret";
};
EOJ
}

readonly PROVIDER=authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider

# Our client and Apache's server.
sasl_apache() {
    cargo test --package zk-client --features sasl --test sasl_server --no-run
    scripts/apache.sh with "$APACHE" "$PROVIDER" \
        "-Djava.security.auth.login.config=$work/jaas.conf" -- \
        cargo test --package zk-client --features sasl --test sasl_server -- --ignored
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start_ours() {
    local port=$1
    cargo build --package zk-server
    cat >"$work/zoo.cfg" <<EOC
dataDir=$work/data
clientPort=$port
clientPortAddress=127.0.0.1
admin.enableServer=false
java.security.auth.login.config=$work/jaas.conf
$PROVIDER
EOC
    "${CARGO_TARGET_DIR:-target}/debug/zk-server" start-foreground "$work/zoo.cfg" >"$work/log" 2>&1 &
    server=$!
}

# kazoo and our server.
sasl_kazoo() {
    local port
    port=$(free_port)
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" --quiet install kazoo==2.11.0 pure-sasl==0.6.2
    start_ours "$port"
    "$work/venv/bin/python" scripts/sasl_kazoo.py "127.0.0.1:$port" || {
        tail -n 20 "$work/log" >&2
        return 1
    }
    kill "$server"
    wait "$server" || true
    server=
}

write_users
for check in "${@:-${CHECKS[@]}}"; do
    printf -- '-- %s\n' "$check"
    "$check"
done
