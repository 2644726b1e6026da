//! Where each video frame lies on the media timeline.

use super::{Gap, VideoConfig};
use crate::media::avc;
use crate::media::fmp4::init::VIDEO_TIMESCALE;
use crate::media::frame::{Codec, Frame, Kind, Role};
use crate::media::time::{ms_to_units, units_to_us, us_to_units_up};
use std::collections::VecDeque;

const UNITS_PER_MS: i64 = 90;
/// Duration of a first frame whose stream tells no frame rate.
const STEP_DEFAULT: i64 = 33 * UNITS_PER_MS;
/// The same at most, whatever its stream tells: what follows begins where it ends.
const STEP_DECLARED_MAX: i64 = 1_000 * UNITS_PER_MS;
/// Frames over which the frame rate is measured.
const FPS_WINDOW: usize = 60;

#[derive(Debug, Default)]
pub(super) struct Track {
    /// What the publisher last said, and what the last init says of it.
    newest: Option<VideoConfig>,
    declared: Option<Declared>,
    /// Of the media sent so far, over all publishes.
    sent: Option<Sent>,
    /// No frame of this publish lies before it.
    floor: i64,
    /// Frames left out since the last one sent.
    lost: u32,
    needs_key: bool,
    /// Decode times are this much later than the publisher's, so that the first frame is shown when it is decoded (F13).
    shift: i64,
    steps: Steps,
    /// The newest presentation time of this publish.
    shown: Option<i64>,
    reordering: bool,
    last_key: Option<i64>,
    gop: Option<i64>,
}

#[derive(Debug)]
struct Declared {
    /// As the publisher said it.
    original: VideoConfig,
    /// As the init says it.
    sent: VideoConfig,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    end: i64,
    presentation_end: i64,
    /// Whether a frame of this publish is among it.
    this_publish: bool,
}

pub(super) struct Placed {
    pub(super) start: u64,
    pub(super) duration: u32,
    pub(super) composition: i32,
    pub(super) gap: Option<Gap>,
}

impl Track {
    pub(super) fn start(&mut self, base_us: i64) {
        let sent = self.sent.map(|sent| Sent { this_publish: false, ..sent });
        *self = Self { sent, floor: us_to_units_up(base_us, VIDEO_TIMESCALE), needs_key: true, ..Self::default() };
    }

    pub(super) fn configure(&mut self, config: VideoConfig) {
        let known = self.declared.as_ref().is_some_and(|declared| declared.original == config);
        self.needs_key |= !known;
        self.newest = Some(config);
    }

    pub(super) fn configured(&self) -> bool {
        self.newest.is_some()
    }

    pub(super) fn declared(&self) -> Option<&VideoConfig> {
        self.declared.as_ref().map(|declared| &declared.sent)
    }

    /// Whether the next keyframe needs a new init.
    pub(super) fn stale(&self) -> bool {
        match (&self.declared, &self.newest) {
            (Some(declared), Some(newest)) => {
                let promise_broken = self.reordering && declared.sent.record != declared.original.record;
                declared.original != *newest || promise_broken
            }
            (None, newest) => newest.is_some(),
            (Some(_), None) => false,
        }
    }

    pub(super) fn needs_key(&self) -> bool {
        self.needs_key
    }

    /// A frame is missing: later ones can't be decoded up to the next keyframe (F6).
    pub(super) fn lose(&mut self) {
        self.lost += 1;
        self.needs_key = true;
    }

