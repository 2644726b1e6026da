//! AV1 as RTMP carries it: `AV1CodecConfigurationRecord` and temporal units in the low-overhead format.

mod sequence;

use crate::media::bits::BitReader;
use crate::media::error::{Error, limit};
use crate::media::frame::{Codec, Role, Sample, VideoConfig};
use crate::media::nal::Kept;
use bytes::{BufMut, Bytes, BytesMut};
use sequence::Sequence;
use std::ops::Range;

/// A configuration record: four bytes and a sequence header, perhaps HDR metadata.
const RECORD_MAX_BYTES: usize = 16 * 1024;
/// Tile groups of a temporal unit.
const OBUS_MAX: usize = 4096;

const WHAT: &str = "the AV1 decoder configuration";
const MARKER_AND_VERSION: u8 = 0x81;

const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;

/// What the sequence header of a stream says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stream {
    /// The OBU's payload, and what it means.
    sequence: Option<(Bytes, Sequence)>,
    /// What else the record holds.
    metadata: Bytes,
}

impl Stream {
    pub(crate) fn parse(record: &Bytes) -> Result<Self, Error> {
        limit(WHAT, record.len(), RECORD_MAX_BYTES)?;
        if record.len() < 4 || record[0] != MARKER_AND_VERSION {
            return Err(Error::malformed(WHAT, "not version 1"));
        }
        let mut stream = Self::default();
        let obus = record.slice(4..);
        let mut metadata = BytesMut::new();
        for obu in split(&obus) {
            let obu = obu?;
            match obu.kind {
                SEQUENCE_HEADER => stream.sequence = Some(parse_sequence(&obus[obu.payload])?),
                _ => metadata.put_slice(&obus[obu.whole]),
            }
        }
        stream.metadata = metadata.freeze();
        Ok(stream)
    }

    /// `None` while the sequence header is still to come in band.
    pub(crate) fn config(&self) -> Option<VideoConfig> {
        let (payload, sequence) = self.sequence.as_ref()?;
        Some(VideoConfig {
            codec: Codec::Av1,
            codec_string: sequence.codec_string(),
            width: sequence.width,
            height: sequence.height,
            fps: sequence.fps,
            record: self.serialize(payload, sequence),
        })
    }

    /// The payload of `av1C`, with the sequence header in it (F15).
    fn serialize(&self, payload: &[u8], sequence: &Sequence) -> Bytes {
        const HAS_SIZE: u8 = 2;
        let mut out = BytesMut::new();
        out.put_u8(MARKER_AND_VERSION);
        out.put_slice(&sequence.record_fields());
        out.put_u8(SEQUENCE_HEADER << 3 | HAS_SIZE);
        put_leb128(&mut out, payload.len());
        out.put_slice(payload);
        out.put_slice(&self.metadata);
        out.freeze()
    }

    /// Role and sample of a temporal unit; a sequence header in it goes into `self` (F16).
    pub(crate) fn sample(&mut self, data: &Bytes) -> Result<Sample, Error> {
        let mut kept = Kept::default();
        let mut changed = false;
        let mut role = None;
        for obu in split(data) {
            let obu = obu?;
            match obu.kind {
                TEMPORAL_DELIMITER => continue,
                SEQUENCE_HEADER => {
                    let payload = &data[obu.payload];
                    if self.sequence.as_ref().is_none_or(|(known, _)| known != payload) {
                        self.sequence = Some(parse_sequence(payload)?);
                        changed = true;
                    }
                }
                FRAME_HEADER | FRAME => {
                    let next =
                        self.sequence.as_ref().map_or(Role::Reference, |(_, s)| frame_role(s, &data[obu.payload]));
                    role = Some(role.map_or(next, |role| combine(role, next)));
                }
                _ => {}
            }
            kept.push(obu.whole);
        }
        let config = if changed { self.config() } else { None };
        let data = if role.is_some() { kept.finish(data) } else { Bytes::new() };
        Ok(Sample { config, role: role.unwrap_or(Role::Reference), data })
    }
}

/// A temporal unit starts with a keyframe or does not, and can be left out if all its frames can.
fn combine(first: Role, next: Role) -> Role {
    match (first, next) {
        (Role::Key, _) => Role::Key,
        (Role::Disposable, Role::Disposable) => Role::Disposable,
        _ => Role::Reference,
    }
}

/// As far as the start of `uncompressed_header()` tells (AV1 5.9.2); `Reference` where in doubt.
fn frame_role(sequence: &Sequence, payload: &[u8]) -> Role {
    const KEY_FRAME: u32 = 0;
    let mut r = BitReader::new(payload);
    let role = (|| {
        if sequence.reduced_still_picture {
            return Some(Role::Key);
        }
        if r.flag()? {
            return Some(Role::Reference);
        }
        let frame_type = r.bits(2)?;
        let show_frame = r.flag()?;
        if frame_type == KEY_FRAME && show_frame {
            return Some(Role::Key);
        }
        let flags = sequence.refresh_frame_flags(&mut r, frame_type, show_frame)?;
        Some(if flags == 0 { Role::Disposable } else { Role::Reference })
    })();
    role.unwrap_or(Role::Reference)
}

fn parse_sequence(payload: &[u8]) -> Result<(Bytes, Sequence), Error> {
    let what = "the AV1 sequence header";
    limit(what, payload.len(), RECORD_MAX_BYTES)?;
    let sequence = Sequence::parse(payload).ok_or(Error::malformed(what, "not as AV1 5.5"))?;
    Ok((Bytes::copy_from_slice(payload), sequence))
}

#[derive(Debug)]
struct Obu {
    kind: u8,
    whole: Range<usize>,
    payload: Range<usize>,
}

/// The OBUs of a temporal unit; the last one may be without a size (AV1 5.3).
fn split(data: &[u8]) -> impl Iterator<Item = Result<Obu, Error>> + '_ {
    let mut at = 0;
    let mut seen = 0;
    std::iter::from_fn(move || {
        if at >= data.len() {
            return None;
        }
        seen += 1;
        let Some(obu) = obu_at(data, at).filter(|_| seen <= OBUS_MAX) else {
            at = data.len();
            return Some(Err(Error::malformed("an AV1 frame", "an OBU beyond its end, or too many")));
        };
        at = obu.whole.end;
        Some(Ok(obu))
    })
}

fn obu_at(data: &[u8], at: usize) -> Option<Obu> {
    let header = *data.get(at)?;
    let (forbidden, extension, has_size) = (header & 0x80 != 0, header & 4 != 0, header & 2 != 0);
    if forbidden {
        return None;
    }
    let mut start = at + 1 + usize::from(extension);
    let mut end = data.len();
    if has_size {
        let (size, length) = leb128(data.get(start..)?)?;
        start += length;
        end = start.checked_add(size)?;
    }
    (start <= end && end <= data.len()).then_some(Obu { kind: header >> 3 & 15, whole: at..end, payload: start..end })
}

/// Value and length, AV1 4.10.5.
fn leb128(data: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0_u64;
    for (n, &byte) in data.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, n + 1));
        }
    }
    None
}

fn put_leb128(out: &mut BytesMut, mut value: usize) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

#[cfg(test)]
mod tests;
