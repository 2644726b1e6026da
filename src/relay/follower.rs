//! The follower's side of one relay, without its socket: messages in, packets for the stream out.

use crate::media::fmp4::read::{Label, read};
use crate::media::fragment::Gap;
use crate::relay::offset::Offset;
use crate::relay::protocol::{self, FollowerMessage, Malformed, OwnerMessage};
use crate::stream::packet::{Epoched, Framed, Packet, Phase, Snapshot};
use crate::stream::ws_frame::WsFrame;
use std::sync::Arc;
use std::time::Duration;

/// The owner is asked the time this often, which also tells that it lives.
pub const ASK_EVERY: Duration = Duration::from_secs(1);
/// An owner that says nothing for this long is given up: it hangs, or its host is gone.
pub const SILENT_MAX: Duration = Duration::from_secs(3);
/// Fragments that a snapshot may announce: minutes of frames and sound.
const SNAPSHOT_FRAGMENTS_MAX: usize = 100_000;

/// Why a relay is given up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("the owner has fence {got}, a newer publish with fence {known} is known")]
    Older { got: u64, known: u64 },
    #[error("the owner said nothing for {} s", SILENT_MAX.as_secs())]
    Silent,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("a snapshot of {0} fragments; at most {SNAPSHOT_FRAGMENTS_MAX} are allowed")]
    Snapshot(usize),
}

/// A snapshot whose fragments are still coming.
struct Burst {
    snapshot: Snapshot,
    left: usize,
    bytes: usize,
}

pub struct Follower {
    /// The newest publish that was heard of, here or over any relay.
    fence: u64,
    /// What is kept of a snapshot; an owner may keep more.
    backlog_bytes_max: usize,
    init: Option<Arc<Epoched>>,
    burst: Option<Burst>,
    offset: Offset,
    heard: Duration,
    asked: Option<Duration>,
}

impl Follower {
    pub fn new(fence: u64, backlog_bytes_max: usize, now: Duration) -> Self {
        Self { fence, backlog_bytes_max, init: None, burst: None, offset: Offset::default(), heard: now, asked: None }
    }

    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// `now_us` is Unix time of this node, as everywhere here.
    pub fn handle_text(&mut self, text: &[u8], now: Duration, now_us: i64) -> Result<Option<Packet>, Broken> {
        self.heard = now;
        match OwnerMessage::parse(text)? {
            OwnerMessage::Snapshot { fence, state, init, fragments, server_time_us } => {
                self.accept(fence)?;
                if fragments > SNAPSHOT_FRAGMENTS_MAX {
                    return Err(Broken::Snapshot(fragments));
                }
                let init = init.map(protocol::InitMessage::read).transpose()?;
                if let Some(init) = &init {
                    self.accept(init.epoch.fence)?;
                }
                self.init = init.clone();
                self.offset.assume(server_time_us, now_us);
                // An unknown state with something to see is some kind of live.
                let phase = protocol::phase(&state).unwrap_or(Phase::Live);
                let clock_ahead_us = self.offset.ahead_us();
                let snapshot =
                    Snapshot { phase, send_every_ms: None, init, backlog: Vec::new(), clock_ahead_us, fence };
                self.burst = Some(Burst { snapshot, left: fragments, bytes: 0 });
                Ok(self.finish_burst())
            }
            OwnerMessage::Init { init } => {
                let init = init.read()?;
                self.accept(init.epoch.fence)?;
                self.init = Some(init.clone());
                Ok(Some(Packet::Init(init)))
            }
            OwnerMessage::State { state } => Ok(protocol::phase(&state).map(Packet::Phase)),
            OwnerMessage::Gap { kind, from_us, to_us, frames } => {
                Ok(Some(Packet::Gap(Gap { kind: kind.into(), from_us, to_us, frames })))
            }
            OwnerMessage::Time { t0_us, server_time_us } => {
                let is_new = self.offset.measure(t0_us, server_time_us, now_us);
                Ok(is_new.then(|| Packet::Clock { ahead_us: self.offset.ahead_us() }))
            }
            OwnerMessage::Unknown => Ok(None),
        }
    }

    /// One fragment.
    pub fn handle_binary(&mut self, fragment: &[u8], now: Duration) -> Result<Option<Packet>, Broken> {
        self.heard = now;
        let label = read(fragment).map_err(Malformed::from)?;
        let framed = self.frame(&label, fragment)?;
        let Some(burst) = &mut self.burst else { return Ok(framed.map(Packet::Fragment)) };
        burst.left -= 1;
        burst.bytes += fragment.len();
        burst.snapshot.backlog.extend(framed);
        if burst.bytes > self.backlog_bytes_max {
            // A part of it would have a hole; viewers wait for the next keyframe.
            burst.snapshot.backlog = Vec::new();
        }
        Ok(self.finish_burst())
    }

    /// What to ask the owner now; an error where it has been silent for too long.
    pub fn poll_ask(&mut self, now: Duration, now_us: i64) -> Result<Option<FollowerMessage>, Broken> {
        if now.saturating_sub(self.heard) >= SILENT_MAX {
            return Err(Broken::Silent);
        }
        let is_due = self.asked.is_none_or(|asked| now.saturating_sub(asked) >= ASK_EVERY);
        if is_due {
            self.asked = Some(now);
        }
        Ok(is_due.then_some(FollowerMessage::Time { t0_us: now_us }))
    }

    fn accept(&mut self, fence: u64) -> Result<(), Broken> {
        if fence < self.fence {
            return Err(Broken::Older { got: fence, known: self.fence });
        }
        self.fence = fence;
        Ok(())
    }

    fn finish_burst(&mut self) -> Option<Packet> {
        self.burst.take_if(|burst| burst.left == 0).map(|burst| Packet::Snapshot(burst.snapshot))
    }

    /// None: no init came before it, so nobody could play it.
    fn frame(&self, label: &Label, fragment: &[u8]) -> Result<Option<Arc<Framed>>, Malformed> {
        let Some(init) = &self.init else { return Ok(None) };
        let track = init.tracks.iter().find(|track| track.id == label.track);
        let track = track.ok_or(Malformed::Track(label.track))?;
        let (start_us, end_us) = label.span_us(track.timescale);
        Ok(Some(Arc::new(Framed {
            epoch: init.epoch,
            kind: track.kind,
            role: label.role,
            start: label.start,
            end: label.start + u64::from(label.duration),
            start_us,
            end_us,
            ingest_us: label.ingest_us.saturating_sub(self.offset.ahead_us()),
            frame: WsFrame::binary_from(fragment),
        })))
    }
}

#[cfg(test)]
#[path = "follower_tests.rs"]
mod tests;
