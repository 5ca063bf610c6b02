#!/usr/bin/env bash
#
# The differential test, longer than CI runs it: the same seeded operations
# through Apache ZooKeeper 3.9.5 and through the bundled server, compared.
#
#   differential.sh [SEEDS [FIRST [OPERATIONS]]]
#
# By default 20 seeds from 1 on with 10000 operations each, about a minute per
# seed. Needs what scripts/apache.sh needs. Ends at the first difference, with
# the operations that show it cut down as far as possible.

set -euo pipefail
cd "$(dirname "$0")/.."

exec cargo run --quiet --package zk-tests --bin differential -- \
    --seeds "${1:-20}" --seed "${2:-1}" --ops "${3:-10000}" --coverage --shrink
