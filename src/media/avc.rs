//! H.264 as RTMP carries it: `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 5.3.3.1) and length-prefixed access units.

mod sps;

pub(crate) use sps::Sps;

use crate::media::error::{Error, limit};
use crate::media::frame::{Codec, Role, Sample, VideoConfig};
use crate::media::nal::{Kept, LengthSize, units};
use bytes::{BufMut, Bytes, BytesMut};

/// A configuration record; the longest seen in the field are under 300 bytes.
const RECORD_MAX_BYTES: usize = 16 * 1024;
/// One parameter set, since `sequenceParameterSetLength` could say 64 KiB.
const PARAMETER_SET_MAX_BYTES: usize = 4096;
/// Sets kept per kind: `pps_id` allows 256, encoders use one or two.
const PARAMETER_SETS_MAX: usize = 32;

const WHAT: &str = "the H.264 decoder configuration";

const SLICE: u8 = 1;
const SLICE_IDR: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;
const ACCESS_UNIT_DELIMITER: u8 = 9;
const FILLER: u8 = 12;
const SPS_EXTENSION: u8 = 13;

/// The parameter sets of a stream and how its units are delimited.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    length: LengthSize,
    sps: Vec<Bytes>,
    pps: Vec<Bytes>,
    /// What follows the sets for the high profiles.
    extension: Bytes,
}

impl Record {
    pub(crate) fn parse(data: &Bytes) -> Result<Self, Error> {
        limit(WHAT, data.len(), RECORD_MAX_BYTES)?;
        let truncated = || Error::malformed(WHAT, "cut short");
        let header = data.get(..6).ok_or_else(truncated)?;
        if header[0] != 1 {
            return Err(Error::malformed(WHAT, "configurationVersion is not 1"));
        }
        let length = LengthSize::from_bits(header[4])?;
        let mut at = 6;
        let sps = parse_sets(data, &mut at, usize::from(header[5] & 0x1f)).ok_or_else(truncated)?;
        let count = usize::from(*data.get(at).ok_or_else(truncated)?);
        at += 1;
        let pps = parse_sets(data, &mut at, count).ok_or_else(truncated)?;
        let sets = sps.iter().chain(&pps);
        if sets.clone().any(|set| set.len() > PARAMETER_SET_MAX_BYTES) || pps.len() > PARAMETER_SETS_MAX {
            return Err(Error::malformed(WHAT, "too many or too long parameter sets"));
        }
        Ok(Self { length, sps, pps, extension: extension(data.slice(at..)) })
    }

    fn serialize(&self) -> Bytes {
        let sets: usize = self.sps.iter().chain(&self.pps).map(|set| set.len() + 2).sum();
        let mut out = BytesMut::with_capacity(7 + sets + self.extension.len());
        out.put_u8(1);
        out.put_slice(self.sps.first().and_then(|sps| sps.get(1..4)).unwrap_or(&[0; 3]));
        out.put_u8(0xfc | self.length.minus_one());
        out.put_u8(0xe0 | self.sps.len() as u8);
        put_sets(&mut out, &self.sps);
        out.put_u8(self.pps.len() as u8);
        put_sets(&mut out, &self.pps);
        out.put_slice(&self.extension);
        out.freeze()
    }

    /// `None` while the parameter sets are still to come in band.
    pub(crate) fn config(&self) -> Result<Option<VideoConfig>, Error> {
        let (Some(nal), false) = (self.sps.first(), self.pps.is_empty()) else { return Ok(None) };
        let sps =
            Sps::parse(nal).ok_or(Error::malformed("the H.264 sequence parameter set", "not as H.264 7.3.2.1"))?;
        Ok(Some(VideoConfig {
            codec: Codec::Avc,
            codec_string: format!("avc1.{:02x}{:02x}{:02x}", nal[1], nal[2], nal[3]),
            width: sps.width,
            height: sps.height,
            fps: sps.fps,
            record: self.serialize(),
        }))
    }

