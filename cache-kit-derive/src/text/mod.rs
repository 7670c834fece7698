//! What stands between the quotes: pure functions of text.

pub(crate) mod duration;
pub(crate) mod prefix;
pub(crate) mod size;
pub(crate) mod template;
