//! The H.264 and AAC tracks of an MP4 file as FLV tags.

use super::clip::{Body, Error};
use super::fragments::{Fragments, Sample};
use bytes::{BufMut as _, Bytes, BytesMut};
use mp4::{MediaType, Mp4Reader, Mp4Sample, Mp4Track};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

/// FLV 10.1 E.4.3.1: a keyframe, another frame, both of AVC.
const VIDEO_KEY: u8 = 0x17;
const VIDEO_INTER: u8 = 0x27;
/// E.4.2.1: AAC, the other bits fixed.
const AUDIO_AAC: u8 = 0xaf;
/// AVC and AAC packets, E.4.3.1 and E.4.2.2.
const SEQUENCE_HEADER: u8 = 0;
const FRAME: u8 = 1;

/// Samples in tables come by `reader`, those in fragments after them.
pub(super) struct Mp4<R> {
    source: Shared<R>,
    reader: Mp4Reader<Shared<R>>,
    fragments: Option<Fragments>,
    tracks: Vec<Track>,
}

/// One file, read by two.
struct Shared<R>(Rc<RefCell<R>>);

impl<R: Read> Read for Shared<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

impl<R: Seek> Seek for Shared<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.borrow_mut().seek(to)
    }
}

struct Track {
    id: u32,
    timescale: u32,
    kind: Codec,
    /// Sent before the first sample.
    header: Option<Bytes>,
    next_sample: u32,
    /// In the table; others are in fragments.
    samples: u32,
    fragments: VecDeque<Sample>,
    /// Decode time of the next sample, in the movie's presentation time; can be negative before the first picture.
    next_ms: i64,
    /// What the edit list adds to the media time.
    shift_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Avc,
    Aac,
}

impl<R: Read + Seek> Mp4<R> {
    pub(super) fn open(mut source: R) -> Result<Self, Error> {
        let size = source.seek(SeekFrom::End(0))?;
        let fragments = Fragments::find(&mut source, size)?;
        source.seek(SeekFrom::Start(0))?;
        let source = Rc::new(RefCell::new(source));
        let size = fragments.as_ref().map_or(size, |fragments| fragments.begin);
        let reader = Mp4Reader::read_header(Shared(source.clone()), size)?;
        let movie_timescale = reader.timescale();
        let mut tracks = Vec::new();
        for kind in [Codec::Avc, Codec::Aac] {
            let wanted = if kind == Codec::Avc { MediaType::H264 } else { MediaType::AAC };
            let found = reader.tracks().values().filter(|track| track.media_type().is_ok_and(|of| of == wanted));
            if let Some(track) = found.min_by_key(|track| track.track_id()) {
                tracks.push(Track::new(track, kind, movie_timescale)?);
            }
        }
        if tracks.is_empty() {
            return Err(Error::Unsupported("it has no track in H.264 or AAC"));
        }
        let earliest_ms = tracks.iter().map(|track| track.shift_ms).min().unwrap_or(0);
        for track in &mut tracks {
            track.shift_ms -= earliest_ms;
            track.next_ms = track.shift_ms;
        }
        Ok(Self { source: Shared(source), reader, fragments, tracks })
    }

    /// The next tag of whichever track is due.
    pub(super) fn next_tag(&mut self) -> Result<Option<(u32, Body)>, Error> {
        loop {
            self.look_ahead()?;
            let waiting = self.tracks.iter_mut().filter(|track| track.has_next());
            let Some(track) = waiting.min_by_key(|track| track.next_ms) else { return Ok(None) };
            if let Some(header) = track.header.take() {
                return Ok(Some((track.next_ms.max(0) as u32, track.kind.body(header))));
            }
            let sample = if track.next_sample <= track.samples {
                let sample = self.reader.read_sample(track.id, track.next_sample)?;
                track.next_sample += 1;
                sample
            } else {
                track.fragments.pop_front().map(|sample| read_sample(&mut self.source, sample)).transpose()?
            };
            let Some(sample) = sample else { continue };
            let at_ms = track.shift_ms + track.milliseconds(sample.start_time as i64);
            track.next_ms = track.shift_ms + track.milliseconds(sample.start_time as i64 + i64::from(sample.duration));
            let composition_ms = track.milliseconds(i64::from(sample.rendering_offset));
            let tag = track.kind.tag(&sample.bytes, sample.is_sync, composition_ms as i32);
            return Ok(Some((at_ms.max(0) as u32, track.kind.body(tag))));
        }
    }

    /// Reads fragments until each track has a sample: only then is it known which is due.
    fn look_ahead(&mut self) -> Result<(), Error> {
        while let Some(fragments) = &mut self.fragments
            && self.tracks.iter().any(|track| !track.has_next())
        {
            let Some(samples) = fragments.next(&mut self.source)? else {
                self.fragments = None;
                return Ok(());
            };
            for sample in samples {
                let track = self.tracks.iter_mut().find(|track| track.id == sample.track);
                track.into_iter().for_each(|track| track.take_in(sample));
            }
        }
        Ok(())
    }
}

