#!/usr/bin/env bash
#
# Recipes beside Curator's and kazoo's, on the same server in the same run; README.md
# says what is measured.
#
#   recipes.sh [ARG...]                 on the bundled server
#   recipes.sh --apache [ARG...]        on Apache ZooKeeper, by scripts/apache.sh
#   recipes.sh --connect HOST:PORT ...  on a server that already runs
#
# ARG goes to the benchmark: `recipes.sh --rounds 3` for a quick look, `recipes.sh --help`
# for all there are.
#
# Curator comes by Maven, kazoo by pip, into the directory that ZK_BENCH_CACHE names, by
# default ${XDG_CACHE_HOME:-~/.cache}/zk-bench-recipes. Needs bash, a JDK of 17 or newer,
# Maven, and Python 3 with venv.

set -euo pipefail
cd "$(dirname "$0")/.."

# The figures in README.md belong to these.
readonly CURATOR=5.9.0
readonly KAZOO=2.11.0
readonly APACHE=3.9.5
readonly SLF4J=1.7.36
readonly DEPENDENCY_PLUGIN=org.apache.maven.plugins:maven-dependency-plugin:3.8.1

cache=${ZK_BENCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/zk-bench-recipes}
target=${CARGO_TARGET_DIR:-$PWD/target}
java=${JAVA_HOME:+$JAVA_HOME/bin/}java

fail() {
    printf 'recipes.sh: %s\n' "$*" >&2
    exit 1
}

# Made beside the final place and moved there when it is complete: what is in the cache is
# whole.
fetch_curator() {
    [[ -d $cache/curator-$CURATOR ]] && return
    local work
    work=$(mktemp -d "$cache/.curator.XXXXXX")
    cat >"$work/pom.xml" <<EOP
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId>
  <artifactId>curator-for-benches</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.curator</groupId>
      <artifactId>curator-recipes</artifactId>
      <version>$CURATOR</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-nop</artifactId>
      <version>$SLF4J</version>
    </dependency>
  </dependencies>
</project>
EOP
    mvn --batch-mode --quiet --file "$work/pom.xml" "$DEPENDENCY_PLUGIN:copy-dependencies" \
        -DincludeScope=runtime -DoutputDirectory="$work/lib" >"$work/mvn.log" 2>&1 || {
        cat "$work/mvn.log" >&2
        rm -rf "$work"
        fail "Maven cannot resolve Curator $CURATOR"
    }
    mv "$work/lib" "$cache/curator-$CURATOR"
    rm -rf "$work"
}

# A virtual environment knows where it is, so it is made in its place and marked when whole.
fetch_kazoo() {
    local venv=$cache/kazoo-$KAZOO
    [[ -f $venv/complete ]] && return
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "kazoo==$KAZOO" ||
        fail "pip cannot install kazoo $KAZOO"
    touch "$venv/complete"
}

# Programs that take what the benchmark adds: where the server is, and a znode.
write_peers() {
    printf '#!/bin/sh\nexec "%s" -cp "%s/*" "%s" "$@"\n' \
        "$java" "$cache/curator-$CURATOR" "$PWD/benches/recipes/CuratorRecipes.java" >"$cache/curator"
    printf '#!/bin/sh\nexec "%s/bin/python" "%s" "$@"\n' \
        "$cache/kazoo-$KAZOO" "$PWD/benches/recipes/kazoo_recipes.py" >"$cache/kazoo"
    chmod +x "$cache/curator" "$cache/kazoo"
}

compare() {
    "$target/release/bench-recipes" compare \
        --peer "Curator $CURATOR=$cache/curator" --peer "kazoo $KAZOO=$cache/kazoo" "$@"
}

if [[ ${1:-} == --apache ]]; then
    shift
    # shellcheck disable=SC2016 # the inner shell knows where the server is
    exec scripts/apache.sh with "$APACHE" -- \
        bash -c 'exec "$0" --connect "$ZK_TEST_CONNECT" "$@"' benches/recipes.sh "$@"
fi

cargo build --release --package zk-benches --bins
mkdir -p "$cache"
fetch_curator
fetch_kazoo
write_peers
for arg in "$@"; do
    case $arg in
        --connect | --connect=* | --server | --server=* | --help | -h)
            compare "$@"
            exit
            ;;
    esac
done
compare --server "$target/release/bench-server" "$@"
