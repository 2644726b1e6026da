//! Frames in, init segments and one-frame fragments out, on one media timeline that never goes back.

mod audio;
mod video;

use crate::media::error::Error;
use crate::media::fmp4::{self, Chunk, init};
use crate::media::fragment::{AUDIO_TRACK, Fragment, Gap, Output, VIDEO_TRACK};
use crate::media::frame::{AudioConfig, Config, Frame, Item, Kind, Role, VideoConfig};
use crate::media::time::{Timeline, units_to_us, us_to_ms_up};
use std::collections::VecDeque;

/// Bounds of what is kept while waiting for the second track; media comes in faster than real time from files.
const QUEUE_MAX_MS: i64 = 1_000;
const QUEUE_MAX_BYTES: usize = 2 * fmp4::FRAME_MAX_BYTES;
const QUEUE_MAX_FRAMES: usize = 1_024;

#[derive(Debug, Clone)]
pub struct Settings {
    /// How long to wait for a second track before starting with one (F10).
    pub second_track_wait_ms: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { second_track_wait_ms: 300 }
    }
}

/// What the media itself tells about a running publish.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Facts {
    /// Measured over the last frames.
    pub fps: Option<f64>,
    /// Between the last two keyframes.
    pub gop_s: Option<f64>,
    /// How far sound is ahead of the picture, as they arrive.
    pub skew_ms: Option<i64>,
    /// Whether frames are shown in another order than decoded (B frames).
    pub reordering: bool,
    pub silence_frames: u64,
    /// Frames of both kinds that came and could not be sent on.
    pub dropped_frames: u64,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Idle,
    /// Frames are kept until the second track comes (F10).
    Waiting(Vec<Arrival>),
    Live,
}

/// A frame on the publish's timeline.
#[derive(Debug)]
struct Arrival {
    frame: Frame,
    /// From the first timestamp of the publish.
    time_ms: i64,
    ingest_us: i64,
}

/// Cuts one stream's media into fragments, over all its publishes.
#[derive(Debug, Default)]
pub struct Fragmenter {
    settings: Settings,
    phase: Phase,
    timeline: Timeline,
    /// Media time at which the running publish begins.
    base_us: i64,
    /// Added to the timeline's milliseconds.
    origin_ms: i64,
    video: video::Track,
    audio: audio::Track,
    sequence: u32,
    dropped_frames: u64,
    outputs: VecDeque<Output>,
}

impl Fragmenter {
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Begins a publish at `start_us` of media time, or at the end of the one before if that is later (F7).
    pub fn start(&mut self, start_us: i64) {
        self.stop();
        self.base_us = start_us.max(self.end_us()).max(0);
        self.timeline = Timeline::default();
        self.video.start(self.base_us);
        self.audio.start(self.base_us);
        self.phase = Phase::Waiting(Vec::new());
    }

    /// Ends the publish; what waited comes out, what comes later is ignored until the next `start`.
    pub fn stop(&mut self) {
        if let Phase::Waiting(queue) = &self.phase
            && !queue.is_empty()
        {
            self.begin();
        }
        self.phase = Phase::Idle;
    }

    pub fn handle_item(&mut self, item: Item, now_unix_us: i64) -> Result<(), Error> {
        match item {
            Item::Config(Config::Video(config)) => {
                init::make(Some(&config), None)?;
                self.video.configure(config);
            }
            Item::Config(Config::Audio(config)) => {
                init::make(None, Some(&config))?;
                self.audio.configure(config)?;
            }
            Item::Frame(frame) => return self.handle_frame(frame, now_unix_us),
            // Encoders end a sequence before they send the next configuration, or before they leave.
            Item::End(_) => {}
        }
        Ok(())
    }

