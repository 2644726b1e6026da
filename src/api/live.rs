//! How a stream runs, as its tenant sees it.

use super::show::time;
use crate::stream::qoe::Summary;
use crate::stream::status::Live;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Past this, a viewer waits noticeably for a picture, and encoders can do better.
const GOP_SLOW_S: f64 = 4.0;

/// Past this, players need a longer buffer for the later of the two.
const SKEW_MS_MAX: i64 = 500;

/// A publisher that loses this much within half a minute does not keep up.
const BEHIND_MS_MAX: i64 = 1_000;

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = LiveStatus)]
pub(super) struct LiveView {
    /// `waiting`, `live`, `stalled`, `interrupted` or `ended`.
    pub(super) state: Cow<'static, str>,
    /// The node that its publisher is connected to.
    node: Option<String>,
    /// Since when it is in this state.
    since: Option<String>,
    viewers: usize,
    /// Those on each node, where there are any.
    #[serde(default)]
    #[schema(required = true)]
    viewers_by_node: BTreeMap<String, usize>,
    video: Option<Video>,
    audio: Option<Audio>,
    /// Video and audio, bits per second.
    bitrate: u64,
    fps: Option<f64>,
    /// Seconds between keyframes.
    gop_s: Option<f64>,
    /// Milliseconds by which sound arrives ahead of the picture.
    skew_ms: Option<i64>,
    /// Milliseconds by which media arrives later than when the publish began: the publisher's clock goes slow, or it
    /// can't keep up; negative: fast.
    drift_ms: Option<i64>,
    /// Frames that came and could not be sent on.
    dropped_frames: u64,
    warnings: Vec<Warning>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Video {
    codec: String,
    width: Option<u16>,
    height: Option<u16>,
    bitrate: u64,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Audio {
    codec: String,
    sample_rate: Option<u32>,
    channels: Option<u8>,
    bitrate: u64,
}

/// How the stream looks to those who watch it by this node, as their players told in the last five to ten minutes.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Qoe)]
pub(super) struct QoeView {
    /// What players told: each one every ten seconds, and when it ends.
    reports: u64,
    /// From a frame's arrival at the server to the screen.
    latency_ms_p50: Option<u64>,
    latency_ms_p95: Option<u64>,
    /// From a player's start to its first picture.
    first_frame_ms_p50: Option<u64>,
    first_frame_ms_p95: Option<u64>,
    /// Share of the time in which the picture stood still, 0 to 1.
    stall_ratio: Option<f64>,
}

impl QoeView {
    pub(super) fn of(told: &Summary) -> Option<Self> {
        let whole = |ms: f64| ms.round() as u64;
        (told.reports > 0).then(|| Self {
            reports: told.reports,
            latency_ms_p50: told.latency_ms.map(|p| whole(p.p50)),
            latency_ms_p95: told.latency_ms.map(|p| whole(p.p95)),
            first_frame_ms_p50: told.first_frame_ms.map(|p| whole(p.p50)),
            first_frame_ms_p95: told.first_frame_ms.map(|p| whole(p.p95)),
            stall_ratio: told.stall_ratio.map(|ratio| (ratio * 1e4).round() / 1e4),
        })
    }
}

/// What viewers would feel, and what the publisher can do about it.
#[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Warning {
    pub code: Cow<'static, str>,
    pub message: String,
}

impl LiveView {
    /// Of a stream that does not run here.
    pub(super) fn waiting() -> Self {
        Self {
            state: Cow::Borrowed("waiting"),
            node: None,
            since: None,
            viewers: 0,
            viewers_by_node: BTreeMap::new(),
            video: None,
            audio: None,
            bitrate: 0,
            fps: None,
            gop_s: None,
            skew_ms: None,
            drift_ms: None,
            dropped_frames: 0,
            warnings: Vec::new(),
        }
    }

    /// With what another node tells; what the owner tells of a stream is so.
    pub(super) fn join(mut self, mut other: Self, is_owner: bool) -> Self {
        let viewers = self.viewers + other.viewers;
        let mut viewers_by_node = std::mem::take(&mut self.viewers_by_node);
        viewers_by_node.append(&mut other.viewers_by_node);
        let is_livelier = is_owner || (self.liveliness() < other.liveliness());
        Self { viewers, viewers_by_node, ..if is_livelier { other } else { self } }
    }

    fn liveliness(&self) -> u8 {
        match &*self.state {
            "live" => 4,
            "stalled" => 3,
            "interrupted" => 2,
            "ended" => 1,
            _ => 0,
        }
    }