fn read_sample(source: &mut (impl Read + Seek), sample: Sample) -> Result<Mp4Sample, Error> {
    let mut bytes = vec![0; sample.size as usize];
    source.seek(SeekFrom::Start(sample.offset))?;
    source.read_exact(&mut bytes)?;
    Ok(Mp4Sample {
        start_time: sample.start,
        duration: sample.duration,
        rendering_offset: sample.composition.clamp(i32::MIN.into(), i32::MAX.into()) as i32,
        is_sync: sample.is_sync,
        bytes: bytes.into(),
    })
}

impl Track {
    fn new(track: &Mp4Track, kind: Codec, movie_timescale: u32) -> Result<Self, Error> {
        let timescale = track.timescale();
        if timescale == 0 || movie_timescale == 0 {
            return Err(Error::Unsupported("a time scale of 0"));
        }
        let header = match kind {
            Codec::Avc => avc_header(track)?,
            Codec::Aac => aac_header(track)?,
        };
        Ok(Self {
            id: track.track_id(),
            timescale,
            kind,
            header: Some(header),
            next_sample: 1,
            samples: track.sample_count(),
            fragments: VecDeque::new(),
            next_ms: 0,
            shift_ms: edit_ms(track, timescale, movie_timescale),
        })
    }

    fn has_next(&self) -> bool {
        self.next_sample <= self.samples || !self.fragments.is_empty()
    }

    fn take_in(&mut self, sample: Sample) {
        if !self.has_next() {
            self.next_ms = self.shift_ms + self.milliseconds(sample.start as i64);
        }
        self.fragments.push_back(sample);
    }

    fn milliseconds(&self, units: i64) -> i64 {
        scale(units, self.timescale)
    }
}

impl Codec {
    fn body(self, payload: Bytes) -> Body {
        match self {
            Self::Avc => Body::Video(payload),
            Self::Aac => Body::Audio(payload),
        }
    }

    fn tag(self, sample: &[u8], is_key: bool, composition_ms: i32) -> Bytes {
        let mut tag = BytesMut::with_capacity(sample.len() + 5);
        match self {
            Self::Avc => {
                tag.extend_from_slice(&[if is_key { VIDEO_KEY } else { VIDEO_INTER }, FRAME]);
                tag.extend_from_slice(&composition_ms.to_be_bytes()[1..]);
            }
            Self::Aac => tag.extend_from_slice(&[AUDIO_AAC, FRAME]),
        }
        tag.extend_from_slice(sample);
        tag.freeze()
    }
}

/// ISO/IEC 14496-12 8.6.6: empty edits delay a track, the first other one says where its media begins.
fn edit_ms(track: &Mp4Track, timescale: u32, movie_timescale: u32) -> i64 {
    let entries = track.trak.edts.as_ref().and_then(|edts| edts.elst.as_ref()).map(|elst| elst.entries.as_slice());
    let mut delay_ms = 0;
    for entry in entries.unwrap_or_default() {
        let is_empty = entry.media_time == u64::MAX || entry.media_time == u64::from(u32::MAX);
        if !is_empty {
            return delay_ms - scale(entry.media_time as i64, timescale);
        }
        delay_ms += scale(entry.segment_duration as i64, movie_timescale);
    }
    delay_ms
}

fn scale(units: i64, timescale: u32) -> i64 {
    (i128::from(units) * 1000 / i128::from(timescale)) as i64
}

/// An `AVCDecoderConfigurationRecord`, ISO/IEC 14496-15 5.3.3.1.
fn avc_header(track: &Mp4Track) -> Result<Bytes, Error> {
    let entry = track.trak.mdia.minf.stbl.stsd.avc1.as_ref();
    let avcc = &entry.ok_or(Error::Unsupported("H.264 without a decoder configuration"))?.avcc;
    let mut header = BytesMut::new();
    header.extend_from_slice(&[VIDEO_KEY, SEQUENCE_HEADER, 0, 0, 0, 1]);
    header.extend_from_slice(&[avcc.avc_profile_indication, avcc.profile_compatibility, avcc.avc_level_indication]);
    header.put_u8(0xfc | avcc.length_size_minus_one);
    for (reserved, sets) in [(0xe0, &avcc.sequence_parameter_sets), (0, &avcc.picture_parameter_sets)] {
        header.put_u8(reserved | sets.len() as u8);
        for set in sets {
            header.put_u16(set.bytes.len() as u16);
            header.extend_from_slice(&set.bytes);
        }
    }
    Ok(header.freeze())
}

/// An `AudioSpecificConfig`, ISO/IEC 14496-3 1.6.2.1.
fn aac_header(track: &Mp4Track) -> Result<Bytes, Error> {
    let missing = Error::Unsupported("AAC without a decoder configuration");
    let entry = track.trak.mdia.minf.stbl.stsd.mp4a.as_ref();
    let esds = entry.and_then(|mp4a| mp4a.esds.as_ref()).ok_or(missing)?;
    let config = &esds.es_desc.dec_config.dec_specific;
    if config.profile > 30 || config.freq_index > 12 {
        return Err(Error::Unsupported("an unusual form of AAC: convert the file to AAC-LC"));
    }
    let packed = u16::from(config.profile) << 11 | u16::from(config.freq_index) << 7 | u16::from(config.chan_conf) << 3;
    let [high, low] = packed.to_be_bytes();
    Ok(Bytes::copy_from_slice(&[AUDIO_AAC, SEQUENCE_HEADER, high, low]))
}
