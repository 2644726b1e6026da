//! FLV tag bodies, which are what RTMP's audio and video messages hold: legacy FLV 10.1 and Enhanced RTMP v2.

pub mod file;
mod tag;

use crate::media::error::{Error, limit};
use crate::media::frame::{AudioConfig, Codec, Config, Frame, Item, Kind, Role, Sample};
use crate::media::{aac, avc, fmp4, mp3};
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
    audio: Option<Audio>,
    /// Of a multitrack tag only the first track seen is taken.
    video_track: Option<u8>,
    audio_track: Option<u8>,
}

#[derive(Debug)]
enum Video {
    Avc(avc::Record),
}

#[derive(Debug)]
enum Audio {
    Aac,
    Mp3(Option<AudioConfig>),
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
        let (video, config) = match tag.codec {
            Codec::Avc => {
                let record = avc::Record::parse(&own(&tag.body))?;
                let config = record.config()?;
                (Video::Avc(record), config)
            }
            codec => return Err(tag::unsupported_codec(codec)),
        };
        self.video = Some(video);
        if let Some(config) = config {
            items.set_config(Config::Video(config));
        }
        Ok(items)
    }

    fn video_frame(&mut self, timestamp_ms: u32, composition_ms: i32, tag: &Tag) -> Result<Items, Error> {
        let sample = match (&mut self.video, tag.codec) {
            (_, _) if tag.body.is_empty() => return Ok(Items::default()),
            (Some(Video::Avc(record)), Codec::Avc) => record.sample(&tag.body)?,
            _ => return Err(Error::NoConfig { kind: Kind::Video }),
        };
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
        let mut items = Items::default();
        if tag.body.is_empty() {
            return Ok(items);
        }
        let (audio, config) = match tag.codec {
            Codec::Aac => (Audio::Aac, Some(aac::config(&own(&tag.body))?)),
            Codec::Mp3 => (Audio::Mp3(None), None),
            codec => return Err(tag::unsupported_codec(codec)),
        };
        self.audio = Some(audio);
        if let Some(config) = config {
            items.set_config(Config::Audio(config));
        }
        Ok(items)
    }

    fn audio_frame(&mut self, timestamp_ms: u32, tag: Tag) -> Result<Items, Error> {
        let mut items = Items::default();
        if tag.body.is_empty() {
            return Ok(items);
        }
        if tag.codec == Codec::Mp3 {
            let config = mp3::config(&tag.body)?;
            if !matches!(&self.audio, Some(Audio::Mp3(Some(known))) if *known == config) {
                self.audio = Some(Audio::Mp3(Some(config.clone())));
                items.set_config(Config::Audio(config));
            }
        }
        match (&self.audio, tag.codec) {
            (Some(Audio::Aac), Codec::Aac) | (Some(Audio::Mp3(_)), Codec::Mp3) => {}
            _ => return Err(Error::NoConfig { kind: Kind::Audio }),
        }
        fmp4::check_frame_size(tag.body.len())?;
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