    pub(super) fn of(live: &Live, node: &str) -> Self {
        let video = live.tracks.iter().find(|track| track.width.is_some());
        let audio = live.tracks.iter().find(|track| track.sample_rate.is_some());
        let state = live.phase.as_str();
        let published = matches!(state, "live" | "stalled");
        Self {
            state: Cow::Borrowed(state),
            node: published.then(|| node.to_owned()),
            since: Some(time(live.since_us)),
            viewers: live.viewers,
            viewers_by_node: (live.viewers > 0).then(|| (node.to_owned(), live.viewers)).into_iter().collect(),
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
            skew_ms: live.facts.skew_ms.filter(|_| published),
            drift_ms: live.drift_ms,
            dropped_frames: live.facts.dropped_frames,
            warnings: if state == "live" { warnings(live) } else { Vec::new() },
        }
    }
}

pub fn warnings(live: &Live) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code, message: String| warnings.push(Warning { code: Cow::Borrowed(code), message });
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
    if live.facts.reordering {
        warn(
            "b_frames",
            "B frames: +50 ms or more, slower in Firefox; encoders can leave them out (tune zerolatency)".to_owned(),
        );
    }
    if let Some(skew_ms) = live.facts.skew_ms.filter(|skew_ms| skew_ms.abs() > SKEW_MS_MAX) {
        warn("skew", format!("sound and picture arrive {} ms apart", skew_ms.abs()));
    }
    if live.behind_ms > BEHIND_MS_MAX {
        let behind_s = live.behind_ms as f64 / 1e3;
        warn(
            "falling_behind",
            format!(
                "falling behind real time: {behind_s:.1} s within half a minute; the encoder or its link is too slow"
            ),
        );
    }
    if let Some(gop_s) = live.facts.gop_s.filter(|gop_s| *gop_s > GOP_SLOW_S) {
        warn("slow_start", format!("a keyframe each {gop_s:.1} s: viewers start slowly; 1 or 2 s are better"));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::fragment::Track;
    use crate::media::frame::Kind;
    use crate::stream::packet::Phase;
    use crate::stream::status::Status;

    fn track(kind: Kind, codec: &str) -> Track {
        let is_video = kind == Kind::Video;
        Track {
            id: 1,
            kind,
            codec: codec.to_owned(),
            mime: String::new(),
            timescale: 90_000,
            width: is_video.then_some(1280),
            height: is_video.then_some(720),
            fps: None,
            sample_rate: (!is_video).then_some(48_000),
            channels: (!is_video).then_some(2),
            init: bytes::Bytes::new(),
        }
    }

    fn live(tracks: Vec<Track>) -> Live {
        let waiting = Status::new(1_800_000_000_000_000, Box::new(|_| {})).get();
        Live { phase: crate::stream::packet::Phase::Live, tracks, video_bps: 3_000_000, audio_bps: 128_000, ..waiting }
    }

    fn codes(live: &Live) -> Vec<Cow<'static, str>> {
        LiveView::of(live, "node-1").warnings.into_iter().map(|warning| warning.code).collect()
    }

    #[test]
    fn a_healthy_stream_is_told_without_warnings() {
        let live = live(vec![track(Kind::Video, "avc1.64001f"), track(Kind::Audio, "mp4a.40.2")]);
        let view = LiveView::of(&live, "node-1");
        assert_eq!((&*view.state, view.node.as_deref(), view.bitrate), ("live", Some("node-1"), 3_128_000));
        assert_eq!(view.since.as_deref(), Some("2027-01-15T08:00:00Z"));
        assert_eq!(view.video.map(|video| (video.width, video.height)), Some((Some(1280), Some(720))));
        assert_eq!(view.audio.map(|audio| audio.codec), Some("mp4a.40.2".to_owned()));
        assert_eq!(view.warnings, []);
    }

    #[test]
    fn nodes_together_tell_what_the_owner_tells_with_the_viewers_of_all() {
        let seen = |phase, node: &str, viewers| LiveView::of(&Live { phase, viewers, ..live(Vec::new()) }, node);
        let (waiting, interrupted, live) = (Phase::Waiting, Phase::Interrupted, Phase::Live);
        let owners = seen(interrupted, "one", 1).join(seen(live, "two", 2), true).join(seen(live, "three", 4), false);
        assert_eq!((&*owners.state, owners.node.as_deref(), owners.viewers), ("live", Some("two"), 7));
        let by_node = [("one", 1), ("two", 2), ("three", 4)].map(|(node, viewers)| (node.to_owned(), viewers));
        assert_eq!(owners.viewers_by_node, by_node.into());
        let nobodys = seen(waiting, "one", 1).join(seen(interrupted, "two", 2), false);
        assert_eq!((&*nobodys.state, nobodys.node, nobodys.viewers), ("interrupted", None, 3));
    }

    #[test]
    fn what_viewers_would_feel_is_warned_of() {
        assert_eq!(codes(&live(vec![track(Kind::Video, "avc1.64001f")])), ["no_audio"]);
        assert_eq!(codes(&live(vec![track(Kind::Audio, "opus")])), ["no_video"]);
        let mut hard = live(vec![track(Kind::Video, "hvc1.1.6.L93.B0"), track(Kind::Audio, "mp4a.40.2")]);
        hard.facts.reordering = true;
        hard.facts.skew_ms = Some(-700);
        hard.facts.gop_s = Some(10.0);
        hard.behind_ms = 1_001;
        assert_eq!(codes(&hard), ["codec", "b_frames", "skew", "falling_behind", "slow_start"]);
        hard.phase = crate::stream::packet::Phase::Ended;
        assert_eq!(codes(&hard), [""; 0], "nobody can mend it any more");
    }
}
