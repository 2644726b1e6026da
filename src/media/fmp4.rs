//! One frame as `[prft] moof mdat`, written straight into the buffer that viewers are sent.

pub mod guard;
pub(crate) mod init;
pub mod read;

use crate::media::error::{Error, limit};
use crate::media::fragment::HEADROOM;
use crate::media::frame::{Kind, Role};
use bytes::{BufMut, BytesMut};

/// One frame; a 4K keyframe at 100 Mbit/s is some 3 MB.
pub const FRAME_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Between the Unix and the NTP epoch.
const NTP_OFFSET_S: i64 = 2_208_988_800;

const PRFT_BYTES: usize = 32;
const MFHD_BYTES: usize = 16;
const TFHD_BYTES: usize = 16;
const TFDT_BYTES: usize = 20;
/// Without and with a composition time offset.
const TRUN_AUDIO_BYTES: usize = 32;
const TRUN_VIDEO_BYTES: usize = 36;
const BOX_HEADER_BYTES: usize = 8;

/// Offsets from the start of `prft`, fixed by what [`write()`] writes; `bridge` patches there.
const TFDT_TIME_AT: usize = PRFT_BYTES + BOX_HEADER_BYTES + MFHD_BYTES + BOX_HEADER_BYTES + TFHD_BYTES + 12;
const TRUN_AT: usize = TFDT_TIME_AT + 8;
const DURATION_AT: usize = TRUN_AT + 20;
const COMPOSITION_AT: usize = DURATION_AT + 12;
const VIDEO_HEADER_BYTES: usize = TRUN_AT + TRUN_VIDEO_BYTES + BOX_HEADER_BYTES;

/// What goes into the boxes of one fragment; times in units of the track's timescale.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chunk<'a> {
    pub(crate) kind: Kind,
    pub(crate) track: u32,
    pub(crate) sequence: u32,
    pub(crate) role: Role,
    pub(crate) start: u64,
    pub(crate) duration: u32,
    /// Presentation less decode time; video only.
    pub(crate) composition: i32,
    /// Wall clock at ingest, Unix time.
    pub(crate) ingest_us: i64,
    pub(crate) data: &'a [u8],
}

/// [`HEADROOM`] bytes, then the boxes, in one allocation of the exact size.
pub(crate) fn write(chunk: &Chunk<'_>) -> BytesMut {
    let trun_bytes = if chunk.kind == Kind::Video { TRUN_VIDEO_BYTES } else { TRUN_AUDIO_BYTES };
    let traf_bytes = BOX_HEADER_BYTES + TFHD_BYTES + TFDT_BYTES + trun_bytes;
    let moof_bytes = BOX_HEADER_BYTES + MFHD_BYTES + traf_bytes;
    let mdat_bytes = BOX_HEADER_BYTES + chunk.data.len();
    let mut out = BytesMut::with_capacity(HEADROOM + PRFT_BYTES + moof_bytes + mdat_bytes);
    out.put_bytes(0, HEADROOM);
    put_prft(&mut out, chunk);
    put_header(&mut out, moof_bytes, b"moof");
    put_header(&mut out, MFHD_BYTES, b"mfhd");
    out.put_u32(0);
    out.put_u32(chunk.sequence);
    put_header(&mut out, traf_bytes, b"traf");
    put_tfhd_and_tfdt(&mut out, chunk);
    put_trun(&mut out, chunk, trun_bytes, moof_bytes + BOX_HEADER_BYTES);
    put_header(&mut out, mdat_bytes, b"mdat");
    out.put_slice(chunk.data);
    out
}

