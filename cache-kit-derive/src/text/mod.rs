//! The contents of quoted values: pure functions of text.

pub(crate) mod duration;
pub(crate) mod percentage;
pub(crate) mod prefix;
pub(crate) mod size;
pub(crate) mod template;
