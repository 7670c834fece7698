//! The compiler's messages for users of the derives.

#![allow(
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test, and says where"
)]

mod attributes;

#[test]
fn every_mistake_is_reported_where_it_is_and_with_its_fix() {
    let cases = trybuild::TestCases::new();
    for rule in [
        "attribute",
        "value",
        "key",
        "prefix",
        "ttl",
        "bound",
        "serde",
        "shape",
        "schema",
        "feeder",
    ] {
        cases.compile_fail(format!("ui/{rule}/*.rs"));
    }
    cases.pass("ui/pass/*.rs");
}
