//! What a fragment says of itself, read back from its boxes where it comes from another node.

use crate::media::error::{Error, limit};
use crate::media::fmp4::{FRAME_MAX_BYTES, NTP_OFFSET_S};
use crate::media::frame::Role;
use crate::media::time::units_to_us;

const WHAT: &str = "a fragment of another node";
const HEADER_BYTES: usize = 8;
/// All boxes but the media; another version may write more of them than this one.
const BOXES_MAX_BYTES: usize = 4 * 1024;

/// One frame's place in its track; times in units of the track's timescale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    pub track: u32,
    pub role: Role,
    pub start: u64,
    pub duration: u32,
    /// Wall clock at ingest, Unix time of the node that took it in; 0 where there is no `prft`.
    pub ingest_us: i64,
}

impl Label {
    /// Media time at which it begins and ends; `timescale` is its track's.
    pub fn span_us(&self, timescale: u32) -> (i64, i64) {
        let us = |units: u64| {
            let units = i64::try_from(units).ok().filter(|units| *units <= i64::MAX / 1_000_000);
            units.map_or(i64::MAX, |units| units_to_us(units, timescale))
        };
        (us(self.start), us(self.start.saturating_add(u64::from(self.duration))))
    }
}

/// Reads `[prft] moof mdat` with one sample; boxes that are not known are passed over.
pub fn read(boxes: &[u8]) -> Result<Label, Error> {
    limit(WHAT, boxes.len(), FRAME_MAX_BYTES + BOXES_MAX_BYTES)?;
    let mut top = Boxes(boxes);
    let mut ingest_us = 0;
    let mut moof = None;
    while let Some((kind, body)) = top.next()? {
        match kind {
            b"prft" => ingest_us = Fields(body).skip(8).and_then(|mut fields| fields.u64()).map_or(0, unix_us),
            b"moof" => moof = Some(body),
            b"mdat" => {
                let moof = moof.ok_or_else(|| broken("media before its `moof`"))?;
                let label = Label { ingest_us, ..fragment(moof, body.len())? };
                return if top.0.is_empty() { Ok(label) } else { Err(broken("more than one `mdat`")) };
            }
            _ => {}
        }
    }
    Err(broken("no `mdat`"))
}

fn broken(why: &'static str) -> Error {
    Error::malformed(WHAT, why)
}

/// A box's kind and what is in it.
type Part<'a> = (&'a [u8; 4], &'a [u8]);

/// The boxes side by side in a buffer, all of it.
struct Boxes<'a>(&'a [u8]);

impl<'a> Boxes<'a> {
    fn next(&mut self) -> Result<Option<Part<'a>>, Error> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let (size, rest) = self.0.split_first_chunk::<4>().ok_or_else(|| broken("a box is cut off"))?;
        let (kind, _) = rest.split_first_chunk::<4>().ok_or_else(|| broken("a box is cut off"))?;
        let size = u32::from_be_bytes(*size) as usize;
        if size < HEADER_BYTES || size > self.0.len() {
            return Err(broken("a box is longer than what it is in, or shorter than its header"));
        }
        let (this, next) = self.0.split_at(size);
        self.0 = next;
        Ok(Some((kind, &this[HEADER_BYTES..])))
    }

    fn find(mut self, wanted: &[u8; 4]) -> Result<&'a [u8], Error> {
        while let Some((kind, body)) = self.next()? {
            if kind == wanted {
                return Ok(body);
            }
        }
        Err(broken("a box is missing"))
    }
}

/// Big-endian numbers, one after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u32(&mut self) -> Option<u32> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*first))
    }

    fn u64(&mut self) -> Option<u64> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*first))
    }

    fn skip(self, bytes: usize) -> Option<Self> {
        self.0.get(bytes..).map(Self)
    }
}

fn fragment(moof: &[u8], mdat_bytes: usize) -> Result<Label, Error> {
    let traf = Boxes(moof).find(b"traf")?;
    let track = Fields(Boxes(traf).find(b"tfhd")?).skip(4).and_then(|mut fields| fields.u32());
    let start = start(Boxes(traf).find(b"tfdt")?);
    let sample = sample(Boxes(traf).find(b"trun")?);
    let (Some(track), Some(start), Some(sample)) = (track, start, sample) else {
        return Err(broken("a box is too short, or not of one frame"));
    };
    if sample.size != mdat_bytes || start.checked_add(u64::from(sample.duration)).is_none() {
        return Err(broken("the frame does not fit"));
    }
    Ok(Label { track, role: role(sample.flags), start, duration: sample.duration, ingest_us: 0 })
}

/// ISO/IEC 14496-12 8.8.12.
fn start(tfdt: &[u8]) -> Option<u64> {
    let mut fields = Fields(tfdt);
    match fields.u32()? >> 24 {
        0 => fields.u32().map(u64::from),
        _ => fields.u64(),
    }
}

struct Sample {
    duration: u32,
    size: usize,
    flags: u32,
}

/// 8.8.8; what we write names duration, size and flags for the sample itself.
fn sample(trun: &[u8]) -> Option<Sample> {
    const DATA_OFFSET: u32 = 0x1;
    const FIRST_FLAGS: u32 = 0x4;
    const DURATION_SIZE_FLAGS: u32 = 0x700;
    let mut fields = Fields(trun);
    let present = fields.u32()?;
    if fields.u32()? != 1 || present & DURATION_SIZE_FLAGS != DURATION_SIZE_FLAGS || present & FIRST_FLAGS != 0 {
        return None;
    }
    if present & DATA_OFFSET != 0 {
        fields.u32()?;
    }
    Some(Sample { duration: fields.u32()?, size: fields.u32()? as usize, flags: fields.u32()? })
}

/// 8.8.3.1, as [`super::write()`] sets it.
fn role(flags: u32) -> Role {
    let is_sync = flags >> 16 & 1 == 0;
    let is_disposable = flags >> 22 & 3 == 2;
    match (is_sync, is_disposable) {
        (true, _) => Role::Key,
        (false, true) => Role::Disposable,
        (false, false) => Role::Reference,
    }
}

/// From 32 bits of seconds since 1900 and 32 of their fraction (RFC 5905 6), rounded to the microsecond it was made of.
fn unix_us(ntp: u64) -> i64 {
    let seconds = (ntp >> 32) as i64 - NTP_OFFSET_S;
    let fraction_us = ((ntp & 0xffff_ffff) * 1_000_000).div_ceil(1 << 32);
    seconds * 1_000_000 + fraction_us as i64
}
