#!/usr/bin/env bash
# Fuzzes one target, or every one in turn, with libFuzzer (see README.md).
#
#   fuzz/run.sh [TARGET|all] [SECONDS]    default: all, 60 seconds each
#   fuzz/run.sh --merge TARGET            keeps what earlier runs found worth keeping
set -euo pipefail
cd "$(dirname "$0")"

# What a run finds stays out of the tree until it is merged.
work=${CARGO_TARGET_DIR:-target}/fuzz

targets() { (cd targets && printf '%s\n' ./*.rs | sed 's|^\./||; s|\.rs$||'); }

# bolero TARGET CORPUS_DIR ARGUMENT...
bolero() {
  local target=$1 corpus=$2
  shift 2
  # Without `unsafe` a sanitizer has nothing to find; without it, stable Rust will do.
  cargo bolero test "$target" --sanitizer NONE --rustc-bootstrap \
    --target-dir "$work/build" --corpus-dir "$corpus" --crashes-dir "$work/crashes/$target" "$@"
}

fuzz() {
  local target=$1 seconds=$2
  mkdir -p "$work/corpus/$target" "corpus/$target"
  bolero "$target" "$work/corpus/$target" -T "${seconds}s" \
    --engine-args="corpus/$target" --engine-args=-print_final_stats=1 \
    --engine-args=-rss_limit_mb=1024
}

merge() {
  local target=$1
  bolero "$target" "corpus/$target" --engine-args=-merge=1 --engine-args="$work/corpus/$target"
}

case ${1:-all} in
  --merge) merge "${2:?which target?}" ;;
  all) for target in $(targets); do fuzz "$target" "${2:-60}"; done ;;
  *) fuzz "$1" "${2:-60}" ;;
esac
