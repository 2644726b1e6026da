//! FLAC: `STREAMINFO` (RFC 9639 8.2) and the block size of a frame (9.1).

use crate::media::error::Error;
use crate::media::frame::{AudioConfig, Codec};
use bytes::{BufMut, BytesMut};

const STREAM_INFO_BYTES: usize = 34;
/// Browsers play up to 7.1 at 192 kHz.
const SAMPLE_RATE_MAX: u32 = 192_000;

const WHAT: &str = "the FLAC header";

/// From `fLaC` and its first block to the payload of `dfLa`.
pub(crate) fn config(header: &[u8]) -> Result<AudioConfig, Error> {
    const LAST_BLOCK: u8 = 0x80;
    let blocks = header.strip_prefix(b"fLaC").ok_or(Error::malformed(WHAT, "it does not start with fLaC"))?;
    let info = blocks.get(4..4 + STREAM_INFO_BYTES).ok_or(Error::malformed(WHAT, "cut short"))?;
    if blocks[0] & !LAST_BLOCK != 0 || blocks[1..4] != [0, 0, STREAM_INFO_BYTES as u8] {
        return Err(Error::malformed(WHAT, "STREAMINFO does not come first"));
    }
    let sample_rate = u32::from_be_bytes([0, info[10], info[11], info[12]]) >> 4;
    if sample_rate == 0 || sample_rate > SAMPLE_RATE_MAX {
        return Err(Error::malformed(WHAT, "the sample rate"));
    }
    let mut record = BytesMut::new();
    record.put_slice(&[0, 0, 0, 0, LAST_BLOCK, 0, 0, STREAM_INFO_BYTES as u8]);
    record.put_slice(info);
    Ok(AudioConfig {
        codec: Codec::Flac,
        codec_string: "flac".into(),
        sample_rate,
        channels: (info[12] >> 1 & 7) + 1,
        record: record.freeze(),
    })
}

pub(crate) fn frame_samples(frame: &[u8]) -> Option<u32> {
    let &[0xff, sync, code, _, number, ..] = frame else { return None };
    if sync & 0xfc != 0xf8 {
        return None;
    }
    // The number of the frame or sample is coded like UTF-8, whose first byte tells the length.
    let after_number = 4 + (number.leading_ones() as usize).max(1);
    match code >> 4 {
        1 => Some(192),
        n @ 2..=5 => Some(576 << (n - 2)),
        6 => frame.get(after_number).map(|&size| u32::from(size) + 1),
        7 => {
            let size = frame.get(after_number..after_number + 2)?;
            Some(u32::from(u16::from_be_bytes([size[0], size[1]])) + 1)
        }
        n @ 8..=15 => Some(256 << (n - 8)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Vec<u8> {
        let mut header = b"fLaC\x80\0\0\x22\x10\0\x10\0\0\0\0\0\0\0\x0b\xb8\x02\xf0".to_vec();
        header.resize(8 + STREAM_INFO_BYTES, 0);
        header
    }

    #[test]
    fn the_header_becomes_the_payload_of_its_box() {
        let config = config(&header()).unwrap();
        assert_eq!((config.sample_rate, config.channels, config.record.len()), (48_000, 2, 42));
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for end in 0..header().len() {
            assert!(config(&header()[..end]).is_err(), "{end} bytes");
        }
        for (at, value) in [(0, b'F'), (4, 4), (7, 0), (18, 0)] {
            let mut wrong = header();
            wrong[at] = value;
            if at == 18 {
                wrong[19] = 0;
                wrong[20] = 0;
            }
            assert!(config(&wrong).is_err(), "byte {at}");
        }
    }

    #[test]
    fn frames_tell_their_length() {
        let table: [(&[u8], Option<u32>); 5] = [
            (&[0xff, 0xf8, 0xc9, 0x18, 0x00], Some(4096)),
            (&[0xff, 0xf8, 0x29, 0x18, 0x00], Some(576)),
            (&[0xff, 0xf8, 0x69, 0x18, 0x00, 0x7f], Some(128)),
            (&[0xff, 0xf8, 0x79, 0x18, 0xc2, 0x80, 0x03, 0xff], Some(1024)),
            (&[0xff, 0xf8, 0x09, 0x18, 0x00], None),
        ];
        for (frame, samples) in table {
            assert_eq!(frame_samples(frame), samples, "{frame:02x?}");
        }
    }
}
