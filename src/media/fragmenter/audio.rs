//! Where each frame of sound lies: samples are counted, timestamps only correct the count.

use super::{AudioConfig, Gap};
use crate::media::error::Error;
use crate::media::frame::{Codec, Kind};
use crate::media::time::{ms_to_units, units_to_us, us_to_units_up};
use crate::media::{aac, flac, mp3, opus};
use bytes::Bytes;

/// How far the count may be from the timestamps, which are milliseconds from clocks of all kinds.
const DRIFT_MAX_MS: i64 = 60;
/// The longest hole that is filled in one go.
const FILL_MAX_MS: i64 = 3_000;
/// Sound that has not come for so long, while the picture went on, is taken to have stopped.
const STOPPED_AFTER_US: i64 = 300_000;
/// How far silence stays behind the picture, so that sound that comes back finds its place.
const SILENCE_LAG_MS: i64 = 100;

#[derive(Debug, Default)]
pub(super) struct Track {
    newest: Option<Coder>,
    declared: Option<Coder>,
    /// Frames came in the newest configuration (F10).
    has_data: bool,
    /// Behind the last sample sent, in units of `timescale`, over all publishes.
    end: Option<i64>,
    /// The same before the timescale changed: each change rounds up, and several must not add up.
    end_before: Option<(i64, u32)>,
    this_publish: bool,
    timescale: u32,
    base_us: i64,
    /// The count is ahead by more than allowed, and frames are left out until it is not.
    ahead: bool,
    last_arrival_us: i64,
    /// It stopped, and there is no silence to put in its place: the next init goes without it.
    lapsed: bool,
    silence_frames: u64,
}

/// A codec as far as time is concerned.
#[derive(Debug, Clone, PartialEq)]
struct Coder {
    config: AudioConfig,
    frame: Frames,
    silence: Option<Bytes>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Frames {
    Fixed(u32),
    Opus,
    Flac,
    Mp3,
}

impl Coder {
    fn new(config: AudioConfig) -> Result<Self, Error> {
        let (frame, silence) = match config.codec {
            Codec::Aac => {
                let specific = aac::Specific::parse(&config.record)?;
                (Frames::Fixed(specific.frame_samples()), specific.silence())
            }
            Codec::Opus => (Frames::Opus, opus::silence(config.channels)),
            Codec::Flac => (Frames::Flac, None),
            Codec::Mp3 => (Frames::Mp3, None),
            codec => return Err(Error::Init(format!("{codec:?} is no audio codec"))),
        };
        Ok(Self { config, frame, silence })
    }

    fn samples(&self, data: &[u8]) -> u32 {
        const USUAL: u32 = 1024;
        match self.frame {
            Frames::Fixed(samples) => samples,
            Frames::Opus => opus::packet_samples(data).unwrap_or(USUAL),
            Frames::Flac => flac::frame_samples(data).unwrap_or(USUAL),
            Frames::Mp3 => mp3::frame_samples(data).unwrap_or(USUAL),
        }
    }

    fn silence_samples(&self) -> u32 {
        self.silence.as_ref().map_or(0, |silence| self.samples(silence))
    }
}

/// What to do with a frame that came.
pub(super) struct Placed {
    pub(super) gap: Option<Gap>,
    /// Frames of silence to put before it.
    pub(super) silence: u32,
    /// Its duration, or `None` where its time has gone.
    duration: Option<u32>,
}

impl Track {
    pub(super) fn start(&mut self, base_us: i64) {
        *self = Self {
            end: self.end,
            end_before: self.end_before,
            timescale: self.timescale,
            base_us,
            silence_frames: self.silence_frames,
            ..Self::default()
        };
    }

    pub(super) fn configure(&mut self, config: AudioConfig) -> Result<(), Error> {
        if self.newest.as_ref().is_none_or(|newest| newest.config != config) {
            self.newest = Some(Coder::new(config)?);
            self.has_data = false;
        }
        Ok(())
    }

    pub(super) fn configured(&self) -> bool {
        self.newest.is_some()
    }

    pub(super) fn set_data(&mut self, has_data: bool) {
        self.has_data = has_data;
    }

    pub(super) fn declared(&self) -> Option<&AudioConfig> {
        self.declared.as_ref().map(|coder| &coder.config)
    }

    /// Whether frames came that need a new init.
    pub(super) fn stale(&self) -> bool {
        self.lapsed || (self.has_data && self.declared != self.newest)
    }

