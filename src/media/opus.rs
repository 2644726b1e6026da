//! Opus: the identification header (RFC 7845 5.1) and what a packet's first byte tells (RFC 6716 3.1).

use crate::media::error::Error;
use crate::media::frame::{AudioConfig, Codec};
use bytes::{BufMut, Bytes, BytesMut};

/// What every Opus decoder counts in.
pub(crate) const SAMPLE_RATE: u32 = 48_000;
/// Browsers play up to 7.1.
const CHANNELS_MAX: u8 = 8;
/// 120 ms, RFC 6716 3.2.5.
const PACKET_MAX_SAMPLES: u32 = 5_760;

const WHAT: &str = "the Opus header";

/// From `OpusHead` to the payload of `dOps`, which is the same in the other byte order.
pub(crate) fn config(head: &[u8]) -> Result<AudioConfig, Error> {
    let truncated = || Error::malformed(WHAT, "cut short");
    let body = head.strip_prefix(b"OpusHead").ok_or(Error::malformed(WHAT, "it does not start with OpusHead"))?;
    let &[version, channels, skip0, skip1, rate0, rate1, rate2, rate3, gain0, gain1, family, ref mapping @ ..] = body
    else {
        return Err(truncated());
    };
    if version > 15 || channels == 0 || channels > CHANNELS_MAX || (family == 0 && channels > 2) {
        return Err(Error::malformed(WHAT, "an unknown version or channel count"));
    }
    let mut record = BytesMut::new();
    record.put_slice(&[0, channels, skip1, skip0, rate3, rate2, rate1, rate0, gain1, gain0, family]);
    if family != 0 {
        record.put_slice(mapping.get(..2 + usize::from(channels)).ok_or_else(truncated)?);
    }
    Ok(AudioConfig {
        codec: Codec::Opus,
        codec_string: "opus".into(),
        sample_rate: SAMPLE_RATE,
        channels,
        record: record.freeze(),
    })
}

/// Samples per channel of a packet.
pub(crate) fn packet_samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let config = usize::from(toc >> 3);
    let frame = match config {
        0..12 => [480, 960, 1920, 2880][config % 4],
        12..16 => [480, 960][config % 2],
        _ => [120, 240, 480, 960][config % 4],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    Some(frame * frames).filter(|samples| (1..=PACKET_MAX_SAMPLES).contains(samples))
}

/// 20 ms of silence for one or two channels: an empty full-band CELT frame.
pub(crate) fn silence(channels: u8) -> Option<Bytes> {
    match channels {
        1 => Some(Bytes::from_static(&[0xf8, 0xff, 0xfe])),
        2 => Some(Bytes::from_static(&[0xfc, 0xff, 0xfe])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00";

    #[test]
    fn the_header_becomes_the_payload_of_its_box() {
        let config = config(HEAD).unwrap();
        assert_eq!((config.sample_rate, config.channels), (48_000, 2));
        assert_eq!(&config.record[..], [0, 2, 1, 0x38, 0, 0, 0xbb, 0x80, 0, 0, 0]);
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for end in 0..HEAD.len() {
            assert!(config(&HEAD[..end]).is_err(), "{end} bytes");
        }
        for (at, value) in [(0, b'o'), (8, 16), (9, 0), (9, 3), (18, 1)] {
            let mut wrong = HEAD.to_vec();
            wrong[at] = value;
            assert!(config(&wrong).is_err(), "byte {at}");
        }
    }

    #[test]
    fn packets_tell_their_length() {
        let table: [(&[u8], Option<u32>); 7] = [
            (&[0xfc], Some(960)),
            (&[0x78], Some(960)),
            (&[0x00], Some(480)),
            (&[0xfd], Some(1920)),
            (&[0xe3, 0x05], Some(600)),
            (&[0x1b, 0x3f], None),
            (&[], None),
        ];
        for (packet, samples) in table {
            assert_eq!(packet_samples(packet), samples, "{packet:02x?}");
        }
        assert_eq!(packet_samples(&silence(2).unwrap()), Some(960));
    }
}
