//! Bit rates over the last second, and how late the media comes.

use crate::media::frame::Kind;
use crate::stream::lateness::Lateness;
use crate::stream::packet::Framed;

const WINDOW_US: i64 = 1_000_000;

#[derive(Debug, Default)]
pub struct Meter {
    window_start_us: i64,
    video_bytes: u64,
    audio_bytes: u64,
    pub video_bps: u64,
    pub audio_bps: u64,
    pub lateness: Lateness,
}

impl Meter {
    pub fn add(&mut self, fragment: &Framed) {
        self.lateness.add(fragment.ingest_us, fragment.end_us);
        match fragment.kind {
            Kind::Video => self.video_bytes += fragment.len_bytes() as u64,
            Kind::Audio => self.audio_bytes += fragment.len_bytes() as u64,
        }
    }

    /// Closes the window when it is over; true when the rates are new.
    pub fn poll(&mut self, now_us: i64) -> bool {
        let span_us = now_us - self.window_start_us;
        if span_us < WINDOW_US {
            return false;
        }
        let per_second = |bytes: u64| (bytes as f64 * 8e6 / span_us as f64) as u64;
        self.video_bps = per_second(self.video_bytes);
        self.audio_bps = per_second(self.audio_bytes);
        self.video_bytes = 0;
        self.audio_bytes = 0;
        self.window_start_us = now_us;
        true
    }

    /// A new publish: what was measured belongs to the old one.
    pub fn restart(&mut self, now_us: i64) {
        *self = Self { window_start_us: now_us, ..Self::default() };
    }
}
