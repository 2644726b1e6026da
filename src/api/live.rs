//! How a stream runs, as its tenant sees it.

use super::show::time;
use crate::stream::status::Live;
use serde::Serialize;

/// Past this, a viewer waits noticeably for a picture, and encoders can do better.
const GOP_SLOW_S: f64 = 4.0;

#[derive(Debug, Serialize)]
pub(super) struct LiveView {
    /// `waiting`, `live`, `stalled`, `interrupted` or `ended`.
    pub(super) state: &'static str,
    /// The node that its publisher is connected to.
    node: Option<String>,
    /// Since when it is in this state.
    since: Option<String>,
    viewers: usize,
    video: Option<Video>,
    audio: Option<Audio>,
    /// Video and audio, bits per second.
    bitrate: u64,
    fps: Option<f64>,
    /// Seconds between keyframes.
    gop_s: Option<f64>,
    warnings: Vec<Warning>,
}

#[derive(Debug, Serialize)]
struct Video {
    codec: String,
    width: Option<u16>,
    height: Option<u16>,
    bitrate: u64,
}

#[derive(Debug, Serialize)]
struct Audio {
    codec: String,
    sample_rate: Option<u32>,
    channels: Option<u8>,
    bitrate: u64,
}

#[derive(Debug, PartialEq, Serialize)]
struct Warning {
    code: &'static str,
    message: String,
}

impl LiveView {
    /// Of a stream that does not run here.
    pub(super) fn waiting() -> Self {
        Self {
            state: "waiting",
            node: None,
            since: None,
            viewers: 0,
            video: None,
            audio: None,
            bitrate: 0,
            fps: None,
            gop_s: None,
            warnings: Vec::new(),
        }
    }

    pub(super) fn of(live: &Live, node: &str) -> Self {
        let video = live.tracks.iter().find(|track| track.width.is_some());
        let audio = live.tracks.iter().find(|track| track.sample_rate.is_some());
        let state = live.phase.as_str();
        let published = matches!(state, "live" | "stalled");
        Self {
            state,
            node: published.then(|| node.to_owned()),
            since: Some(time(live.since_us)),
            viewers: live.viewers,
            video: video.map(|track| Video {
                codec: track.codec.clone(),
                width: track.width,
                height: track.height,
                bitrate: live.video_bps,
            }),
            audio: audio.map(|track| Audio {
                codec: track.codec.clone(),
                sample_rate: track.sample_rate,
                channels: track.channels,
                bitrate: live.audio_bps,
            }),
            bitrate: live.video_bps + live.audio_bps,
            fps: live.facts.fps,
            gop_s: live.facts.gop_s,
            warnings: if state == "live" { warnings(live) } else { Vec::new() },
        }
    }
}

fn warnings(live: &Live) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code, message: String| warnings.push(Warning { code, message });
    let video = live.tracks.iter().find(|track| track.width.is_some());
    if !live.tracks.iter().any(|track| track.sample_rate.is_some()) {
        warn("no_audio", "there is no audio".to_owned());
    }
    match video.map(|track| track.codec.as_str()) {
        None => warn("no_video", "there is no video".to_owned()),
        Some(codec) if codec.starts_with("hvc1") || codec.starts_with("hev1") => {
            warn("codec", "HEVC does not play in every browser".to_owned());
        }
        Some(codec) if codec.starts_with("av01") => warn("codec", "AV1 does not play on every device".to_owned()),
        Some(_) => {}
    }
    if let Some(gop_s) = live.facts.gop_s.filter(|gop_s| *gop_s > GOP_SLOW_S) {
        warn("slow_start", format!("a keyframe each {gop_s:.1} s: viewers start slowly; 1 or 2 s are better"));
    }
    warnings
}
