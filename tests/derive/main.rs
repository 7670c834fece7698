//! The generated code, used as in a service.
#![allow(
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test, and says where"
)]

mod batch;
mod composite;
mod entity;
mod expressions;
mod feeder;
mod hooks;
mod hygiene;
mod keys;
mod lints;
mod packed;
mod pedantic;
mod schema;
mod service;
mod unwritten;
