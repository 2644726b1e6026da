//! `weir-relay.v1`: what the owner of a stream and a node that follows it say to each other.
//!
//! Binary messages are the viewers' fragments, unchanged. Everything else is JSON text, `{"type": ...}`; types and fields
//! that are not known belong to another version and are passed over.

use crate::media::fragment::{Gap, Init, Track};
use crate::media::frame::Kind;
use crate::stream::packet::{Epoch, Epoched, Packet, Phase, Snapshot};
use crate::stream::ws_frame;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub const SUBPROTOCOL: &str = "weir-relay.v1";

/// Besides fragments; the longest holds a stream's init segments.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;
/// A follower asks the time and reads, nothing else.
pub const ASKED_BYTES_MAX: usize = 4 * 1024;
/// Video and sound; more tracks are not of this version.
const TRACKS_MAX: usize = 8;

/// What the owner says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OwnerMessage {
    /// The stream as it is now; `fragments` binary messages follow, from a keyframe on.
    Snapshot {
        fence: u64,
        state: String,
        init: Option<InitMessage>,
        fragments: usize,
        server_time_us: i64,
    },
    Init {
        init: InitMessage,
    },
    State {
        state: String,
    },
    Gap {
        kind: KindName,
        from_us: i64,
        to_us: i64,
        frames: u32,
    },
    /// The answer to the follower's.
    Time {
        t0_us: i64,
        server_time_us: i64,
    },
    #[serde(other)]
    Unknown,
}

/// What a follower says: at the start and each second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FollowerMessage {
    Time {
        t0_us: i64,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InitMessage {
    fence: u64,
    n: u32,
    tracks: Vec<TrackMessage>,
    /// Base64.
    muxed: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct TrackMessage {
    id: u32,
    kind: KindName,
    codec: String,
    mime: String,
    timescale: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    width: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    height: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fps: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sample_rate: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channels: Option<u8>,
    /// Base64.
    init: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KindName {
    Video,
    Audio,
}

/// Why what the owner sent can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("not a message of this protocol: {0}")]
    Json(String),
    #[error("a text of {0} bytes; at most {TEXT_BYTES_MAX} are allowed")]
    TooLong(usize),
    #[error("an init with {0} tracks; 1 to {TRACKS_MAX} are allowed")]
    Tracks(usize),
    #[error("an init segment that is not base64")]
    Base64,
    #[error("a track with timescale 0")]
    Timescale,
    #[error(transparent)]
    Fragment(#[from] crate::media::Error),
    #[error("a fragment of a track that no init tells of, {0}")]
    Track(u32),
}

impl OwnerMessage {
    pub fn parse(text: &[u8]) -> Result<Self, Malformed> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(Malformed::TooLong(text.len()));
        }
        serde_json::from_slice(text).map_err(|error| Malformed::Json(error.to_string()))
    }

    pub fn framed(&self) -> Bytes {
        ws_frame::text(&json(self))
    }
}

impl FollowerMessage {
    /// What can't be read is another version's.
    pub fn parse(text: &[u8]) -> Self {
        serde_json::from_slice(text).unwrap_or(Self::Unknown)
    }

    pub fn to_json(&self) -> String {
        json(self)
    }
}

fn json(message: &impl Serialize) -> String {
    serde_json::to_string(message).expect("these types have string keys only and no failing serializer")
}

/// A packet as WebSocket frames for a follower; `now_us` is this node's Unix time. Orders are each node's own.
pub fn encode(packet: &Packet, now_us: i64, out: &mut Vec<Bytes>) {
    match packet {
        Packet::Snapshot(snapshot) => {
            out.push(snapshot_message(snapshot, now_us).framed());
            out.extend(snapshot.backlog.iter().map(|fragment| fragment.frame.message().clone()));
        }
        Packet::Init(init) => out.push(OwnerMessage::Init { init: InitMessage::new(init) }.framed()),
        Packet::Fragment(fragment) => out.push(fragment.frame.message().clone()),
        Packet::Gap(Gap { kind, from_us, to_us, frames }) => {
            let gap = OwnerMessage::Gap { kind: (*kind).into(), from_us: *from_us, to_us: *to_us, frames: *frames };
            out.push(gap.framed());
        }
        Packet::Phase(phase) => out.push(OwnerMessage::State { state: phase.as_str().to_owned() }.framed()),
        Packet::SendEvery(_) | Packet::Clock { .. } | Packet::Kick { .. } | Packet::Close { .. } => {}
    }
}

fn snapshot_message(snapshot: &Snapshot, now_us: i64) -> OwnerMessage {
    OwnerMessage::Snapshot {
        fence: snapshot.fence,
        state: snapshot.phase.as_str().to_owned(),
        init: snapshot.init.as_deref().map(InitMessage::new),
        fragments: snapshot.backlog.len(),
        server_time_us: now_us,
    }
}

impl InitMessage {
    fn new(init: &Epoched) -> Self {
        let tracks = init.tracks.iter().map(TrackMessage::new).collect();
        let Epoch { fence, n } = init.epoch;
        Self { fence, n, tracks, muxed: STANDARD.encode(init.muxed.payload()) }
    }

    pub fn read(self) -> Result<Arc<Epoched>, Malformed> {
        if !(1..=TRACKS_MAX).contains(&self.tracks.len()) {
            return Err(Malformed::Tracks(self.tracks.len()));
        }
        let epoch = Epoch { fence: self.fence, n: self.n };
        let tracks = self.tracks.into_iter().map(TrackMessage::read).collect::<Result<_, _>>()?;
        Ok(Arc::new(Epoched::new(epoch, Init { tracks, muxed: decode(&self.muxed)? })))
    }
}

impl TrackMessage {
    fn new(track: &Track) -> Self {
        Self {
            id: track.id,
            kind: track.kind.into(),
            codec: track.codec.clone(),
            mime: track.mime.clone(),
            timescale: track.timescale,
            width: track.width,
            height: track.height,
            fps: track.fps,
            sample_rate: track.sample_rate,
            channels: track.channels,
            init: STANDARD.encode(&track.init),
        }
    }

    fn read(self) -> Result<Track, Malformed> {
        if self.timescale == 0 {
            return Err(Malformed::Timescale);
        }
        Ok(Track {
            id: self.id,
            kind: self.kind.into(),
            codec: self.codec,
            mime: self.mime,
            timescale: self.timescale,
            width: self.width,
            height: self.height,
            fps: self.fps,
            sample_rate: self.sample_rate,
            channels: self.channels,
            init: decode(&self.init)?,
        })
    }
}

fn decode(base64: &str) -> Result<Bytes, Malformed> {
    STANDARD.decode(base64).map(Bytes::from).map_err(|_| Malformed::Base64)
}

/// None: a state of another version.
pub fn phase(name: &str) -> Option<Phase> {
    let all = [Phase::Waiting, Phase::Live, Phase::Stalled, Phase::Interrupted, Phase::Ended];
    all.into_iter().find(|phase| phase.as_str() == name)
}

impl From<Kind> for KindName {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Video => Self::Video,
            Kind::Audio => Self::Audio,
        }
    }
}

impl From<KindName> for Kind {
    fn from(name: KindName) -> Self {
        match name {
            KindName::Video => Self::Video,
            KindName::Audio => Self::Audio,
        }
    }
}
