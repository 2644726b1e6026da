//! A stream whose publisher is on another node: it passes on what its owner sends, and nothing older than what it has.

use crate::media::frame::Kind;
use crate::stream::packet::{Epoch, Epoched, Framed, Packet, Phase, Snapshot};
use crate::stream::state::State;
use std::sync::Arc;

/// How an owner's init stands to what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Older,
    Same,
    Newer,
}

impl State {
    /// Takes what the stream's owner sent; all of it is left out while there is a publisher here.
    pub fn handle_feed(&mut self, packet: Packet, now_us: i64) -> Vec<Packet> {
        if self.current.is_some() {
            return Vec::new();
        }
        self.is_fed = true;
        match packet {
            Packet::Snapshot(snapshot) => self.adopt(snapshot, now_us),
            Packet::Init(init) => match self.take_init(&init, now_us) {
                Order::Newer => {
                    self.backlog.restart();
                    vec![Packet::Init(init)]
                }
                Order::Same | Order::Older => Vec::new(),
            },
            Packet::Fragment(fragment) => self.pass(fragment, now_us),
            Packet::Gap(gap) => self.init.iter().map(|_| Packet::Gap(gap)).collect(),
            Packet::Phase(phase) => self.follow_phase(phase, now_us).into_iter().collect(),
            Packet::Clock { ahead_us } => {
                self.clock_ahead_us = ahead_us;
                vec![packet]
            }
            // Settings and orders are each node's own.
            Packet::SendEvery(_) | Packet::Kick { .. } | Packet::Close { .. } => Vec::new(),
        }
    }

    /// The owner's present, at the start of a relay or after it was too slow: subscribers are told what they miss of it.
    fn adopt(&mut self, snapshot: Snapshot, now_us: i64) -> Vec<Packet> {
        self.clock_ahead_us = snapshot.clock_ahead_us;
        let Some(init) = &snapshot.init else {
            let phase = self.follow_phase(snapshot.phase, now_us);
            return phase.into_iter().chain([Packet::Clock { ahead_us: self.clock_ahead_us }]).collect();
        };
        let order = self.take_init(init, now_us);
        if order == Order::Older {
            return Vec::new();
        }
        let key = snapshot.backlog.iter().find(|f| f.kind == Kind::Video);
        let video_edge = *self.edges.of(Kind::Video);
        // Of another publish it may lie before what was delivered; of the same one it is what new viewers start with.
        let is_whole = order == Order::Same || key.is_none_or(|key| video_edge.is_none_or(|edge| key.start_us >= edge));
        self.needs_key = self.has_video();
        self.backlog.restart();
        for fragment in snapshot.backlog.iter().filter(|f| f.epoch == init.epoch) {
            let is_new = self.edges.of(fragment.kind).is_none_or(|edge| fragment.start_us >= edge);
            let is_kept = match fragment.kind {
                Kind::Video => is_whole && (fragment.is_video_key() || !self.needs_key),
                Kind::Audio => is_new || order == Order::Same,
            };
            if is_kept {
                self.needs_key &= fragment.kind != Kind::Video;
                self.keep(fragment.clone());
            }
        }
        // Subscribers hear it from the snapshot.
        let _told = self.follow_phase(snapshot.phase, now_us);
        vec![Packet::Snapshot(self.snapshot())]
    }

    fn take_init(&mut self, init: &Arc<Epoched>, now_us: i64) -> Order {
        let Epoch { fence, n } = init.epoch;
        let next = Epoch { fence, n: n.saturating_add(1) };
        if next < self.epoch {
            return Order::Older;
        }
        if self.init.as_ref().is_some_and(|old| old.epoch == init.epoch) {
            return Order::Same;
        }
        self.epoch = next;
        self.init = Some(init.clone());
        self.needs_key = self.has_video();
        self.meter.restart(now_us);
        Order::Newer
    }

    fn pass(&mut self, fragment: Arc<Framed>, now_us: i64) -> Vec<Packet> {
        let is_present = self.init.as_ref().is_some_and(|init| init.epoch == fragment.epoch);
        let is_new = self.edges.of(fragment.kind).is_none_or(|edge| fragment.start_us >= edge);
        let is_startable = fragment.kind == Kind::Audio || !self.needs_key || fragment.is_video_key();
        if !is_present || !is_new || !is_startable {
            return Vec::new();
        }
        self.needs_key &= fragment.kind != Kind::Video;
        self.keep(fragment.clone());
        let live = self.enter(Phase::Live, now_us);
        live.into_iter().chain([Packet::Fragment(fragment)]).collect()
    }

    fn keep(&mut self, fragment: Arc<Framed>) {
        let edge = self.edges.of(fragment.kind);
        *edge = Some(edge.map_or(fragment.end_us, |edge| edge.max(fragment.end_us)));
        self.meter.add(&fragment);
        self.backlog.push(fragment);
    }

    /// When a stream ends is for each node to say: the window is the same, and the owner may be gone.
    fn follow_phase(&mut self, phase: Phase, now_us: i64) -> Option<Packet> {
        match phase {
            Phase::Live | Phase::Stalled if self.init.is_some() => self.enter(phase, now_us),
            Phase::Live | Phase::Stalled => None,
            Phase::Waiting | Phase::Interrupted | Phase::Ended => {
                let was_live = matches!(self.phase, Phase::Live | Phase::Stalled);
                if !was_live {
                    return None;
                }
                self.backlog.restart();
                self.enter(Phase::Interrupted, now_us)
            }
        }
    }

    fn has_video(&self) -> bool {
        self.init.as_ref().is_some_and(|init| init.tracks.iter().any(|track| track.kind == Kind::Video))
    }
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
