//! The holes in what one viewer is sent, a track each.

use crate::media::fragment::Gap;
use crate::media::frame::Kind;
use crate::stream::packet::Framed;

/// What a viewer was not sent since it got the last of a track.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Holes {
    pub(super) video: Option<Gap>,
    pub(super) audio: Option<Gap>,
    /// Disposable frames left out, which the next picture bridges if it is queued.
    pub(super) bridgeable: Option<Gap>,
}

impl Holes {
    pub(super) fn of(&mut self, kind: Kind) -> &mut Option<Gap> {
        match kind {
            Kind::Video => &mut self.video,
            Kind::Audio => &mut self.audio,
        }
    }

    pub(super) fn widen(&mut self, part: &Framed) {
        if part.kind == Kind::Video {
            self.break_bridge();
        }
        self.merge(&hole_of(part));
    }

    pub(super) fn skip_disposable(&mut self, part: &Framed) {
        let skipped = self.bridgeable.get_or_insert_with(|| Gap { frames: 0, ..hole_of(part) });
        skipped.to_us = part.end_us;
        skipped.frames += 1;
    }

    pub(super) fn break_bridge(&mut self) {
        if let Some(skipped) = self.bridgeable.take() {
            self.merge(&skipped);
        }
    }

    /// Adds holes that come after these.
    pub(super) fn append(&mut self, later: Self) {
        for gap in [later.video, later.audio].into_iter().flatten() {
            self.merge(&gap);
        }
        match later.bridgeable {
            Some(skipped) if self.video.is_some() => self.merge(&skipped),
            skipped => self.bridgeable = skipped,
        }
    }

    pub(super) fn merge(&mut self, gap: &Gap) {
        match self.of(gap.kind) {
            Some(hole) => {
                hole.from_us = hole.from_us.min(gap.from_us);
                hole.to_us = hole.to_us.max(gap.to_us);
                hole.frames += gap.frames;
            }
            hole => *hole = Some(*gap),
        }
    }
}

fn hole_of(part: &Framed) -> Gap {
    Gap { kind: part.kind, from_us: part.start_us, to_us: part.end_us, frames: 1 }
}