/// A copy of a video fragment that begins at the earlier decode time `start`, and is shown and ends when it was (F20).
///
/// `boxes` is the fragment after its header room; the copy has a header room of its own.
pub fn bridge(boxes: &[u8], start: u64) -> Result<BytesMut, Error> {
    const WHAT: &str = "a fragment to bridge";
    let read_u32 = |at: usize| boxes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
    let known = boxes.len() >= VIDEO_HEADER_BYTES
        && &boxes[4..8] == b"prft"
        && &boxes[TRUN_AT + 4..TRUN_AT + 8] == b"trun"
        && read_u32(TRUN_AT) == Some(TRUN_VIDEO_BYTES as u32);
    let (true, Some(duration), Some(composition)) = (known, read_u32(DURATION_AT), read_u32(COMPOSITION_AT)) else {
        return Err(Error::malformed(WHAT, "not a video fragment of this server"));
    };
    let old = boxes[TFDT_TIME_AT..TRUN_AT].iter().fold(0_u64, |time, &byte| time << 8 | u64::from(byte));
    let out_of_range = || Error::malformed(WHAT, "the hole is too long, or no hole");
    let hole = old.checked_sub(start).and_then(|hole| u32::try_from(hole).ok()).ok_or_else(out_of_range)?;
    let duration = duration.checked_add(hole).ok_or_else(out_of_range)?;
    let composition = composition as i32;
    let composition = i32::try_from(i64::from(composition) + i64::from(hole)).map_err(|_| out_of_range())?;

    let mut out = BytesMut::with_capacity(HEADROOM + boxes.len());
    out.put_bytes(0, HEADROOM);
    out.put_slice(boxes);
    let patched = &mut out[HEADROOM..];
    patched[TFDT_TIME_AT..TRUN_AT].copy_from_slice(&start.to_be_bytes());
    patched[DURATION_AT..DURATION_AT + 4].copy_from_slice(&duration.to_be_bytes());
    patched[COMPOSITION_AT..COMPOSITION_AT + 4].copy_from_slice(&composition.to_be_bytes());
    Ok(out)
}

/// Refuses frames that no encoder makes.
pub(crate) fn check_frame_size(bytes: usize) -> Result<(), Error> {
    limit("a frame", bytes, FRAME_MAX_BYTES)
}

fn put_header(out: &mut BytesMut, size: usize, kind: &[u8; 4]) {
    out.put_u32(size as u32);
    out.put_slice(kind);
}

fn put_full_header(out: &mut BytesMut, size: usize, kind: &[u8; 4], version: u8, flags: u32) {
    put_header(out, size, kind);
    out.put_u32(u32::from(version) << 24 | flags);
}

/// ISO/IEC 14496-12 8.16.5 (F18).
fn put_prft(out: &mut BytesMut, chunk: &Chunk<'_>) {
    const ENCODER_OUTPUT_TIME: u32 = 1;
    put_full_header(out, PRFT_BYTES, b"prft", 1, ENCODER_OUTPUT_TIME);
    out.put_u32(chunk.track);
    out.put_u64(ntp(chunk.ingest_us));
    out.put_u64(chunk.start.saturating_add_signed(i64::from(chunk.composition)));
}

/// 32 bits of seconds, 32 of their fraction (RFC 5905 6).
fn ntp(unix_us: i64) -> u64 {
    let seconds = (unix_us.div_euclid(1_000_000) + NTP_OFFSET_S) as u32;
    let fraction = ((unix_us.rem_euclid(1_000_000) as u64) << 32) / 1_000_000;
    u64::from(seconds) << 32 | fraction
}

/// 8.8.7 and 8.8.12 (F2).
fn put_tfhd_and_tfdt(out: &mut BytesMut, chunk: &Chunk<'_>) {
    const DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;
    put_full_header(out, TFHD_BYTES, b"tfhd", 0, DEFAULT_BASE_IS_MOOF);
    out.put_u32(chunk.track);
    put_full_header(out, TFDT_BYTES, b"tfdt", 1, 0);
    out.put_u64(chunk.start);
}

/// 8.8.8; version 1, so that composition offsets may be negative (F13).
fn put_trun(out: &mut BytesMut, chunk: &Chunk<'_>, size: usize, data_offset: usize) {
    const DATA_OFFSET_DURATION_SIZE_FLAGS: u32 = 0x0701;
    const COMPOSITION: u32 = 0x0800;
    let composition = if chunk.kind == Kind::Video { COMPOSITION } else { 0 };
    put_full_header(out, size, b"trun", 1, DATA_OFFSET_DURATION_SIZE_FLAGS | composition);
    out.put_u32(1);
    out.put_u32(data_offset as u32);
    out.put_u32(chunk.duration);
    out.put_u32(chunk.data.len() as u32);
    out.put_u32(sample_flags(chunk.role));
    if composition != 0 {
        out.put_i32(chunk.composition);
    }
}

/// 8.8.3.1 (F4): `sample_depends_on`, `sample_is_depended_on`, `sample_is_non_sync_sample`.
fn sample_flags(role: Role) -> u32 {
    let (depends_on, is_depended_on, non_sync) = match role {
        Role::Key => (2, 1, 0),
        Role::Reference => (1, 1, 1),
        Role::Disposable => (1, 2, 1),
    };
    depends_on << 24 | is_depended_on << 22 | non_sync << 16
}

#[cfg(test)]
mod tests;
