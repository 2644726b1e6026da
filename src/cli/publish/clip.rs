//! A file's tags, as they are sent, with the time at which they are due.

use super::mp4::Mp4;
use crate::media::flv::file::{Reader, Tag as FlvTag};
use crate::media::frame::Kind;
use crate::rtmp::amf0::{self, Properties, Value};
use bytes::Bytes;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;

const READ_BYTES: usize = 64 * 1024;
/// From the last tag of a file to the first of its repetition, where the file does not tell.
const STEP_DEFAULT_MS: u64 = 40;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("it can't be read: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Flv(#[from] crate::media::Error),
    #[error("it is neither FLV nor MP4")]
    Format,
    #[error("there is nothing in it that can be published")]
    Empty,
    #[error("MP4: {0}")]
    Mp4(#[from] mp4::Error),
    #[error("MP4: {0}")]
    Unsupported(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    Once,
    Endless,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tag {
    /// Since the beginning of the publish.
    pub(super) at: Duration,
    pub(super) body: Body,
}

/// Video and audio as FLV tags without their headers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    Video(Bytes),
    Audio(Bytes),
    Metadata(Properties),
}

impl Body {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Video(payload) | Self::Audio(payload) => payload.len(),
            Self::Metadata(_) => 0,
        }
    }
}

trait Source: Read + Seek + Send {}
impl<T: Read + Seek + Send> Source for T {}

/// An FLV or MP4 file, on disk or in memory.
pub struct Clip {
    source: Box<dyn Source>,
}

impl Clip {
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { source: Box::new(BufReader::new(File::open(path)?)) })
    }

    /// A file that is built in.
    pub fn from_bytes(bytes: &'static [u8]) -> Self {
        Self { source: Box::new(io::Cursor::new(bytes)) }
    }

    /// Gives all tags in order; ends early when nobody takes them any more. Blocks.
    pub(super) fn read(mut self, repeat: Repeat, tags: &mpsc::Sender<Tag>) -> Result<(), Error> {
        let mut play = Play { tags, repeat, offset_ms: 0, first_ms: None, last_ms: 0, step_ms: STEP_DEFAULT_MS };
        let mut beginning = [0; 12];
        self.source.read_exact(&mut beginning).map_err(|_| Error::Format)?;
        let is_flv = beginning.starts_with(b"FLV");
        if !is_flv && beginning[4..8] != *b"ftyp" {
            return Err(Error::Format);
        }
        loop {
            self.source.seek(SeekFrom::Start(0))?;
            let played =
                if is_flv { read_flv(&mut self.source, &mut play) } else { read_mp4(&mut self.source, &mut play) };
            if played? == Played::Left || !play.again()? {
                return Ok(());
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Played {
    ToTheEnd,
    /// Nobody listens any more.
    Left,
}

/// Times of a file become times of the publish, which go on when the file begins again.
struct Play<'a> {
    tags: &'a mpsc::Sender<Tag>,
    repeat: Repeat,
    offset_ms: u64,
    first_ms: Option<u32>,
    /// Since the beginning of the file.
    last_ms: u64,
    step_ms: u64,
}

impl Play<'_> {
    fn give(&mut self, timestamp_ms: u32, body: Body) -> Played {
        let first_ms = *self.first_ms.get_or_insert(timestamp_ms);
        // A step back is a small one: B frames never step, tracks that are badly interleaved do.
        let since_ms = i64::from(timestamp_ms.wrapping_sub(first_ms) as i32).max(0) as u64;
        if since_ms > self.last_ms {
            self.step_ms = since_ms - self.last_ms;
            self.last_ms = since_ms;
        }
        let tag = Tag { at: Duration::from_millis(self.offset_ms + since_ms), body };
        if self.tags.blocking_send(tag).is_ok() { Played::ToTheEnd } else { Played::Left }
    }

    fn again(&mut self) -> Result<bool, Error> {
        if self.first_ms.is_none() {
            return Err(Error::Empty);
        }
        self.offset_ms += self.last_ms + self.step_ms;
        (self.first_ms, self.last_ms) = (None, 0);
        Ok(self.repeat == Repeat::Endless)
    }
}

fn read_flv(source: &mut dyn Source, play: &mut Play) -> Result<Played, Error> {
    let (mut reader, mut buffer) = (Reader::new(), vec![0; READ_BYTES]);
    loop {
        let bytes = source.read(&mut buffer)?;
        if bytes == 0 {
            return Ok(Played::ToTheEnd);
        }
        reader.handle_bytes(&buffer[..bytes]);
        while let Some(tag) = reader.poll_tag()? {
            let played = match tag {
                FlvTag::Media { kind: Kind::Video, timestamp_ms, body } => play.give(timestamp_ms, Body::Video(body)),
                FlvTag::Media { kind: Kind::Audio, timestamp_ms, body } => play.give(timestamp_ms, Body::Audio(body)),
                FlvTag::Script { timestamp_ms, body } => match metadata(&body) {
                    Some(properties) => play.give(timestamp_ms, Body::Metadata(properties)),
                    None => continue,
                },
            };
            if played == Played::Left {
                return Ok(played);
            }
        }
    }
}

fn metadata(script: &[u8]) -> Option<Properties> {
    let values = amf0::decode_all(script).ok()?;
    let mut values = values.into_iter().skip_while(|value| value.as_str() == Some("@setDataFrame"));
    match (values.next()?.as_str()?, values.next()?) {
        ("onMetaData", Value::Object(properties) | Value::EcmaArray(properties)) => Some(properties),
        _ => None,
    }
}

fn read_mp4(source: &mut dyn Source, play: &mut Play) -> Result<Played, Error> {
    let mut mp4 = Mp4::open(source)?;
    while let Some((timestamp_ms, body)) = mp4.next_tag()? {
        if play.give(timestamp_ms, body) == Played::Left {
            return Ok(Played::Left);
        }
    }
    Ok(Played::ToTheEnd)
}
