#!/usr/bin/env bash
#
# Authentication, with servers and clients that are not ours.
#
#   security.sh              everything
#   security.sh CHECK...     these checks only: sasl_apache, sasl_kazoo, tls_apache
#
# Needs what apache.sh needs; sasl_kazoo fetches kazoo and pure-sasl by pip, tls_apache makes
# certificates with openssl.

set -euo pipefail
cd "$(dirname "$0")/.."

readonly APACHE=${ZK_SECURITY_VERSION:-3.9.5}
readonly CHECKS=(sasl_apache sasl_kazoo tls_apache)
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

# A key and a certificate: NAME SIGNER EXTENSION..., where SIGNER is the name of an authority.
certificate() {
    local name=$1 signer=$2
    printf '%s\n' "${@:3}" >"$work/$name.ext"
    openssl req -new -newkey rsa:2048 -nodes -keyout "$work/$name.key" -out "$work/$name.csr" \
        -subj "/O=tests/CN=$name" 2>/dev/null
    openssl x509 -req -in "$work/$name.csr" -CA "$work/$signer.pem" -CAkey "$work/$signer.key" \
        -days 2 -extfile "$work/$name.ext" -out "$work/$name.pem" 2>/dev/null
}

authority() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/$1.key" -out "$work/$1.pem" -days 2 \
        -subj "/CN=$1" -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign 2>/dev/null
}

# Our client and Apache's server: TLS, certificates of clients, scheme x509.
tls_apache() {
    local port store name
    authority ca
    authority strangers
    certificate server ca subjectAltName=DNS:localhost,IP:127.0.0.1 extendedKeyUsage=serverAuth
    for name in orders billing; do certificate "$name" ca extendedKeyUsage=clientAuth; done
    certificate stranger strangers extendedKeyUsage=clientAuth
    # Java wants key and certificate in one file.
    store=$work/server-store.pem
    cat "$work/server.key" "$work/server.pem" "$work/ca.pem" >"$store"
    port=$(free_port)
    cargo test --package zk-client --features tls --test tls_server --no-run
    scripts/apache.sh with "$APACHE" "secureClientPort=$port" secureClientPortAddress=127.0.0.1 \
        serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory \
        "ssl.keyStore.location=$store" ssl.keyStore.type=PEM \
        "ssl.trustStore.location=$work/ca.pem" ssl.trustStore.type=PEM -- \
        env "ZK_TEST_TLS_DIR=$work" "ZK_TEST_TLS_CONNECT=127.0.0.1:$port" \
        cargo test --package zk-client --features tls --test tls_server -- --ignored
}

write_users
for check in "${@:-${CHECKS[@]}}"; do
    printf -- '-- %s\n' "$check"
    "$check"
done
