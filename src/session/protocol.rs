//! The `weir.v1` messages besides the fragments: JSON text, one object each.

use crate::media::fragment::{Gap, Track};
use crate::media::frame::Kind;
use crate::session::stats::ViewerStats;
use crate::stream::packet::{Epoch, Epoched, Phase};
use crate::stream::ws_frame;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A viewer's messages are small; the longest is a new token.
pub const MESSAGE_BYTES_MAX: usize = 20 * 1024;

/// The player buffers at least this much.
const TARGET_MS_MIN: u32 = 150;

/// The player's target for a stream that is sent every `latency_target_ms`, or with each frame.
pub fn target_ms(latency_target_ms: Option<u32>) -> u32 {
    latency_target_ms.map_or(TARGET_MS_MIN, |interval| TARGET_MS_MIN.max(interval + 100))
}

/// What the server says.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage<'a> {
    Hello {
        session: &'a str,
        stream: &'a str,
        state: &'a str,
        server_time_us: i64,
        target_ms: u32,
        /// The node that the viewer is connected to.
        node: &'a str,
    },
    Init {
        epoch: String,
        tracks: Vec<TrackMessage<'a>>,
    },
    Live {
        edge_us: i64,
    },
    Gap {
        track: u32,
        from_us: i64,
        to_us: i64,
        frames: u32,
        reason: &'a str,
    },
    State {
        state: &'a str,
    },
    Time {
        t0_us: i64,
        server_time_us: i64,
    },
    Token {
        expires_in_s: i64,
    },
    Bye {
        code: u16,
        reason: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u32>,
    },
}

#[derive(Debug, Serialize)]
pub struct TrackMessage<'a> {
    id: u32,
    kind: &'static str,
    codec: &'a str,
    mime: &'a str,
    timescale: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fps: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_rate: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<u8>,
    /// Base64.
    init: String,
}

pub fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Video => "video",
        Kind::Audio => "audio",
    }
}

impl<'a> From<&'a Track> for TrackMessage<'a> {
    fn from(track: &'a Track) -> Self {
        Self {
            id: track.id,
            kind: kind_name(track.kind),
            codec: &track.codec,
            mime: &track.mime,
            timescale: track.timescale,
            width: track.width,
            height: track.height,
            fps: track.fps,
            sample_rate: track.sample_rate,
            channels: track.channels,
            init: STANDARD.encode(&track.init),
        }
    }
}

impl ServerMessage<'_> {
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("these types have string keys only and no failing serializer")
    }
}

pub fn init_json(init: &Epoched) -> String {
    let tracks = init.tracks.iter().map(TrackMessage::from).collect();
    ServerMessage::Init { epoch: init.epoch.to_string(), tracks }.to_json()
}

pub fn state_json(phase: Phase) -> String {
    ServerMessage::State { state: phase.as_str() }.to_json()
}

pub fn gap_json(gap: &Gap, reason: &str) -> String {
    let track = match gap.kind {
        Kind::Video => crate::media::fragment::VIDEO_TRACK,
        Kind::Audio => crate::media::fragment::AUDIO_TRACK,
    };
    ServerMessage::Gap { track, from_us: gap.from_us, to_us: gap.to_us, frames: gap.frames, reason }.to_json()
}

/// An init as each dialect gets it, made once per worker.
#[derive(Debug)]
pub struct InitFrames {
    pub epoch: Epoch,
    pub json: Bytes,
    pub muxed: Bytes,
    pub muxed_payload: Bytes,
}

impl InitFrames {
    pub fn new(init: &Epoched) -> Self {
        Self {
            epoch: init.epoch,
            json: ws_frame::text(&init_json(init)),
            muxed: init.muxed.message().clone(),
            muxed_payload: init.muxed.payload(),
        }
    }
}

/// What a viewer says.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ViewerMessage {
    Time {
        t0_us: i64,
    },
    Token {
        token: String,
    },
    Stats(ViewerStats),
    /// Which tracks to send.
    Tracks {
        video: bool,
        audio: bool,
    },
    Pause,
    /// Goes on at the newest keyframe.
    Resume,
    /// Of a newer player; ignored.
    #[serde(other)]
    Unknown,
}

#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    #[error("not a message of this protocol: {0}")]
    Json(#[from] serde_json::Error),
    #[error("a message of {length} bytes; at most {MESSAGE_BYTES_MAX} are allowed")]
    TooLong { length: usize },
}

pub fn parse(text: &[u8]) -> Result<ViewerMessage, Malformed> {
    if text.len() > MESSAGE_BYTES_MAX {
        return Err(Malformed::TooLong { length: text.len() });
    }
    Ok(serde_json::from_slice(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_look_as_documented() {
        let hello = ServerMessage::Hello {
            session: "ses_1",
            stream: "play_1",
            state: "live",
            server_time_us: 5,
            target_ms: 150,
            node: "node-1",
        };
        assert_eq!(
            hello.to_json(),
            r#"{"type":"hello","session":"ses_1","stream":"play_1","state":"live","server_time_us":5,"target_ms":150,"node":"node-1"}"#
        );
        assert_eq!(ServerMessage::Live { edge_us: 7 }.to_json(), r#"{"type":"live","edge_us":7}"#);
        assert_eq!(
            ServerMessage::Bye { code: 4408, reason: "too slow", retry_after_ms: None }.to_json(),
            r#"{"type":"bye","code":4408,"reason":"too slow"}"#
        );
        let gap = Gap { kind: Kind::Video, from_us: 1, to_us: 2, frames: 3 };
        assert_eq!(
            gap_json(&gap, "slow"),
            r#"{"type":"gap","track":1,"from_us":1,"to_us":2,"frames":3,"reason":"slow"}"#
        );
    }

    #[test]
    fn viewers_messages_are_parsed() {
        assert_eq!(parse(br#"{"type":"time","t0_us":12}"#).unwrap(), ViewerMessage::Time { t0_us: 12 });
        assert_eq!(parse(br#"{"type":"token","token":"abc"}"#).unwrap(), ViewerMessage::Token { token: "abc".into() });
        let stats = br#"{"type":"stats","latency_ms":80,"first_frame_ms":null,"of_a_newer_player":[]}"#;
        let wanted = ViewerStats { latency_ms: Some(80.0), ..ViewerStats::default() };
        assert_eq!(parse(stats).unwrap(), ViewerMessage::Stats(wanted));
        let tracks = parse(br#"{"type":"tracks","video":false,"audio":true}"#).unwrap();
        assert_eq!(tracks, ViewerMessage::Tracks { video: false, audio: true });
        assert_eq!(parse(br#"{"type":"pause"}"#).unwrap(), ViewerMessage::Pause);
        assert_eq!(parse(br#"{"type":"resume"}"#).unwrap(), ViewerMessage::Resume);
        assert_eq!(parse(br#"{"type":"of_a_newer_player","x":1}"#).unwrap(), ViewerMessage::Unknown);
        for bad in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"type":7}"#,
            r#"{"type":"time"}"#,
            r#"{"type":"tracks","video":1,"audio":true}"#,
            "{\"type\":\"time\",\"t0_us\":1.5}",
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(matches!(parse(&vec![b' '; MESSAGE_BYTES_MAX + 1]), Err(Malformed::TooLong { .. })));
    }

    #[test]
    fn the_players_target_follows_the_sending_interval() {
        assert_eq!([None, Some(40), Some(350)].map(target_ms), [150, 150, 450]);
    }
}
