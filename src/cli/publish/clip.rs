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
    Fragment(#[from] mp4_atom::Error),
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn flv(tags: &[(u8, u32, &[u8])]) -> Vec<u8> {
        let mut file = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
        for (kind, timestamp_ms, body) in tags {
            let [high, a, b, c] = timestamp_ms.to_be_bytes();
            file.extend([*kind, 0, 0, body.len() as u8, a, b, c, high, 0, 0, 0]);
            file.extend_from_slice(body);
            file.extend((body.len() as u32 + 11).to_be_bytes());
        }
        file
    }

    fn read(file: Vec<u8>, repeat: Repeat, take: usize) -> (Vec<Tag>, Result<(), Error>) {
        let (sender, mut receiver) = mpsc::channel(4);
        let clip = Clip { source: Box::new(io::Cursor::new(file)) };
        let reader = std::thread::spawn(move || clip.read(repeat, &sender));
        let tags = std::iter::from_fn(|| receiver.blocking_recv()).take(take).collect();
        drop(receiver);
        (tags, reader.join().unwrap())
    }

    fn due_ms(tags: &[Tag]) -> Vec<u128> {
        tags.iter().map(|tag| tag.at.as_millis()).collect()
    }

    #[test]
    fn an_flv_file_starts_at_zero_wherever_its_clock_does() {
        for start in [0, 5000, u32::MAX - 50] {
            let file =
                flv(&[(9, start, &[0x17, 0]), (8, start.wrapping_add(23), &[0xaf]), (9, start.wrapping_add(90), &[1])]);
            let (tags, end) = read(file, Repeat::Once, 9);
            assert_eq!(due_ms(&tags), [0, 23, 90], "{start}");
            assert_eq!(tags[1].body, Body::Audio(Bytes::from_static(&[0xaf])));
            assert!(end.is_ok());
        }
    }

    #[test]
    fn a_repeated_file_goes_on_where_it_ended() {
        let file = flv(&[(9, 0, &[1]), (9, 40, &[2]), (8, 30, &[3]), (9, 80, &[4])]);
        let (tags, end) = read(file, Repeat::Endless, 9);
        assert_eq!(due_ms(&tags), [0, 40, 30, 80, 120, 160, 150, 200, 240]);
        assert!(end.is_ok());
    }

    #[test]
    fn metadata_is_read() {
        let mut script = bytes::BytesMut::new();
        let properties = vec![("width".to_owned(), Value::Number(320.0))];
        amf0::encode(&"onMetaData".into(), &mut script);
        amf0::encode(&Value::EcmaArray(properties.clone()), &mut script);
        let (tags, _) = read(flv(&[(18, 0, &script)]), Repeat::Once, 9);
        assert_eq!(tags, [Tag { at: Duration::ZERO, body: Body::Metadata(properties) }]);
    }

    #[test]
    fn what_can_not_be_published_is_said() {
        let error = |file: &[u8]| read(file.to_vec(), Repeat::Endless, 9).1.unwrap_err().to_string();
        assert_eq!(error(b""), "it is neither FLV nor MP4");
        assert_eq!(error(&[7; 100]), "it is neither FLV nor MP4");
        assert_eq!(error(&flv(&[])), "there is nothing in it that can be published");
        assert!(error(b"\0\0\0\x10ftypisom\0\0\0\0").starts_with("MP4: "));
    }

    /// Two video samples of 500 ms, and sound of 700 and 300 ms.
    fn mp4() -> Vec<u8> {
        let config = mp4::Mp4Config {
            major_brand: "isom".parse().unwrap(),
            minor_version: 0,
            compatible_brands: vec![],
            timescale: 1000,
        };
        let mut writer = mp4::Mp4Writer::write_start(io::Cursor::new(Vec::new()), &config).unwrap();
        let video = mp4::AvcConfig {
            width: 16,
            height: 16,
            seq_param_set: vec![0x67, 0x42, 0, 0x1e, 0xda],
            pic_param_set: vec![0x68, 0xce],
        };
        let sound = mp4::AacConfig {
            bitrate: 0,
            profile: mp4::AudioObjectType::AacLowComplexity,
            freq_index: mp4::SampleFreqIndex::Freq44100,
            chan_conf: mp4::ChannelConfig::Stereo,
        };
        writer.add_track(&mp4::TrackConfig { timescale: 90_000, ..video.into() }).unwrap();
        writer.add_track(&mp4::TrackConfig { timescale: 1000, ..sound.into() }).unwrap();
        let sample = |start_time, duration, rendering_offset, is_sync, byte| mp4::Mp4Sample {
            start_time,
            duration,
            rendering_offset,
            is_sync,
            bytes: Bytes::from(vec![byte; 6]),
        };
        writer.write_sample(1, &sample(0, 45_000, 9000, true, 1)).unwrap();
        writer.write_sample(1, &sample(45_000, 45_000, 0, false, 2)).unwrap();
        writer.write_sample(2, &sample(0, 700, 0, true, 3)).unwrap();
        writer.write_sample(2, &sample(700, 300, 0, true, 4)).unwrap();
        writer.write_end().unwrap();
        writer.into_writer().into_inner()
    }

    #[test]
    fn an_mp4_file_becomes_tags_in_order_of_time() {
        let (tags, end) = read(mp4(), Repeat::Once, 99);
        end.unwrap();
        assert_eq!(due_ms(&tags), [0, 0, 0, 0, 500, 700]);
        let video = |payload: &'static [u8]| Body::Video(Bytes::from_static(payload));
        let sound = |payload: &'static [u8]| Body::Audio(Bytes::from_static(payload));
        let header =
            [0x17, 0, 0, 0, 0, 1, 0x42, 0, 0x1e, 0xff, 0xe1, 0, 5, 0x67, 0x42, 0, 0x1e, 0xda, 1, 0, 2, 0x68, 0xce];
        let bodies: Vec<_> = tags.into_iter().map(|tag| tag.body).collect();
        assert_eq!(bodies[0], Body::Video(Bytes::copy_from_slice(&header)));
        assert_eq!(bodies[1], video(&[0x17, 1, 0, 0, 100, 1, 1, 1, 1, 1, 1]));
        assert_eq!(bodies[2], sound(&[0xaf, 0, 0x12, 0x10]));
        assert_eq!(bodies[3], sound(&[0xaf, 1, 3, 3, 3, 3, 3, 3]));
        assert_eq!(bodies[4], video(&[0x27, 1, 0, 0, 0, 2, 2, 2, 2, 2, 2]));
    }

    /// One second by `ffmpeg`: in tables, in fragments, the first half in tables, and a fragment for each track.
    const PLAIN: &[u8] = include_bytes!("../../../tests/fixtures/mp4/plain.mp4");
    const FRAGMENTED: [(&str, &[u8]); 3] = [
        ("fragmented", include_bytes!("../../../tests/fixtures/mp4/fragmented.mp4")),
        ("mixed", include_bytes!("../../../tests/fixtures/mp4/mixed.mp4")),
        ("separate", include_bytes!("../../../tests/fixtures/mp4/separate.mp4")),
    ];

    #[test]
    fn a_fragmented_mp4_file_is_what_it_was_before_it_was_cut() {
        let (plain, end) = read(PLAIN.to_vec(), Repeat::Once, 99);
        end.unwrap();
        assert!(plain.len() > 15, "{}", plain.len());
        for (name, file) in FRAGMENTED {
            let (tags, end) = read(file.to_vec(), Repeat::Once, 99);
            end.unwrap();
            let of = |tags: &[Tag], is_video: bool| -> Vec<Tag> {
                tags.iter().filter(|tag| matches!(tag.body, Body::Video(_)) == is_video).cloned().collect()
            };
            for is_video in [true, false] {
                let (tags, plain) = (of(&tags, is_video), of(&plain, is_video));
                let bodies = |tags: &[Tag]| tags.iter().map(|tag| tag.body.clone()).collect::<Vec<_>>();
                assert!(bodies(&tags) == bodies(&plain), "{name}, video: {is_video}");
                // `ffmpeg` begins sound at 0 where it can't write yet that it begins later.
                let said = if name == "mixed" && !is_video { 2 } else { 0 };
                assert_eq!(due_ms(&tags)[said..], due_ms(&plain)[said..], "{name}, video: {is_video}");
            }
            let due = due_ms(&tags);
            assert!(due.is_sorted(), "{name}: {due:?}");
        }
    }

    #[test]
    fn a_fragmented_mp4_file_that_was_cut_off_is_published_as_far_as_it_goes() {
        let (_, file) = FRAGMENTED[0];
        let (whole, _) = read(file.to_vec(), Repeat::Once, 99);
        let first = FRAGMENTED[0].1.windows(4).position(|kind| kind == b"mdat").unwrap();
        for length in first + 4..file.len() {
            let (tags, end) = read(file[..length].to_vec(), Repeat::Once, 99);
            let is_empty = matches!(end, Err(Error::Empty)) && tags.is_empty();
            assert!(end.is_ok() || is_empty, "{length}: {end:?}");
            assert!(tags.len() <= whole.len());
        }
        let (half, _) = read(file[..file.len() - 1000].to_vec(), Repeat::Once, 99);
        assert!(half.len() > whole.len() / 2 && half.len() < whole.len(), "{} of {}", half.len(), whole.len());
    }

    #[test]
    fn a_repeated_mp4_file_goes_on_where_it_ended() {
        let (tags, _) = read(mp4(), Repeat::Endless, 8);
        assert!(tags[6].at >= SECOND * 7 / 10 && tags[6].at <= SECOND, "{:?}", tags[6].at);
    }
}
