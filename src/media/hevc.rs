//! HEVC as RTMP carries it: `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15 8.3.3.1) and length-prefixed access units.

mod sps;

use crate::media::error::{Error, limit};
use crate::media::frame::{Codec, Role, Sample, VideoConfig};
use crate::media::nal::{Kept, LengthSize, units};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use sps::Sps;

/// A configuration record; the longest seen in the field are under 500 bytes.
const RECORD_MAX_BYTES: usize = 16 * 1024;
/// One parameter set, since `nalUnitLength` could say 64 KiB.
const PARAMETER_SET_MAX_BYTES: usize = 4096;
/// Sets kept per kind, and kinds per record.
const PARAMETER_SETS_MAX: usize = 32;
const ARRAYS_MAX: usize = 8;

const WHAT: &str = "the HEVC decoder configuration";
/// Up to `numOfArrays`.
const HEADER_BYTES: usize = 22;

const FIRST_IRAP: u8 = 16;
const LAST_IRAP: u8 = 23;
const LAST_SLICE: u8 = 31;
const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;
const ACCESS_UNIT_DELIMITER: u8 = 35;
const FILLER: u8 = 38;

#[derive(Debug, Clone, PartialEq)]
struct Array {
    kind: u8,
    sets: Vec<Bytes>,
}

/// The parameter sets of a stream and how its units are delimited.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    length: LengthSize,
    header: [u8; HEADER_BYTES],
    arrays: Vec<Array>,
    /// `sps_max_sub_layers_minus1`, which tells what is disposable.
    top_layer: u8,
}

impl Record {
    pub(crate) fn parse(data: &Bytes) -> Result<Self, Error> {
        limit(WHAT, data.len(), RECORD_MAX_BYTES)?;
        let truncated = || Error::malformed(WHAT, "cut short");
        let mut rest = data.clone();
        let mut header = [0; HEADER_BYTES];
        rest.try_copy_to_slice(&mut header).map_err(|_| truncated())?;
        // Encoders of the time before the standard was finished write 0.
        if header[0] > 1 {
            return Err(Error::malformed(WHAT, "configurationVersion is not 1"));
        }
        header[0] = 1;
        let length = LengthSize::from_bits(header[21])?;
        let count = usize::from(rest.try_get_u8().map_err(|_| truncated())?);
        limit("the number of arrays in the HEVC decoder configuration", count, ARRAYS_MAX)?;
        let arrays = (0..count).map(|_| parse_array(&mut rest).ok_or_else(truncated)).collect::<Result<Vec<_>, _>>()?;
        let sets = arrays.iter().flat_map(|array| &array.sets);
        if sets.clone().any(|set| set.len() > PARAMETER_SET_MAX_BYTES) || sets.count() > PARAMETER_SETS_MAX {
            return Err(Error::malformed(WHAT, "too many or too long parameter sets"));
        }
        Ok(Self { length, header, arrays, top_layer: 0 })
    }

    fn serialize(&self) -> Bytes {
        const COMPLETE: u8 = 0x80;
        let mut out = BytesMut::new();
        out.put_slice(&self.header);
        out.put_u8(self.arrays.len() as u8);
        for array in &self.arrays {
            out.put_u8(COMPLETE | array.kind);
            out.put_u16(array.sets.len() as u16);
            for set in &array.sets {
                out.put_u16(set.len() as u16);
                out.put_slice(set);
            }
        }
        out.freeze()
    }

    fn sets(&self, kind: u8) -> &[Bytes] {
        self.arrays.iter().find(|array| array.kind == kind).map_or(&[], |array| &array.sets)
    }

    /// `None` while the parameter sets are still to come in band.
    pub(crate) fn config(&mut self) -> Result<Option<VideoConfig>, Error> {
        let (Some(nal), false) = (self.sets(SPS).first(), self.sets(PPS).is_empty()) else { return Ok(None) };
        let sps = Sps::parse(nal).ok_or(Error::malformed("the HEVC sequence parameter set", "not as H.265 7.3.2.2"))?;
        self.take_facts(&sps);
        Ok(Some(VideoConfig {
            codec: Codec::Hevc,
            codec_string: codec_string(&self.header),
            width: sps.width,
            height: sps.height,
            fps: sps.fps,
            record: self.serialize(),
        }))
    }

