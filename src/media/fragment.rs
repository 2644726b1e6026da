//! What the fragmenter gives out: init segments and one-frame CMAF chunks.

use crate::media::frame::{Kind, Role};
use bytes::{Bytes, BytesMut};

/// Room kept before a fragment for the longest header of an unmasked WebSocket frame (RFC 6455 5.2).
pub const HEADROOM: usize = 10;

/// `track_ID` of the video track; sound is [`AUDIO_TRACK`].
pub const VIDEO_TRACK: u32 = 1;
pub const AUDIO_TRACK: u32 = 2;

/// The tracks of an epoch, and the init segments that describe them.
#[derive(Debug, Clone, PartialEq)]
pub struct Init {
    pub tracks: Vec<Track>,
    /// One init segment with all tracks, for raw viewers.
    pub muxed: Bytes,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    pub id: u32,
    pub kind: Kind,
    /// RFC 6381.
    pub codec: String,
    /// For `MediaSource.isTypeSupported`, codec included.
    pub mime: String,
    /// Units of a second in `tfdt`.
    pub timescale: u32,
    pub width: Option<u16>,
    pub height: Option<u16>,
    pub fps: Option<f64>,
    pub sample_rate: Option<u32>,
    pub channels: Option<u8>,
    /// The init segment of this track alone.
    pub init: Bytes,
}

/// One frame as `[prft] moof mdat`.
#[derive(Debug)]
pub struct Fragment {
    pub kind: Kind,
    pub role: Role,
    /// Decode time, media time in the track's timescale: what `tfdt` says.
    pub start: u64,
    /// In the track's timescale.
    pub duration: u32,
    /// Media time of `start` and of `start + duration`.
    pub start_us: i64,
    pub end_us: i64,
    /// Wall clock at ingest, Unix time.
    pub ingest_us: i64,
    /// [`HEADROOM`] bytes to fill, then the boxes.
    pub buffer: BytesMut,
}

/// What comes out of a fragmenter, in the order in which viewers must get it.
#[derive(Debug)]
pub enum Output {
    /// A discontinuity: what follows belongs to this init.
    Init(Init),
    Fragment(Fragment),
    /// Frames were lost before they came here; sent before what follows the hole.
    Gap(Gap),
}

/// A hole in one track, media time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    pub kind: Kind,
    pub from_us: i64,
    pub to_us: i64,
    /// Frames left out, where it is known.
    pub frames: u32,
}
