//! What each fuzz target does with its input; `tests/corpora.rs` does the same with the committed corpora.

pub mod media;
pub mod relay;
pub mod rtmp;
pub mod stream;
pub mod viewer;
mod watching;

/// Name of a target and of its folder in `corpus/`, and what it does.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: &[Target] = &[
    ("handshake", rtmp::handshake),
    ("chunk", rtmp::chunk),
    ("amf0", rtmp::amf0),
    ("session", rtmp::session),
    ("flv_tag", media::flv_tag),
    ("flv_file", media::flv_file),
    ("avc", media::avc),
    ("hevc", media::hevc),
    ("av1", media::av1),
    ("aac", media::aac),
    ("fmp4_guard", media::fmp4_guard),
    ("relay", relay::relay),
    ("viewer", viewer::viewer),
    ("token", viewer::token),
    ("stream", stream::stream),
];