    pub(super) fn declare(&mut self) {
        if !self.stale() {
            return;
        }
        if std::mem::take(&mut self.lapsed) {
            (self.declared, self.has_data) = (None, false);
            return;
        }
        let Some(coder) = self.newest.clone() else { return };
        let timescale = coder.config.sample_rate;
        if timescale != self.timescale {
            self.end_before = self.end_before.or(self.end.map(|end| (end, self.timescale)));
            self.end = self.end_before.map(|(end, before)| us_to_units_up(units_to_us(end, before), timescale));
            self.timescale = timescale;
        }
        self.declared = Some(coder);
    }

    pub(super) fn timescale(&self) -> u32 {
        self.timescale
    }

    pub(super) fn place(&mut self, data: &[u8], time_ms: i64, now_unix_us: i64) -> Placed {
        let mut placed = Placed { gap: None, silence: 0, duration: None };
        let Some(coder) = &self.declared else { return placed };
        self.last_arrival_us = now_unix_us;
        self.lapsed = false;
        let samples = i64::from(coder.samples(data));
        let actual = ms_to_units(time_ms, self.timescale);
        let expected = match self.end {
            Some(end) if self.this_publish => end,
            end => {
                placed.gap = self.begin(end, actual);
                self.end.unwrap_or(actual)
            }
        };
        let off = actual - expected;
        let allowed = ms_to_units(DRIFT_MAX_MS, self.timescale).max(2 * samples);
        if off > ms_to_units(FILL_MAX_MS, self.timescale) {
            placed.gap = Some(self.gap(expected, actual));
            self.set_end(actual);
        } else if off > allowed {
            (placed.silence, placed.duration) = self.fill(off, samples);
            return placed;
        } else if off < -allowed || (self.ahead && off <= -samples) {
            self.ahead = true;
            return placed;
        }
        self.ahead = false;
        placed.duration = Some(samples as u32);
        placed
    }

    /// The first frame of a publish lies where its timestamp says, and not before the base.
    fn begin(&mut self, end: Option<i64>, actual: i64) -> Option<Gap> {
        let start = actual.max(us_to_units_up(self.base_us, self.timescale)).max(end.unwrap_or(0));
        self.this_publish = true;
        self.set_end(start);
        end.filter(|&end| end < start).map(|end| self.gap(end, start))
    }

    fn gap(&self, from: i64, to: i64) -> Gap {
        let (from_us, to_us) = (units_to_us(from, self.timescale), units_to_us(to, self.timescale));
        Gap { kind: Kind::Audio, from_us, to_us, frames: 0 }
    }

    /// Silence for a hole, or a longer frame where the codec has no silence that we can write.
    fn fill(&self, hole: i64, samples: i64) -> (u32, Option<u32>) {
        let silence = self.declared.as_ref().map_or(0, Coder::silence_samples);
        match u32::try_from(hole).unwrap_or(0).checked_div(silence) {
            Some(frames) => (frames, Some(samples as u32)),
            None => (0, Some((samples + hole) as u32)),
        }
    }

    /// Start and duration of a frame that was placed.
    pub(super) fn take(&mut self, placed: Placed) -> Option<(u64, u32)> {
        placed.duration.map(|duration| self.advance(duration))
    }

    /// Frames of silence that the picture at `until_ms` is waiting for.
    pub(super) fn missing(&mut self, now_unix_us: i64, until_ms: i64) -> u32 {
        let (Some(coder), Some(end), true) = (&self.declared, self.end, self.this_publish) else { return 0 };
        if now_unix_us - self.last_arrival_us < STOPPED_AFTER_US {
            return 0;
        }
        let samples = i64::from(coder.silence_samples());
        let hole = ms_to_units(until_ms - SILENCE_LAG_MS, self.timescale) - end;
        self.lapsed = samples == 0 && hole > 0;
        if samples == 0 || hole < samples {
            return 0;
        }
        let most = ms_to_units(FILL_MAX_MS, self.timescale) / samples;
        (hole / samples).min(most) as u32
    }

    pub(super) fn take_silence(&mut self) -> Option<(Bytes, u64, u32)> {
        let coder = self.declared.as_ref()?;
        let (data, samples) = (coder.silence.clone()?, coder.silence_samples());
        self.silence_frames += 1;
        let (start, duration) = self.advance(samples);
        Some((data, start, duration))
    }

    fn advance(&mut self, samples: u32) -> (u64, u32) {
        let start = self.end.unwrap_or(0);
        self.set_end(start + i64::from(samples));
        (start.unsigned_abs(), samples)
    }

    fn set_end(&mut self, end: i64) {
        (self.end, self.end_before) = (Some(end), None);
    }

    pub(super) fn end_us(&self) -> i64 {
        self.end.map_or(0, |end| units_to_us(end, self.timescale))
    }

    pub(super) fn silence_frames(&self) -> u64 {
        self.silence_frames
    }
}