    /// Takes the newest configuration for the init that goes before `key`.
    pub(super) fn declare<'a>(&mut self, key: &Frame, ahead: impl Iterator<Item = &'a Frame>) {
        if !self.stale() {
            return;
        }
        let Some(original) = self.newest.clone() else { return };
        self.reordering |= key.composition_ms != 0 || ahead.into_iter().any(|frame| frame.composition_ms != 0);
        let mut sent = original.clone();
        if sent.codec == Codec::Avc
            && !self.reordering
            && let Some(record) = avc::without_reordering(&sent.record)
        {
            sent.record = record;
        }
        self.declared = Some(Declared { original, sent });
        self.shift = ms_to_units(i64::from(key.composition_ms), VIDEO_TIMESCALE);
    }

    /// The hole before a keyframe that can't follow seamlessly on what was sent.
    pub(super) fn gap_before(&mut self, time_ms: i64) -> Option<Gap> {
        let decode = ms_to_units(time_ms, VIDEO_TIMESCALE) + self.shift;
        let sent = self.sent.filter(|sent| self.lost > 0 || !sent.this_publish)?;
        let start = decode.max(self.floor);
        if start <= sent.end {
            return None;
        }
        self.sent = Some(Sent { end: start, this_publish: true, ..sent });
        let (from_us, to_us) = (units_to_us(sent.end, VIDEO_TIMESCALE), units_to_us(start, VIDEO_TIMESCALE));
        Some(Gap { kind: Kind::Video, from_us, to_us, frames: std::mem::take(&mut self.lost) })
    }

    /// Gives the frame its place; it starts where the one before ended, or behind a gap that is told (F8).
    pub(super) fn place(&mut self, frame: &Frame, time_ms: i64) -> Placed {
        let gap = self.gap_before(time_ms);
        let decode = ms_to_units(time_ms, VIDEO_TIMESCALE) + self.shift;
        let shown = self.presentation(frame, time_ms);
        let start = match self.sent {
            Some(sent) if sent.this_publish => sent.end,
            Some(sent) => decode.max(self.floor).max(sent.end),
            None => decode.max(self.floor),
        };
        let step = self.steps.push(time_ms * UNITS_PER_MS, self.declared().and_then(|config| config.fps));
        let end = (decode + step).max(start + 1);
        let presentation_end = shown + (end - start);
        self.sent = Some(Sent {
            end,
            presentation_end: self.sent.map_or(presentation_end, |sent| sent.presentation_end.max(presentation_end)),
            this_publish: true,
        });
        self.note(frame.role, time_ms * UNITS_PER_MS);
        Placed {
            start: start.unsigned_abs(),
            duration: u32::try_from(end - start).unwrap_or(u32::MAX),
            composition: (shown - start).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32,
            gap,
        }
    }

    /// Presentation time; two frames without reordering are never shown at once.
    fn presentation(&mut self, frame: &Frame, time_ms: i64) -> i64 {
        let mut shown = ms_to_units(time_ms + i64::from(frame.composition_ms), VIDEO_TIMESCALE).max(self.floor);
        if let Some(newest) = self.shown.filter(|&newest| shown <= newest) {
            self.reordering |= frame.composition_ms != 0 || self.shift != 0;
            if !self.reordering {
                shown = newest + UNITS_PER_MS;
            }
        }
        self.shown = self.shown.max(Some(shown));
        shown
    }

    fn note(&mut self, role: Role, decode: i64) {
        self.lost = 0;
        self.needs_key = false;
        if role == Role::Key {
            self.gop = self.last_key.map(|last| decode - last).filter(|&gop| gop > 0);
            self.last_key = Some(decode);
        }
    }

    pub(super) fn end_us(&self) -> i64 {
        let end = self.sent.map_or(0, |sent| sent.end.max(sent.presentation_end));
        units_to_us(end, VIDEO_TIMESCALE)
    }

    pub(super) fn decode_end_us(&self) -> i64 {
        self.sent.map_or(0, |sent| units_to_us(sent.end - self.shift, VIDEO_TIMESCALE))
    }

    pub(super) fn reordering(&self) -> bool {
        self.reordering
    }

    pub(super) fn fps(&self) -> Option<f64> {
        self.steps.fps()
    }

    pub(super) fn gop_s(&self) -> Option<f64> {
        self.gop.map(|gop| gop as f64 / f64::from(VIDEO_TIMESCALE))
    }
}

/// The distances between frames.
#[derive(Debug, Default)]
struct Steps {
    last: Option<i64>,
    step: Option<i64>,
    before: Option<i64>,
    window: VecDeque<i64>,
}

impl Steps {
    /// How long the frame at `decode` lasts, as far as the frames before it tell (F8): the last step, but no longer
    /// than the one before it, since a frame that comes late is bridged and one that comes early can't be.
    fn push(&mut self, decode: i64, fps: Option<f64>) -> i64 {
        if let Some(step) = self.last.map(|last| decode - last).filter(|&step| step > 0) {
            self.before = self.step.or(Some(step));
            self.step = Some(step);
        }
        self.last = Some(decode);
        self.window.push_back(decode);
        if self.window.len() > FPS_WINDOW {
            self.window.pop_front();
        }
        match self.step.min(self.before) {
            Some(step) => step,
            None => {
                let declared = fps.map_or(STEP_DEFAULT, |fps| (f64::from(VIDEO_TIMESCALE) / fps).round() as i64);
                declared.clamp(1, STEP_DECLARED_MAX)
            }
        }
    }

    fn fps(&self) -> Option<f64> {
        let span = self.window.back()? - self.window.front()?;
        let steps = (self.window.len() - 1) as f64;
        (span > 0).then(|| steps * f64::from(VIDEO_TIMESCALE) / span as f64)
    }
}
