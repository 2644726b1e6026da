//! What each fuzz target does with its input; `tests/corpora.rs` does the same with the committed corpora.

pub mod rtmp;

/// Name of a target and of its folder in `corpus/`, and what it does.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: &[Target] =
    &[("handshake", rtmp::handshake), ("chunk", rtmp::chunk), ("amf0", rtmp::amf0), ("session", rtmp::session)];
