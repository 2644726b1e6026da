//! MP3: what the header of a frame tells (ISO/IEC 11172-3 2.4.1.3).

use crate::media::error::Error;
use crate::media::frame::{AudioConfig, Codec};
use bytes::Bytes;

const WHAT: &str = "an MP3 frame";

struct Header {
    sample_rate: u32,
    samples: u32,
    channels: u8,
}

fn parse(data: &[u8]) -> Option<Header> {
    const LAYER_3: u8 = 1;
    const MONO: u8 = 3;
    let &[0xff, b1, b2, b3, ..] = data else { return None };
    if b1 & 0xe0 != 0xe0 || b1 >> 1 & 3 != LAYER_3 {
        return None;
    }
    let rate = *[44_100_u32, 48_000, 32_000].get(usize::from(b2 >> 2 & 3))?;
    let (divisor, samples) = match b1 >> 3 & 3 {
        3 => (1, 1152),
        2 => (2, 576),
        0 => (4, 576),
        _ => return None,
    };
    let channels = if b3 >> 6 == MONO { 1 } else { 2 };
    Some(Header { sample_rate: rate / divisor, samples, channels })
}

pub(crate) fn config(frame: &[u8]) -> Result<AudioConfig, Error> {
    let header = parse(frame).ok_or(Error::malformed(WHAT, "no frame header"))?;
    Ok(AudioConfig {
        codec: Codec::Mp3,
        codec_string: "mp4a.6B".into(),
        sample_rate: header.sample_rate,
        channels: header.channels,
        record: Bytes::new(),
    })
}

pub(crate) fn frame_samples(frame: &[u8]) -> Option<u32> {
    parse(frame).map(|header| header.samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_tell_rate_channels_and_length() {
        let table = [
            ([0xff, 0xfb, 0x90, 0x64], 44_100, 2, 1152),
            ([0xff, 0xfb, 0x94, 0xc4], 48_000, 1, 1152),
            ([0xff, 0xf3, 0x90, 0x64], 22_050, 2, 576),
            ([0xff, 0xe3, 0x98, 0x64], 8_000, 2, 576),
        ];
        for (frame, rate, channels, samples) in table {
            let config = config(&frame).unwrap();
            assert_eq!((config.sample_rate, config.channels), (rate, channels));
            assert_eq!(frame_samples(&frame), Some(samples));
        }
        for frame in [&[][..], &[0xff, 0xfb, 0x90], &[0, 0, 0, 0], &[0xff, 0xfb, 0x9c, 0], &[0xff, 0xff, 0x90, 0]] {
            assert!(config(frame).is_err(), "{frame:02x?}");
        }
    }
}