    /// To be called at [`Self::next_deadline`].
    pub fn handle_tick(&mut self, now_unix_us: i64) {
        if self.next_deadline().is_some_and(|deadline| now_unix_us >= deadline) {
            self.begin();
        }
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Unix time at which waiting for a second track ends.
    pub fn next_deadline(&self) -> Option<i64> {
        match &self.phase {
            Phase::Waiting(queue) => {
                queue.first().map(|first| first.ingest_us + i64::from(self.settings.second_track_wait_ms) * 1000)
            }
            Phase::Idle | Phase::Live => None,
        }
    }

    /// Media time behind everything sent so far.
    pub fn end_us(&self) -> i64 {
        self.video.end_us().max(self.audio.end_us())
    }

    pub fn facts(&self) -> Facts {
        let both = self.video.declared().is_some() && self.audio.declared().is_some();
        Facts {
            fps: self.video.fps(),
            gop_s: self.video.gop_s(),
            skew_ms: both.then(|| (self.audio.end_us() - self.video.decode_end_us()) / 1000),
            reordering: self.video.reordering(),
            silence_frames: self.audio.silence_frames(),
            dropped_frames: self.dropped_frames,
        }
    }

    fn handle_frame(&mut self, frame: Frame, now_unix_us: i64) -> Result<(), Error> {
        if let Phase::Idle = self.phase {
            return Ok(());
        }
        let configured = match frame.kind {
            Kind::Video => self.video.configured(),
            Kind::Audio => self.audio.configured(),
        };
        let usable = fmp4::check_frame_size(frame.data.len());
        if !configured || frame.data.is_empty() || usable.is_err() {
            self.lose(frame.kind);
            return if configured { usable } else { Err(Error::NoConfig { kind: frame.kind }) };
        }
        let time_ms = self.timeline.time_ms(frame.kind, frame.timestamp_ms);
        let arrival = Arrival { frame, time_ms, ingest_us: now_unix_us };
        match &mut self.phase {
            Phase::Waiting(queue) => {
                if !wait(queue, arrival) {
                    self.dropped_frames += 1;
                }
                if self.waited_enough(now_unix_us) {
                    self.begin();
                }
            }
            _ => self.send(&arrival),
        }
        Ok(())
    }

    fn lose(&mut self, kind: Kind) {
        self.dropped_frames += 1;
        if kind == Kind::Video {
            self.video.lose();
        }
    }

    fn waited_enough(&self, now_unix_us: i64) -> bool {
        let Phase::Waiting(queue) = &self.phase else { return false };
        let has = |kind| queue.iter().any(|arrival| arrival.frame.kind == kind);
        let (Some(first), Some(last)) = (queue.first(), queue.last()) else { return false };
        (has(Kind::Video) && has(Kind::Audio))
            || self.next_deadline().is_some_and(|deadline| now_unix_us >= deadline)
            || last.time_ms - first.time_ms > QUEUE_MAX_MS
            || queue.len() >= QUEUE_MAX_FRAMES
            || queue.iter().map(|arrival| arrival.frame.data.len()).sum::<usize>() >= QUEUE_MAX_BYTES
    }

    /// Goes live with the tracks that have data.
    fn begin(&mut self) {
        let Phase::Waiting(queue) = std::mem::replace(&mut self.phase, Phase::Live) else { return };
        let first_ms = queue.iter().map(|arrival| arrival.time_ms).min().unwrap_or(0);
        self.origin_ms = us_to_ms_up(self.base_us) - first_ms;
        self.audio.set_data(queue.iter().any(|arrival| arrival.frame.kind == Kind::Audio));
        match queue.iter().position(|arrival| arrival.frame.kind == Kind::Video) {
            Some(at) => self.announce(&queue[at..]),
            None => self.announce(&[]),
        }
        for arrival in &queue {
            self.send(arrival);
        }
    }

    fn send(&mut self, arrival: &Arrival) {
        match arrival.frame.kind {
            Kind::Video => self.send_video(arrival),
            Kind::Audio => self.send_audio(arrival),
        }
    }

    /// Each frame at once (F3), the first one after an init a keyframe (F5).
    fn send_video(&mut self, arrival: &Arrival) {
        let key = arrival.frame.role == Role::Key;
        if !key && self.video.needs_key() {
            self.lose(Kind::Video);
            return;
        }
        if key && (self.video.stale() || self.audio.stale()) {
            self.announce(std::slice::from_ref(arrival));
        }
        let placed = self.video.place(&arrival.frame, self.origin_ms + arrival.time_ms);
        if let Some(gap) = placed.gap {
            self.outputs.push_back(Output::Gap(gap));
        }
        self.fill_with_silence(arrival.ingest_us, self.origin_ms + arrival.time_ms);
        self.push(
            Chunk {
                kind: Kind::Video,
                track: VIDEO_TRACK,
                sequence: 0,
                role: arrival.frame.role,
                start: placed.start,
                duration: placed.duration,
                composition: placed.composition,
                ingest_us: arrival.ingest_us,
                data: &arrival.frame.data,
            },
            init::VIDEO_TIMESCALE,
        );
    }

    fn send_audio(&mut self, arrival: &Arrival) {
        self.audio.set_data(true);
        if self.audio.stale() {
            if self.video.declared().is_some() {
                // A new init must be followed by a keyframe, so it waits for one; silence bridges until then.
                self.dropped_frames += 1;
                return;
            }
            self.announce(&[]);
        }
        let placed = self.audio.place(&arrival.frame.data, self.origin_ms + arrival.time_ms, arrival.ingest_us);
        if let Some(gap) = placed.gap {
            self.outputs.push_back(Output::Gap(gap));
        }
        for _ in 0..placed.silence {
            self.push_silence(arrival.ingest_us);
        }
        match self.audio.take(placed) {
            Some((start, duration)) => self.push_audio(start, duration, arrival.ingest_us, &arrival.frame.data),
            None => self.dropped_frames += 1,
        }
    }

    /// Keeps a track of sound that stopped from stopping the picture (F10).
    fn fill_with_silence(&mut self, now_unix_us: i64, until_ms: i64) {
        for _ in 0..self.audio.missing(now_unix_us, until_ms) {
            self.push_silence(now_unix_us);
        }
    }

    fn push_silence(&mut self, ingest_us: i64) {
        if let Some((data, start, duration)) = self.audio.take_silence() {
            self.push_audio(start, duration, ingest_us, &data);
        }
    }

    fn push_audio(&mut self, start: u64, duration: u32, ingest_us: i64, data: &[u8]) {
        let chunk = Chunk {
            kind: Kind::Audio,
            track: AUDIO_TRACK,
            sequence: 0,
            role: Role::Key,
            start,
            duration,
            composition: 0,
            ingest_us,
            data,
        };
        self.push(chunk, self.audio.timescale());
    }

    fn push(&mut self, chunk: Chunk<'_>, timescale: u32) {
        self.sequence = self.sequence.wrapping_add(1);
        let buffer = fmp4::write(&Chunk { sequence: self.sequence, ..chunk });
        self.outputs.push_back(Output::Fragment(Fragment {
            kind: chunk.kind,
            role: chunk.role,
            start: chunk.start,
            duration: chunk.duration,
            start_us: units_to_us(chunk.start as i64, timescale),
            end_us: units_to_us(chunk.start as i64 + i64::from(chunk.duration), timescale),
            ingest_us: chunk.ingest_us,
            buffer,
        }));
    }

    /// A new init of the tracks that have data, in their newest configuration (F10, F11).
    ///
    /// `ahead` begins with the keyframe that follows, if video does.
    fn announce(&mut self, ahead: &[Arrival]) {
        let mut gap = None;
        if let Some(key) = ahead.first() {
            let frames = ahead.iter().map(|arrival| &arrival.frame).filter(|frame| frame.kind == Kind::Video);
            self.video.declare(&key.frame, frames);
            gap = self.video.gap_before(self.origin_ms + key.time_ms);
        }
        self.audio.declare();
        let init = init::make(self.video.declared(), self.audio.declared());
        self.outputs.extend(gap.map(Output::Gap));
        // Each configuration was tried when it came.
        self.outputs.extend(init.map(Output::Init));
    }
}

/// Keeps a frame for later; video only from a keyframe on (F5).
fn wait(queue: &mut Vec<Arrival>, arrival: Arrival) -> bool {
    let video = |arrival: &Arrival| arrival.frame.kind == Kind::Video;
    let useless = video(&arrival) && arrival.frame.role != Role::Key && !queue.iter().any(video);
    if !useless {
        queue.push(arrival);
    }
    !useless
}

#[cfg(test)]
mod tests;
