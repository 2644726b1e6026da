//! The samples of a fragmented MP4 file (ISO/IEC 14496-12 8.8), one movie fragment after the other.

use super::clip::Error;
use mp4_atom::{Atom as _, Buf as _, FourCC, Header, Moof, Mvex, ReadFrom as _, Traf, Trex, TrunEntry};
use std::collections::HashMap;
use std::io::{Cursor, Read, Seek, SeekFrom};

const MOOV: FourCC = FourCC::new(b"moov");
const MOOF: FourCC = FourCC::new(b"moof");

/// What describes samples, not the samples; longer ones are taken for a damaged file.
const DESCRIPTION_BYTES_MAX: usize = 16 << 20;
/// Of one fragment: an hour of sound.
const SAMPLES_MAX: usize = 200_000;

/// `sample_is_non_sync_sample`, 8.8.3.1.
const NOT_SYNC: u32 = 0x0001_0000;

/// Where a sample is and when it is due, in units of its track's time scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) track: u32,
    pub(super) start: u64,
    pub(super) duration: u32,
    pub(super) composition: i64,
    pub(super) is_sync: bool,
    pub(super) offset: u64,
    pub(super) size: u32,
}

pub(super) struct Fragments {
    /// Of the first movie fragment: what is before it is a file of its own.
    pub(super) begin: u64,
    /// Of the next box.
    next: u64,
    end: u64,
    defaults: HashMap<u32, Trex>,
    /// Where each track's time goes on, for fragments that don't say.
    times: HashMap<u32, u64>,
}

/// A box of the file itself.
struct Outer {
    kind: FourCC,
    body: u64,
    bytes: u64,
    end: u64,
}

impl Fragments {
    /// None: a file with one table of all its samples.
    pub(super) fn find<R: Read + Seek>(source: &mut R, end: u64) -> Result<Option<Self>, Error> {
        let (mut at, mut defaults) = (0, HashMap::new());
        while let Some(outer) = outer(source, at, end)? {
            if outer.kind == MOOV {
                defaults = defaults_in(&read(source, &outer)?)?;
            }
            if outer.kind == MOOF {
                return Ok(Some(Self { begin: at, next: at, end, defaults, times: HashMap::new() }));
            }
            at = outer.end;
        }
        Ok(None)
    }

    /// The samples of the next fragment; None: that was the last. What a recording that was cut off lacks is left out.
    pub(super) fn next<R: Read + Seek>(&mut self, source: &mut R) -> Result<Option<Vec<Sample>>, Error> {
        while let Some(outer) = outer(source, self.next, self.end)? {
            let begin = self.next;
            self.next = outer.end;
            if outer.kind == MOOF && outer.end <= self.end {
                let moof = Moof::decode_body(&mut Cursor::new(read(source, &outer)?))?;
                return self.samples(&moof, begin).map(Some);
            }
        }
        Ok(None)
    }

    fn samples(&mut self, moof: &Moof, begin: u64) -> Result<Vec<Sample>, Error> {
        let mut samples = Vec::new();
        // Where the data of the track before ends (8.8.7.1).
        let mut after = begin;
        for (n, traf) in moof.traf.iter().enumerate() {
            let is_from_moof = traf.tfhd.default_base_is_moof || n == 0;
            let base = traf.tfhd.base_data_offset.unwrap_or(if is_from_moof { begin } else { after });
            after = self.track(traf, base, &mut samples)?;
        }
        samples.retain(|sample| sample.offset.saturating_add(sample.size.into()) <= self.end);
        Ok(samples)
    }

    fn track(&mut self, traf: &Traf, base: u64, samples: &mut Vec<Sample>) -> Result<u64, Error> {
        let (track, default) = (traf.tfhd.track_id, Defaults::of(traf, &self.defaults));
        let continued = self.times.get(&track).copied().unwrap_or(0);
        let mut start = traf.tfdt.as_ref().map_or(continued, |tfdt| tfdt.base_media_decode_time);
        let mut offset = base;
        for run in &traf.trun {
            if samples.len() + run.samples.len() > SAMPLES_MAX {
                return Err(Error::Unsupported("a fragment of more than 200000 samples"));
            }
            if let Some(from_base) = run.data_offset {
                let at = base.checked_add_signed(from_base.into());
                offset = at.ok_or(Error::Unsupported("a fragment whose samples are before the file"))?;
            }
            for entry in run.samples.iter() {
                let sample = default.sample(track, start, offset, &entry);
                start = start.saturating_add(sample.duration.into());
                offset = offset.saturating_add(sample.size.into());
                samples.push(sample);
            }
        }
        self.times.insert(track, start);
        Ok(offset)
    }
}

/// What holds of a fragment's samples that don't say it themselves.
struct Defaults {
    duration: u32,
    size: u32,
    flags: u32,
}

impl Defaults {
    fn of(traf: &Traf, of_tracks: &HashMap<u32, Trex>) -> Self {
        let (of_fragment, of_track) = (&traf.tfhd, of_tracks.get(&traf.tfhd.track_id));
        let said = |here: Option<u32>, there: fn(&Trex) -> u32| here.or(of_track.map(there)).unwrap_or(0);
        Self {
            duration: said(of_fragment.default_sample_duration, |trex| trex.default_sample_duration),
            size: said(of_fragment.default_sample_size, |trex| trex.default_sample_size),
            flags: said(of_fragment.default_sample_flags, |trex| trex.default_sample_flags),
        }
    }

    fn sample(&self, track: u32, start: u64, offset: u64, entry: &TrunEntry) -> Sample {
        Sample {
            track,
            start,
            duration: entry.duration.unwrap_or(self.duration),
            composition: entry.cts.unwrap_or(0),
            is_sync: entry.flags.unwrap_or(self.flags) & NOT_SYNC == 0,
            offset,
            size: entry.size.unwrap_or(self.size),
        }
    }
}

fn outer<R: Read + Seek>(source: &mut R, at: u64, end: u64) -> Result<Option<Outer>, Error> {
    const HEADER_BYTES: u64 = 8;
    if end.saturating_sub(at) < HEADER_BYTES {
        return Ok(None);
    }
    source.seek(SeekFrom::Start(at))?;
    let header = Header::read_from(source)?;
    let body = source.stream_position()?;
    let bytes = header.size.map_or(end.saturating_sub(body), |size| size as u64);
    Ok(Some(Outer { kind: header.kind, body, bytes, end: body.saturating_add(bytes) }))
}

fn read<R: Read + Seek>(source: &mut R, outer: &Outer) -> Result<Vec<u8>, Error> {
    if outer.bytes > DESCRIPTION_BYTES_MAX as u64 {
        return Err(Error::Unsupported("a description of samples longer than 16 MiB"));
    }
    source.seek(SeekFrom::Start(outer.body))?;
    let mut bytes = Vec::new();
    source.take(outer.bytes).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn defaults_in(moov: &[u8]) -> Result<HashMap<u32, Trex>, Error> {
    let mut rest = Cursor::new(moov);
    while rest.has_remaining() {
        let header = Header::read_from(&mut rest)?;
        let (begin, size) = (rest.position() as usize, header.size.unwrap_or(rest.remaining()));
        let body = moov.get(begin..begin.saturating_add(size)).ok_or(Error::Unsupported("a box that is cut off"))?;
        if header.kind == Mvex::KIND {
            let tracks = Mvex::decode_body(&mut Cursor::new(body))?.trex;
            return Ok(tracks.into_iter().map(|trex| (trex.track_id, trex)).collect());
        }
        rest.set_position((begin + size) as u64);
    }
    Ok(HashMap::new())
}
