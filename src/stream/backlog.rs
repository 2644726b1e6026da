//! The newest GOP, so that a viewer starts at once: bounded in bytes and in time.

use crate::media::frame::Kind;
use crate::stream::inside::Held;
use crate::stream::packet::Framed;
use std::collections::VecDeque;
use std::sync::Arc;

/// Sound is kept for this long where there is no picture to start from.
const SOUND_ONLY_US: i64 = 1_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub bytes: usize,
    pub span_us: i64,
}

/// Fragments from a keyframe on, in the order in which they were sent.
#[derive(Debug)]
pub struct Backlog {
    bounds: Bounds,
    fragments: VecDeque<Arc<Framed>>,
    bytes: usize,
    shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// No picture so far in this epoch.
    Sound,
    /// Starts at a keyframe.
    Gop,
    /// The GOP outgrew the bounds: nothing is kept until the next keyframe.
    Outgrown,
}

impl Backlog {
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, fragments: VecDeque::new(), bytes: 0, shape: Shape::Sound }
    }

    pub fn push(&mut self, fragment: Arc<Framed>) {
        if fragment.is_video_key() {
            self.start_gop(fragment.start_us);
        } else if self.shape == Shape::Outgrown {
            return;
        }
        self.bytes += fragment.len_bytes();
        let newest_us = fragment.end_us;
        self.fragments.push_back(fragment);
        match self.shape {
            Shape::Sound => self.trim(newest_us - SOUND_ONLY_US.min(self.bounds.span_us)),
            Shape::Gop if self.is_over(newest_us) => {
                self.clear();
                self.shape = Shape::Outgrown;
            }
            Shape::Gop | Shape::Outgrown => {}
        }
    }

    /// Forgets everything: what comes next belongs to another init.
    pub fn restart(&mut self) {
        self.clear();
        self.shape = Shape::Sound;
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Framed>> {
        self.fragments.iter()
    }

    pub fn to_vec(&self) -> Vec<Arc<Framed>> {
        self.fragments.iter().cloned().collect()
    }

    pub fn is_empty(&self) -> bool {
        self.fragments.is_empty()
    }

    pub fn len_bytes(&self) -> usize {
        self.bytes
    }

    pub fn held(&self) -> Held {
        Held {
            groups: self.fragments.iter().filter(|fragment| fragment.is_video_key()).count(),
            fragments: self.fragments.len(),
            bytes: self.bytes,
            from_us: self.fragments.iter().map(|fragment| fragment.start_us).min(),
            to_us: self.fragments.iter().map(|fragment| fragment.end_us).max(),
        }
    }

    /// Keeps the sound that is heard with the new keyframe, drops the rest.
    fn start_gop(&mut self, start_us: i64) {
        self.shape = Shape::Gop;
        self.fragments.retain(|f| f.kind == Kind::Audio && f.end_us > start_us);
        self.bytes = self.fragments.iter().map(|f| f.len_bytes()).sum();
    }

    fn trim(&mut self, from_us: i64) {
        while let Some(oldest) = self.fragments.front()
            && (oldest.end_us < from_us || self.bytes > self.bounds.bytes)
        {
            self.bytes -= oldest.len_bytes();
            self.fragments.pop_front();
        }
    }

    fn is_over(&self, newest_us: i64) -> bool {
        let oldest_us = self.fragments.front().map_or(newest_us, |f| f.start_us);
        self.bytes > self.bounds.bytes || newest_us - oldest_us > self.bounds.span_us
    }

    fn clear(&mut self) {
        self.fragments.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::frame::Role;
    use crate::stream::packet::Epoch;
    use crate::stream::ws_frame::WsFrame;

    const BOUNDS: Bounds = Bounds { bytes: 10_000, span_us: 5_000_000 };

    fn framed(kind: Kind, role: Role, start_ms: i64, bytes: usize) -> Arc<Framed> {
        Arc::new(Framed {
            epoch: Epoch::default(),
            kind,
            role,
            start: 0,
            end: 0,
            start_us: start_ms * 1000,
            end_us: start_ms * 1000 + 40_000,
            ingest_us: 0,
            frame: WsFrame::binary_from(&vec![0; bytes]),
        })
    }

    fn starts(backlog: &Backlog) -> Vec<i64> {
        backlog.iter().map(|f| f.start_us / 1000).collect()
    }

    #[test]
    fn late_viewer_starts_at_last_keyframe() {
        let mut backlog = Backlog::new(BOUNDS);
        for (role, at) in [(Role::Key, 0), (Role::Reference, 40), (Role::Key, 80), (Role::Reference, 120)] {
            backlog.push(framed(Kind::Video, role, at, 100));
        }
        assert_eq!(starts(&backlog), [80, 120]);
    }

    #[test]
    fn sound_that_is_heard_with_the_keyframe_is_kept() {
        let mut backlog = Backlog::new(BOUNDS);
        backlog.push(framed(Kind::Video, Role::Key, 0, 100));
        backlog.push(framed(Kind::Audio, Role::Key, 20, 10));
        backlog.push(framed(Kind::Audio, Role::Key, 90, 10));
        backlog.push(framed(Kind::Video, Role::Key, 80, 100));
        assert_eq!(starts(&backlog), [90, 80]);
        let held =
            Held { groups: 1, fragments: 2, bytes: backlog.len_bytes(), from_us: Some(80_000), to_us: Some(130_000) };
        assert_eq!(backlog.held(), held);
    }

    #[test]
    fn a_gop_that_outgrows_a_bound_is_let_go_until_the_next_keyframe() {
        for (bytes, step_ms) in [(2000, 40), (10, 2000)] {
            let mut backlog = Backlog::new(BOUNDS);
            backlog.push(framed(Kind::Video, Role::Key, 0, bytes));
            for i in 1..10 {
                backlog.push(framed(Kind::Video, Role::Reference, i * step_ms, bytes));
                assert!(backlog.len_bytes() <= BOUNDS.bytes);
            }
            assert!(backlog.is_empty());
            backlog.push(framed(Kind::Video, Role::Key, 30_000, bytes));
            assert_eq!(starts(&backlog), [30_000]);
        }
    }

    #[test]
    fn sound_alone_keeps_its_last_second() {
        let mut backlog = Backlog::new(BOUNDS);
        for i in 0..100 {
            backlog.push(framed(Kind::Audio, Role::Key, i * 40, 10));
        }
        let kept = starts(&backlog);
        assert_eq!(kept.last(), Some(&3960));
        assert!((24..=27).contains(&kept.len()), "{}", kept.len());
    }
}