    /// Role and sample of an access unit; in-band parameter sets go into `self` (F16).
    pub(crate) fn sample(&mut self, data: &Bytes) -> Result<Sample, Error> {
        let mut kept = Kept::default();
        let (mut slices, mut idr, mut referenced, mut changed) = (false, false, false, false);
        for unit in units(data, self.length) {
            let unit = unit?;
            let header = data[unit.start];
            match header & 0x1f {
                SPS => changed |= replace(&mut self.sps, data.slice(unit), sps::sps_id)?,
                PPS => changed |= replace(&mut self.pps, data.slice(unit), sps::pps_id)?,
                ACCESS_UNIT_DELIMITER | FILLER | SPS_EXTENSION => {}
                kind => {
                    if (SLICE..=SLICE_IDR).contains(&kind) {
                        slices = true;
                        idr |= kind == SLICE_IDR;
                        referenced |= header >> 5 & 3 != 0;
                    }
                    kept.push_unit(&unit, self.length);
                }
            }
        }
        let role = match (idr, referenced || !slices) {
            (true, _) => Role::Key,
            (false, true) => Role::Reference,
            (false, false) => Role::Disposable,
        };
        let config = if changed { self.config()? } else { None };
        Ok(Sample { config, role, data: if slices { kept.finish(data) } else { Bytes::new() } })
    }
}

/// The record with a promise in its SPS that frames are shown in decode order (F19); `None` if it says something already.
pub(crate) fn without_reordering(record: &Bytes) -> Option<Bytes> {
    let mut parsed = Record::parse(record).ok()?;
    let mut rewritten = false;
    for nal in &mut parsed.sps {
        if let Some(better) = sps::restrict_reordering(nal) {
            *nal = better.into();
            rewritten = true;
        }
    }
    rewritten.then(|| parsed.serialize())
}

/// Takes `nal` into the sets, in the place of the one with its id; says whether that changed anything.
fn replace(sets: &mut Vec<Bytes>, nal: Bytes, id: fn(&[u8]) -> Option<u32>) -> Result<bool, Error> {
    if sets.contains(&nal) {
        return Ok(false);
    }
    let what = "an in-band H.264 parameter set";
    limit(what, nal.len(), PARAMETER_SET_MAX_BYTES)?;
    let new_id = id(&nal).ok_or(Error::malformed(what, "no id"))?;
    // The frame's buffer must not live as long as the configuration.
    let nal = Bytes::copy_from_slice(&nal);
    match sets.iter().position(|set| id(set) == Some(new_id)) {
        Some(at) => sets[at] = nal,
        None if sets.len() < PARAMETER_SETS_MAX - 1 => sets.push(nal),
        None => return Err(Error::malformed(what, "too many of them")),
    }
    Ok(true)
}

fn parse_sets(data: &Bytes, at: &mut usize, count: usize) -> Option<Vec<Bytes>> {
    let mut sets = Vec::new();
    for _ in 0..count {
        let prefix = data.get(*at..*at + 2)?;
        let size = usize::from(u16::from_be_bytes([prefix[0], prefix[1]]));
        let start = *at + 2;
        data.get(start..start + size)?;
        *at = start + size;
        if size > 0 {
            sets.push(data.slice(start..start + size));
        }
    }
    Some(sets)
}

fn put_sets(out: &mut BytesMut, sets: &[Bytes]) {
    for set in sets {
        out.put_u16(set.len() as u16);
        out.put_slice(set);
    }
}

/// Chroma format, bit depths and SPS extensions, or nothing where a writer left garbage.
fn extension(rest: Bytes) -> Bytes {
    let count = rest.get(3).map_or(0, |&count| usize::from(count));
    let mut at = 4;
    match rest.len() >= 4 && parse_sets(&rest, &mut at, count).is_some() {
        true => rest.slice(..at),
        false => Bytes::new(),
    }
}

#[cfg(test)]
mod tests;
