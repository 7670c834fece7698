#!/bin/sh
# Runs every test: the workspace with all features, the code of a user outside the workspace, what the
# guide says of other caches, the instructions that a hit may execute, and the models of the concurrent
# parts. Installs missing programs if it is root and has apt-get.
#
# CACHE_KIT_SCHEDULES is how many random schedules each search runs: here the full search, 10,000,
# unless it is set. `cargo test` alone runs a few hundred.
set -eu
cd "$(dirname "$0")/.."

if ! command -v cargo >/dev/null; then
    echo "cargo is missing: install Rust 1.88 or newer" >&2
    exit 1
fi

# Makes sure that a program is there: `need BINARY PACKAGE…`.
need() {
    binary=$1
    shift
    if command -v "$binary" >/dev/null; then
        return
    fi
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "$binary is missing: install $* (the names of Debian's packages)" >&2
        exit 1
    fi
    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y "$@"
}

need cc gcc libc6-dev
# Sees to it that a server's program is there. Its package also starts a service on the default port:
# the tests start servers of their own, and no test may find one there by accident.
need_server() {
    if ! command -v "$1" >/dev/null; then
        need "$1" "$1"
        service "$1" stop || true
    fi
}
need_server redis-server
need_server memcached
need valgrind valgrind

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Runs a command, shows what it prints and keeps it for the count. A pipe would hide its exit code.
run() {
    echo "== $*"
    { "$@" 2>&1 && echo ok >"$log.end" || echo failed >"$log.end"; } | tee -a "$log"
    end=$(cat "$log.end")
    rm -f "$log.end"
    [ "$end" = ok ]
}

export CACHE_KIT_SCHEDULES="${CACHE_KIT_SCHEDULES:-10000}"
run cargo test --workspace --all-features
run cargo run --quiet --manifest-path tests/outside/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-target}/outside"
run cargo test --quiet --manifest-path tests/migrations/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-target}/outside"
run cargo bench -p cache-kit --bench instructions --features moka
run env RUSTFLAGS="--cfg cache_kit_model" \
    cargo test --release -p cache-kit --lib --target-dir "${CARGO_TARGET_DIR:-target}/model" model

awk '/^test result:/ { passed += $4; failed += $6 }
     END { printf "%d passed, %d failed\n", passed, failed; exit failed > 0 || passed == 0 }' "$log"
