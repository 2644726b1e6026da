//! What a publisher's media becomes before it is cut: decoder configurations and frames, in decode order.

use bytes::Bytes;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Video,
    Audio,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    Avc,
    Hevc,
    Av1,
    Vp9,
    Aac,
    Opus,
    Flac,
    Mp3,
}

/// What other frames need this one for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// A decoder can start here.
    Key,
    /// Later frames refer to it.
    Reference,
    /// No other frame refers to it: it can be left out.
    Disposable,
}

/// One access unit. Audio is always `Role::Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: Kind,
    /// Decode time as the publisher sent it: 32 bits that wrap.
    pub timestamp_ms: u32,
    /// Presentation less decode time.
    pub composition_ms: i32,
    pub role: Role,
    /// As the sample is stored in MP4: length-prefixed NAL units, OBUs without temporal delimiter, raw AAC.
    /// Never empty.
    pub data: Bytes,
}

/// What a decoder must know before the first frame.
#[derive(Debug, Clone, PartialEq)]
pub enum Config {
    Video(VideoConfig),
    Audio(AudioConfig),
}

#[derive(Debug, Clone, PartialEq)]
pub struct VideoConfig {
    pub codec: Codec,
    /// RFC 6381, for instance `avc1.64001f`.
    pub codec_string: String,
    pub width: u16,
    pub height: u16,
    /// Frames per second where the parameter sets tell.
    pub fps: Option<f64>,
    /// The payload of `avcC`, `hvcC`, `av1C` or `vpcC`.
    pub record: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioConfig {
    pub codec: Codec,
    /// RFC 6381, for instance `mp4a.40.2`.
    pub codec_string: String,
    pub sample_rate: u32,
    pub channels: u8,
    /// `AudioSpecificConfig`, the payload of `dOps` or `dfLa`; empty for MP3.
    pub record: Bytes,
}

impl Config {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Video(_) => Kind::Video,
            Self::Audio(_) => Kind::Audio,
        }
    }
}

/// One thing a publisher sent, parsed.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    Config(Config),
    Frame(Frame),
    /// The publisher says that this track ends here.
    End(Kind),
}

/// An access unit as a codec's parser hands it to the tag parser.
#[derive(Debug)]
pub(crate) struct Sample {
    /// Where the access unit changed what a decoder must know.
    pub(crate) config: Option<VideoConfig>,
    pub(crate) role: Role,
    /// Empty where there is no picture in it.
    pub(crate) data: Bytes,
}
