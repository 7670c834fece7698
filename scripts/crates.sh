#!/bin/sh
# Which crates a build has: a service that caches in memory pays for memory alone, and a feature
# adds only what it names.
set -eu
cd "$(dirname "$0")/.."

redis='redis|combine|tokio-util'
crypto='ring|aws-lc.*|rustls.*|tokio-rustls|webpki.*|native-tls|tokio-native-tls|openssl.*|sha1.*|sha2|digest'
tls='ring|aws-lc.*|rustls.*|tokio-rustls|webpki.*|native-tls|tokio-native-tls|openssl.*'

# The crates of a build with the features $1, and those of them that match $2.
check() {
    crates=$(cargo tree -p cache-kit --no-default-features --features "$1" --edges normal \
        --prefix none --format '{p}' | sed 's/ .*//' | sort -u)
    count=$(echo "$crates" | wc -l)
    echo "$count crates with ${1:-no features}"
    if echo "$crates" | grep -E -x "$2"; then
        echo "the crates above do not belong into a build with ${1:-no features}" >&2
        exit 1
    fi
}

check "" "$redis|$crypto"
bare=$count
check derive,moka "$redis|$crypto"
check derive,moka,tracing "$redis|$crypto"
[ "$count" -le 60 ]
check inmemory "$redis|$crypto"
[ "$count" -eq "$bare" ]
check metrics "$redis|$crypto"
check testing "$redis|$crypto"
check codec "$redis|$crypto"
check json "$redis|$crypto"
check memcached "$redis|$tls"
# The type of an error, and no driver.
check sqlx "$redis|$crypto|sqlx|sqlx-macros.*|sqlx-mysql|sqlx-postgres|sqlx-sqlite|libsqlite3-sys"
check redis "$tls"
check all "$tls"
check redis-cluster "$tls"
check redis-sentinel "$tls"
# One implementation of TLS, which needs no cmake.
check redis-tls 'aws-lc.*|native-tls|tokio-native-tls|openssl|openssl-sys|cmake'