    /// The record repeats what the SPS says.
    fn take_facts(&mut self, sps: &Sps) {
        self.header[1..13].copy_from_slice(&sps.profile_tier_level);
        self.header[16] = 0xfc | sps.chroma_format;
        self.header[17] = 0xf8 | sps.bit_depth_luma_minus8;
        self.header[18] = 0xf8 | sps.bit_depth_chroma_minus8;
        self.top_layer = sps.max_sub_layers_minus1;
    }

    /// Role and sample of an access unit; in-band parameter sets go into `self` (F16).
    pub(crate) fn sample(&mut self, data: &Bytes) -> Result<Sample, Error> {
        let mut kept = Kept::default();
        let (mut slices, mut random_access, mut referenced, mut changed) = (false, true, false, false);
        for unit in units(data, self.length) {
            let unit = unit?;
            let &[first, second, ..] = &data[unit.clone()] else {
                return Err(Error::malformed("a video frame", "a NAL unit without its header"));
            };
            match first >> 1 & 0x3f {
                kind @ VPS..=PPS => changed |= self.replace(kind, data.slice(unit))?,
                ACCESS_UNIT_DELIMITER | FILLER => {}
                kind => {
                    if kind <= LAST_SLICE {
                        slices = true;
                        random_access &= (FIRST_IRAP..=LAST_IRAP).contains(&kind);
                        referenced |= !self.is_disposable(kind, second & 7);
                    }
                    kept.push_unit(&unit, self.length);
                }
            }
        }
        let role = match (slices && random_access, referenced || !slices) {
            (true, _) => Role::Key,
            (false, true) => Role::Reference,
            (false, false) => Role::Disposable,
        };
        let config = if changed { self.config()? } else { None };
        Ok(Sample { config, role, data: if slices { kept.finish(data) } else { Bytes::new() } })
    }

    /// A sub-layer non-reference picture (H.265 table 7-1) of the highest sub-layer, which no higher one refers to.
    fn is_disposable(&self, kind: u8, temporal_id_plus1: u8) -> bool {
        kind < FIRST_IRAP && kind.is_multiple_of(2) && temporal_id_plus1 == self.top_layer + 1
    }

    /// Takes `nal` into its array, in the place of the one with its id; says whether that changed anything.
    fn replace(&mut self, kind: u8, nal: Bytes) -> Result<bool, Error> {
        let what = "an in-band HEVC parameter set";
        if self.sets(kind).contains(&nal) {
            return Ok(false);
        }
        limit(what, nal.len(), PARAMETER_SET_MAX_BYTES)?;
        let id = sps::parameter_set_id(kind, &nal).ok_or(Error::malformed(what, "no id"))?;
        // The frame's buffer must not live as long as the configuration.
        let nal = Bytes::copy_from_slice(&nal);
        let at = match self.arrays.iter().position(|array| array.kind == kind) {
            Some(at) => at,
            None if self.arrays.len() < ARRAYS_MAX => {
                self.arrays.push(Array { kind, sets: Vec::new() });
                self.arrays.len() - 1
            }
            None => return Err(Error::malformed(what, "too many kinds of them")),
        };
        let sets = &mut self.arrays[at].sets;
        match sets.iter().position(|set| sps::parameter_set_id(kind, set) == Some(id)) {
            Some(at) => sets[at] = nal,
            None if sets.len() < PARAMETER_SETS_MAX => sets.push(nal),
            None => return Err(Error::malformed(what, "too many of them")),
        }
        Ok(true)
    }
}

fn parse_array(rest: &mut Bytes) -> Option<Array> {
    let kind = rest.try_get_u8().ok()? & 0x3f;
    let count = rest.try_get_u16().ok()?;
    let mut sets = Vec::new();
    for _ in 0..count {
        let size = usize::from(rest.try_get_u16().ok()?);
        if size > rest.len() {
            return None;
        }
        sets.push(rest.split_to(size));
    }
    sets.retain(|set| !set.is_empty());
    Some(Array { kind, sets })
}

/// ISO/IEC 14496-15 E.3.
fn codec_string(header: &[u8; HEADER_BYTES]) -> String {
    let space = ["", "A", "B", "C"][usize::from(header[1] >> 6)];
    let tier = if header[1] & 0x20 == 0 { 'L' } else { 'H' };
    let compatibility = u32::from_be_bytes([header[2], header[3], header[4], header[5]]).reverse_bits();
    let mut text = format!("hvc1.{space}{}.{compatibility:X}.{tier}{}", header[1] & 0x1f, header[12]);
    let constraints = &header[6..12];
    let used = constraints.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    for byte in &constraints[..used] {
        text.push_str(&format!(".{byte:X}"));
    }
    text
}

#[cfg(test)]
mod tests;
