//! FLV tag bodies, which are what RTMP's audio and video messages hold: legacy FLV 10.1 and Enhanced RTMP v2.

pub mod file;
mod tag;

use crate::media::error::{Error, limit};
use crate::media::frame::{AudioConfig, Codec, Config, Frame, Item, Kind, Role, Sample, VideoConfig};
use crate::media::{aac, av1, avc, flac, fmp4, hevc, mp3, opus, vp9};
use bytes::Bytes;
use tag::{Packet, Tag};

/// A video tag: the frame, the codec's header and room for the parameter sets in band.
const TAG_MAX_BYTES: usize = fmp4::FRAME_MAX_BYTES + 64 * 1024;
/// Composition offsets beyond this are garbage; the longest reordering in use is under a second.
const COMPOSITION_MAX_MS: i32 = 10_000;

/// What one tag gave: at most a configuration, a frame and an end.
#[derive(Debug, Default)]
pub struct Items([Option<Item>; 3]);

impl Items {
    fn set_config(&mut self, config: Config) {
        self.0[0] = Some(Item::Config(config));
    }

    fn set_frame(&mut self, frame: Frame) {
        self.0[1] = Some(Item::Frame(frame));
    }

    fn end(kind: Kind) -> Self {
        Self([None, None, Some(Item::End(kind))])
    }
}

impl IntoIterator for Items {
    type Item = Item;
    type IntoIter = std::iter::Flatten<std::array::IntoIter<Option<Item>, 3>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().flatten()
    }
}

/// Turns the tags of one publish into items; holds the current decoder configurations.
///
/// An error loses the tag it is about, never the parser.
#[derive(Debug, Default)]
pub struct Parser {
    video: Option<Video>,
    audio: Option<AudioConfig>,
    /// Of a multitrack tag only the first track seen is taken.
    video_track: Option<u8>,
    audio_track: Option<u8>,
}

#[derive(Debug)]
enum Video {
    Avc(avc::Record),
    Hevc(hevc::Record),
    Av1(av1::Stream),
    Vp9(vp9::Stream),
}

impl Video {
    /// From a sequence start; the configuration may still be to come with the first frame.
    fn start(codec: Codec, body: &Bytes) -> Result<(Self, Option<VideoConfig>), Error> {
        let body = own(body);
        match codec {
            Codec::Avc => {
                let record = avc::Record::parse(&body)?;
                let config = record.config()?;
                Ok((Self::Avc(record), config))
            }
            Codec::Hevc => {
                let mut record = hevc::Record::parse(&body)?;
                let config = record.config()?;
                Ok((Self::Hevc(record), config))
            }
            Codec::Av1 => {
                let stream = av1::Stream::parse(&body)?;
                let config = stream.config();
                Ok((Self::Av1(stream), config))
            }
            _ => Ok((Self::Vp9(vp9::Stream::parse(&body)?), None)),
        }
    }

    fn sample(&mut self, codec: Codec, body: &Bytes) -> Result<Sample, Error> {
        match (self, codec) {
            (Self::Avc(record), Codec::Avc) => record.sample(body),
            (Self::Hevc(record), Codec::Hevc) => record.sample(body),
            (Self::Av1(stream), Codec::Av1) => stream.sample(body),
            (Self::Vp9(stream), Codec::Vp9) => stream.sample(body),
            _ => Err(Error::NoConfig { kind: Kind::Video }),
        }
    }
}

impl Parser {
    pub fn new() -> Self {
        Self::default()
    }

    /// A video tag's body, or an RTMP video message.
    pub fn handle_video(&mut self, timestamp_ms: u32, payload: Bytes) -> Result<Items, Error> {
        limit("a video message", payload.len(), TAG_MAX_BYTES)?;
        let Some(tag) = tag::parse_video(payload, &mut self.video_track)? else { return Ok(Items::default()) };
        match tag.packet {
            Packet::Start => self.start_video(&tag),
            Packet::Frame { composition_ms } => self.video_frame(timestamp_ms, composition_ms, &tag),
            Packet::End => Ok(Items::end(Kind::Video)),
        }
    }

    /// An audio tag's body, or an RTMP audio message; up to two bytes are a heartbeat of some encoders.
    pub fn handle_audio(&mut self, timestamp_ms: u32, payload: Bytes) -> Result<Items, Error> {
        limit("an audio message", payload.len(), TAG_MAX_BYTES)?;
        let Some(tag) = tag::parse_audio(payload, &mut self.audio_track)? else { return Ok(Items::default()) };
        match tag.packet {
            Packet::Start => self.start_audio(&tag),
            Packet::Frame { .. } => self.audio_frame(timestamp_ms, tag),
            Packet::End => Ok(Items::end(Kind::Audio)),
        }
    }

    fn start_video(&mut self, tag: &Tag) -> Result<Items, Error> {
        let mut items = Items::default();
        if tag.body.is_empty() {
            return Ok(items);
        }
        let (video, config) = Video::start(tag.codec, &tag.body)?;
        self.video = Some(video);
        if let Some(config) = config {
            items.set_config(Config::Video(config));
        }
        Ok(items)
    }

    fn video_frame(&mut self, timestamp_ms: u32, composition_ms: i32, tag: &Tag) -> Result<Items, Error> {
        if tag.body.is_empty() {
            return Ok(Items::default());
        }
        let video = self.video.as_mut().ok_or(Error::NoConfig { kind: Kind::Video })?;
        let sample = video.sample(tag.codec, &tag.body)?;
        let Sample { config, role, data } = sample;
        let mut items = Items::default();
        if let Some(config) = config {
            items.set_config(Config::Video(config));
        }
        fmp4::check_frame_size(data.len())?;
        if !data.is_empty() {
            let sane = (-COMPOSITION_MAX_MS..=COMPOSITION_MAX_MS).contains(&composition_ms);
            let composition_ms = if sane { composition_ms } else { 0 };
            items.set_frame(Frame { kind: Kind::Video, timestamp_ms, composition_ms, role, data });
        }
        Ok(items)
    }

    fn start_audio(&mut self, tag: &Tag) -> Result<Items, Error> {
        let config = match tag.codec {
            _ if tag.body.is_empty() => return Ok(Items::default()),
            Codec::Aac => aac::config(&own(&tag.body))?,
            Codec::Opus => opus::config(&tag.body)?,
            Codec::Flac => flac::config(&tag.body)?,
            // Its frames tell.
            _ => return Ok(Items::default()),
        };
        self.audio = Some(config.clone());
        let mut items = Items::default();
        items.set_config(Config::Audio(config));
        Ok(items)
    }

    fn audio_frame(&mut self, timestamp_ms: u32, tag: Tag) -> Result<Items, Error> {
        let mut items = Items::default();
        if tag.body.is_empty() {
            return Ok(items);
        }
        fmp4::check_frame_size(tag.body.len())?;
        if tag.codec == Codec::Mp3 {
            let config = mp3::config(&tag.body)?;
            if self.audio.as_ref() != Some(&config) {
                self.audio = Some(config.clone());
                items.set_config(Config::Audio(config));
            }
        }
        if self.audio.as_ref().is_none_or(|config| config.codec != tag.codec) {
            return Err(Error::NoConfig { kind: Kind::Audio });
        }
        let frame = Frame { kind: Kind::Audio, timestamp_ms, composition_ms: 0, role: Role::Key, data: tag.body };
        items.set_frame(frame);
        Ok(items)
    }
}

/// A configuration outlives the message it came in, so it must not hold on to its buffer.
fn own(body: &Bytes) -> Bytes {
    Bytes::copy_from_slice(body)
}

#[cfg(test)]
mod tests;
