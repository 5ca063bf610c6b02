#!/usr/bin/env bash
#
# Authentication, with servers and clients that are not ours.
#
#   security.sh              everything
#   security.sh CHECK...     these checks only: sasl_apache, sasl_kazoo, acl_matrix, tls_apache,
#                            tls_ours, tls_kazoo
#
# Needs what apache.sh needs; checks with kazoo fetch it and pure-sasl by pip, those of
# TLS make certificates with openssl.

set -euo pipefail
cd "$(dirname "$0")/.."

readonly APACHE=${ZK_SECURITY_VERSION:-3.9.5}
readonly CHECKS=(sasl_apache sasl_kazoo acl_matrix tls_apache tls_ours tls_kazoo)
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

# Whatever follows the port is appended to its configuration, a line each.
start_ours() {
    local port=$1
    shift
    cargo build --package zk-server
    cat >"$work/zoo.cfg" <<EOC
dataDir=$work/data
clientPort=$port
clientPortAddress=127.0.0.1
admin.enableServer=false
java.security.auth.login.config=$work/jaas.conf
$PROVIDER
EOC
    printf '%s\n' "$@" >>"$work/zoo.cfg"
    "${CARGO_TARGET_DIR:-target}/debug/zk-server" start-foreground "$work/zoo.cfg" >"$work/log" 2>&1 &
    server=$!
}

stop_ours() {
    kill "$server"
    wait "$server" || true
    server=
    rm -rf "$work/data"
}

install_kazoo() {
    [[ ! -d $work/venv ]] || return 0
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" --quiet install kazoo==2.11.0 pure-sasl==0.6.2
}

# Runs one of the programs beside this script.
with_kazoo() {
    "$work/venv/bin/python" "$@" || {
        tail -n 20 "$work/log" >&2
        return 1
    }
}

# kazoo and our server.
sasl_kazoo() {
    local port
    port=$(free_port)
    install_kazoo
    start_ours "$port"
    with_kazoo scripts/sasl_kazoo.py "127.0.0.1:$port"
    stop_ours
}

# Every operation with every permission and scheme, asked of Apache's server anew and compared
# with the table that ours is compared with in an ordinary test.
acl_matrix() {
    cargo test --package zk-tests --test acl_matrix --no-run
    scripts/apache.sh with "$APACHE" extendedTypesEnabled=true "$PROVIDER" \
        "-Djava.security.auth.login.config=$work/jaas.conf" -- \
        bash -c 'ZK_ACL_SERVER=$ZK_TEST_CONNECT cargo test --package zk-tests --test acl_matrix'
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

# An authority, a server that it has signed (its key and certificate in one file too, as servers
# want them), and a client of each of these names.
certificates() {
    local name
    authority ca
    certificate server ca subjectAltName=DNS:localhost,IP:127.0.0.1 extendedKeyUsage=serverAuth
    cat "$work/server.key" "$work/server.pem" "$work/ca.pem" >"$work/key_store.pem"
    for name in "$@"; do certificate "$name" ca extendedKeyUsage=clientAuth; done
}

# kazoo over TLS and our server, by certificates.
tls_kazoo() {
    local secure_port
    secure_port=$(free_port)
    install_kazoo
    certificates bob eve
    start_ours "$(free_port)" "secureClientPort=$secure_port" \
        secureClientPortAddress=127.0.0.1 \
        "ssl.keyStore.location=$work/key_store.pem" "ssl.trustStore.location=$work/ca.pem"
    with_kazoo scripts/tls_kazoo.py "127.0.0.1:$secure_port" "$work"
    stop_ours
}

# Our client over TLS: certificates of clients, scheme x509, and who is refused.
tls_client() {
    env "ZK_TEST_TLS_DIR=$work" "ZK_TEST_TLS_CONNECT=127.0.0.1:$1" "${@:2}" \
        cargo test --package zk-client --features tls --test tls_server -- --ignored
}

tls_certificates() {
    certificates orders billing
    authority strangers
    certificate stranger strangers extendedKeyUsage=clientAuth
}

tls_apache() {
    local port
    tls_certificates
    port=$(free_port)
    cargo test --package zk-client --features tls --test tls_server --no-run
    export -f tls_client
    scripts/apache.sh with "$APACHE" "secureClientPort=$port" secureClientPortAddress=127.0.0.1 \
        serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory \
        "ssl.keyStore.location=$work/key_store.pem" ssl.keyStore.type=PEM \
        "ssl.trustStore.location=$work/ca.pem" ssl.trustStore.type=PEM -- \
        env "work=$work" bash -c "tls_client $port"
}

tls_ours() {
    local port secure_port
    tls_certificates
    port=$(free_port)
    secure_port=$(free_port)
    start_ours "$port" "secureClientPort=$secure_port" secureClientPortAddress=127.0.0.1 \
        "ssl.keyStore.location=$work/key_store.pem" "ssl.trustStore.location=$work/ca.pem"
    tls_client "$secure_port" "ZK_TEST_CONNECT=127.0.0.1:$port"
    stop_ours
}

write_users
for check in "${@:-${CHECKS[@]}}"; do
    printf -- '-- %s\n' "$check"
    "$check"
done
