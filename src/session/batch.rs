//! What a hub sends at once: the sound that waited and the picture that it waited for, joined for all viewers.

use crate::media::frame::Kind;
use crate::stream::packet::Framed;
use bytes::{Bytes, BytesMut};
use std::cell::OnceCell;
use std::sync::Arc;

/// Fragments in sending order, never empty.
#[derive(Debug)]
pub struct Batch {
    parts: Vec<Arc<Framed>>,
    messages: OnceCell<Bytes>,
    payloads: OnceCell<Bytes>,
    is_start: bool,
}

impl Batch {
    /// `has_video` tells whether the stream has a picture, without which a viewer can start anywhere.
    pub fn new(parts: Vec<Arc<Framed>>, has_video: bool) -> Self {
        let is_start = !has_video || parts.iter().any(|p| p.is_video_key());
        Self { parts, messages: OnceCell::new(), payloads: OnceCell::new(), is_start }
    }

    pub fn parts(&self) -> &[Arc<Framed>] {
        &self.parts
    }

    /// A viewer can start, or go on after a hole, with this.
    pub fn is_start(&self) -> bool {
        self.is_start
    }

    /// As WebSocket messages.
    pub fn messages(&self) -> &Bytes {
        self.messages.get_or_init(|| match &self.parts[..] {
            [one] => one.frame.message().clone(),
            parts => join(parts.iter().map(|p| p.frame.message().clone())),
        })
    }

    /// As the body of an HTTP response.
    pub fn payloads(&self) -> &Bytes {
        self.payloads.get_or_init(|| match &self.parts[..] {
            [one] => one.payload(),
            parts => join(parts.iter().map(|p| p.payload())),
        })
    }

    /// Decode time at which the last fragment ends, the picture's where there is one.
    pub fn edge_us(&self) -> i64 {
        let video = self.parts.iter().rev().find(|p| p.kind == Kind::Video);
        video.or(self.parts.last()).map_or(0, |p| p.end_us)
    }

    /// When the newest fragment came in, Unix time.
    pub fn ingest_us(&self) -> i64 {
        self.parts.last().map_or(0, |p| p.ingest_us)
    }
}

fn join(pieces: impl Iterator<Item = Bytes> + Clone) -> Bytes {
    let mut joined = BytesMut::with_capacity(pieces.clone().map(|p| p.len()).sum());
    pieces.for_each(|p| joined.extend_from_slice(&p));
    joined.freeze()
}
