#!/bin/sh
# Lists the attributes of the derives, each with the cases in tests/messages/ui that use it correctly and those
# that misuse it. Fails if an attribute lacks either.
set -eu
cd "$(dirname "$0")/.."
cargo test --quiet --workspace --all-features --test messages -- --exact --nocapture \
    attributes::every_attribute_has_a_passing_and_a_failing_case
