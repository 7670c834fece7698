#!/usr/bin/env bash
# What the derive adds to a build: two crates of 200 entities each, one derived, one with the same
# impls written by hand, built cleanly in turn. Prints the medians and their ratio; the limit
# is 1.10. With --strict a higher ratio is a failure.
#
#   scripts/derive-cost.sh [--strict] [rounds, 7 by default]
#
# A round builds only the crate itself; its dependencies are built before. Compares processor
# seconds, since wall time also counts other load.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

strict=no
if [ "${1:-}" = --strict ]; then
    strict=yes
    shift
fi
rounds=${1:-7}
count=200
limit=1.10

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CARGO_TARGET_DIR=$work/target

cat >"$work/Cargo.toml" <<EOF
[workspace]
resolver = "3"
members = ["derived", "by-hand"]
EOF
cp "$root/Cargo.lock" "$work/Cargo.lock"
for name in derived by-hand; do
    mkdir -p "$work/$name/src"
    cat >"$work/$name/Cargo.toml" <<EOF
[package]
name = "$name"
version = "0.0.0"
edition = "2024"

[dependencies]
cache-kit = { path = "$root/cache-kit" }
serde = { version = "1", features = ["derive"] }
EOF
done

# The fields of every entity, whatever its key is.
fields='    pub id: u64,
    pub shop: String,
    pub number: u32,
    pub name: String,
    pub tags: Vec<String>,
    pub price: Option<u64>,'
derives='Clone, Debug, serde::Serialize, serde::Deserialize'

# Of four entities two have a key of one field, one a template, one a typed key of two fields.
derived() {
    local attributes
    case $(($1 % 4)) in
    0) attributes='key = "id"' ;;
    1) attributes='key = "shop", ttl = "1h30m", version = 2' ;;
    2) attributes='key = "{shop}/{number}"' ;;
    3) attributes='key("shop", "number")' ;;
    esac
    cat <<EOF
#[derive($derives, cache_kit::CacheEntity)]
#[cache(prefix = "entity_$1", $attributes)]
pub struct Entity$1 {
$fields
}
EOF
}

# A typed key has what the derived one has.
typed_key() {
    cat <<EOF
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entity$1Key {
    pub shop: String,
    pub number: u32,
}
impl Entity$1Key {
    pub fn new(shop: String, number: u32) -> Self {
        Self { shop, number }
    }
}
impl std::fmt::Display for Entity$1Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        crate::write_part(f, &self.shop)?;
        f.write_str(":")?;
        crate::write_part(f, &self.number)
    }
}
impl std::str::FromStr for Entity$1Key {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let key = Self {
            shop: crate::read_part(parts.next())?,
            number: crate::read_part(parts.next())?,
        };
        match parts.next() {
            None => Ok(key),
            Some(_) => Err("too many parts".to_owned()),
        }
    }
}
EOF
}

by_hand() {
    local type key more=
    case $(($1 % 4)) in
    0) type=u64 key='self.id' ;;
    1) type=String key='self.shop.clone()'
        more='fn cache_ttl() -> Option<std::time::Duration> { Some(std::time::Duration::new(5_400, 0)) }' ;;
    2) type=String key='{
            let mut key = String::new();
            key.push_str(&self.shop.to_string());
            key.push_str("/");
            key.push_str(&self.number.to_string());
            key
        }' ;;
    3) type=Entity$1Key key="Entity$1Key::new(self.shop.clone(), self.number)" ;;
    esac
    cat <<EOF
#[derive($derives)]
pub struct Entity$1 {
$fields
}
impl cache_kit::CacheEntity for Entity$1 {
    type Key = $type;
    fn cache_key(&self) -> $type {
        $key
    }
    fn cache_prefix() -> &'static str {
        "entity_$1"
    }
    fn cache_schema() -> u64 {
        $((1000003 * ($1 + 1)))
    }
    $more
}
EOF
    if [ $(($1 % 4)) = 3 ]; then
        typed_key "$1"
    fi
}

: >"$work/derived/src/lib.rs"
cat >"$work/by-hand/src/lib.rs" <<'EOF'
fn write_part(f: &mut std::fmt::Formatter<'_>, part: &dyn std::fmt::Display) -> std::fmt::Result {
    f.write_str(&part.to_string().replace('%', "%25").replace(':', "%3A"))
}
fn read_part<T: std::str::FromStr>(part: Option<&str>) -> Result<T, String> {
    let part = part.ok_or("too few parts")?;
    let part = part.replace("%3A", ":").replace("%25", "%");
    part.parse().map_err(|_| "not a part".to_owned())
}
EOF
for ((i = 0; i < count; i++)); do
    derived $i >>"$work/derived/src/lib.rs"
    by_hand $i >>"$work/by-hand/src/lib.rs"
done

# Builds one crate from nothing, and prints seconds: of the processor, and on the wall.
measure() {
    local command=$1 crate=$2
    (
        cd "$work"
        cargo clean --quiet --offline -p "$crate" 2>/dev/null
        TIMEFORMAT='%U %S %R'
        { time cargo "$command" --quiet --offline -p "$crate" 2>"$work/log" || echo failed; } 2>&1
    ) | awk '/failed/ { exit 1 } { printf "%.3f %.3f\n", $1 + $2, $3 }' || {
        cat "$work/log" >&2
        exit 1
    }
}

# The middle one of the numbers in a column.
median() {
    cut -d' ' -f"$2" "$1" | sort -n | awk '{ n[NR] = $1 } END { print n[int((NR + 1) / 2)] }'
}

(cd "$work" && cargo build --quiet && cargo check --quiet)

failed=no
printf '%-6s %-9s %12s %12s\n' command crate processor wall
for command in build check; do
    for ((round = 0; round < rounds; round++)); do
        # In turn, and the first is not always the same.
        order='derived by-hand'
        if ((round % 2)); then
            order='by-hand derived'
        fi
        for crate in $order; do
            measure $command $crate >>"$work/$command-$crate"
        done
    done
    for crate in derived by-hand; do
        printf '%-6s %-9s %10.3f s %10.3f s\n' $command $crate \
            "$(median "$work/$command-$crate" 1)" "$(median "$work/$command-$crate" 2)"
    done
    ratio=$(awk -v a="$(median "$work/$command-derived" 1)" -v b="$(median "$work/$command-by-hand" 1)" \
        'BEGIN { printf "%.3f", a / b }')
    echo "$command: derived / by hand = $ratio (the line: $limit)"
    if awk -v ratio="$ratio" -v limit=$limit 'BEGIN { exit !(ratio > limit) }'; then
        failed=yes
    fi
done
[ $strict = no ] || [ $failed = no ]
