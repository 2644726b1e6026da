//! What a stream gives to its subscribers, made once and shared by all.

use crate::media::fmp4;
use crate::media::fragment::{Fragment, Gap, Init, Track};
use crate::media::frame::{Kind, Role};
use crate::stream::ws_frame::WsFrame;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// Orders everything a stream ever sent: the fence of the publish, then the discontinuity within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Epoch {
    pub fence: u64,
    pub n: u32,
}

impl fmt::Display for Epoch {
    /// Sorts as text the way it sorts as a pair.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012}-{:06}", self.fence, self.n)
    }
}

/// What the viewer is told of the publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    Waiting,
    Live,
    /// A publisher is connected and sends nothing.
    Stalled,
    /// The publisher left and may come back within the window.
    Interrupted,
    Ended,
}

impl Phase {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Live => "live",
            Self::Stalled => "stalled",
            Self::Interrupted => "interrupted",
            Self::Ended => "ended",
        }
    }
}

/// The tracks of an epoch.
#[derive(Debug)]
pub struct Epoched {
    pub epoch: Epoch,
    pub tracks: Vec<Track>,
    /// All tracks in one init segment, framed.
    pub muxed: WsFrame,
}

impl Epoched {
    pub fn new(epoch: Epoch, init: Init) -> Self {
        Self { epoch, tracks: init.tracks, muxed: WsFrame::binary_from(&init.muxed) }
    }
}

/// One frame, framed once for all viewers.
#[derive(Debug)]
pub struct Framed {
    pub epoch: Epoch,
    pub kind: Kind,
    pub role: Role,
    /// Decode time at which it begins and ends, in the track's timescale.
    pub start: u64,
    pub end: u64,
    pub start_us: i64,
    pub end_us: i64,
    pub ingest_us: i64,
    pub frame: WsFrame,
}

impl Framed {
    pub fn new(epoch: Epoch, fragment: Fragment) -> Self {
        Self {
            epoch,
            kind: fragment.kind,
            role: fragment.role,
            start: fragment.start,
            end: fragment.start + u64::from(fragment.duration),
            start_us: fragment.start_us,
            end_us: fragment.end_us,
            ingest_us: fragment.ingest_us,
            frame: WsFrame::binary(fragment.buffer),
        }
    }

    /// A copy of this picture for viewers who were not sent what lies between `before` and it (F20).
    pub fn bridged(&self, before: &Edge) -> Result<Self, crate::media::Error> {
        let buffer = fmp4::bridge(&self.payload(), before.end)?;
        Ok(Self {
            epoch: self.epoch,
            kind: self.kind,
            role: self.role,
            start: before.end,
            end: self.end,
            start_us: before.end_us,
            end_us: self.end_us,
            ingest_us: self.ingest_us,
            frame: WsFrame::binary(buffer),
        })
    }

    pub fn edge(&self) -> Edge {
        Edge { end: self.end, end_us: self.end_us }
    }

    pub fn is_video_key(&self) -> bool {
        self.kind == Kind::Video && self.role == Role::Key
    }

    pub fn len_bytes(&self) -> usize {
        self.frame.message().len()
    }

    pub fn payload(&self) -> Bytes {
        self.frame.payload()
    }
}

/// Where a fragment ends, in its track's timescale and as media time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    pub end: u64,
    pub end_us: i64,
}

/// Where each track ends that was given out, media time.
#[derive(Debug, Default, Clone, Copy)]
pub struct Edges {
    pub video_us: Option<i64>,
    pub audio_us: Option<i64>,
}

impl Edges {
    pub fn of(&mut self, kind: Kind) -> &mut Option<i64> {
        match kind {
            Kind::Video => &mut self.video_us,
            Kind::Audio => &mut self.audio_us,
        }
    }

    pub fn end_us(&self) -> Option<i64> {
        self.video_us.max(self.audio_us)
    }
}

/// Everything a viewer needs to start: sent to a subscriber when it comes and when it has lost its place.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub phase: Phase,
    pub send_every_ms: Option<u32>,
    pub init: Option<Arc<Epoched>>,
    /// From the newest keyframe on; empty where a viewer has to wait for the next one.
    pub backlog: Vec<Arc<Framed>>,
    /// How far the clock of the stream's owner is ahead of this node's.
    pub clock_ahead_us: i64,
    /// Of the newest publish that is known of.
    pub fence: u64,
}

/// One thing a subscriber is told.
#[derive(Debug, Clone)]
pub enum Packet {
    Snapshot(Snapshot),
    Init(Arc<Epoched>),
    Fragment(Arc<Framed>),
    Gap(Gap),
    Phase(Phase),
    /// How far the clock of the stream's owner is ahead of this node's, measured anew.
    Clock {
        ahead_us: i64,
    },
    /// How often viewers are sent what has come; none: with each picture.
    SendEvery(Option<u32>),
    /// This session has to go.
    Kick {
        session: crate::id::SessionId,
        code: u16,
        reason: String,
    },
    /// All sessions have to go.
    Close {
        code: u16,
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_sorts_as_text_the_way_it_sorts_as_a_pair() {
        let epochs = [(1, 0), (1, 9), (1, 10), (2, 0), (10, 0), (999_999, 3)].map(|(fence, n)| Epoch { fence, n });
        for pair in epochs.windows(2) {
            assert!(pair[0] < pair[1]);
            assert!(pair[0].to_string() < pair[1].to_string());
        }
    }
}
