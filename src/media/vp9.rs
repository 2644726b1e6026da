//! VP9: `VPCodecConfigurationRecord` and what the start of a frame tells (VP9 6.2).

use crate::media::bits::BitReader;
use crate::media::error::Error;
use crate::media::frame::{Codec, Role, Sample, VideoConfig};
use bytes::{BufMut, Bytes, BytesMut};

const WHAT: &str = "the VP9 decoder configuration";
/// Without the initialization data, which VP9 does not have.
const RECORD_BYTES: usize = 8;
const VERSION_AND_FLAGS: [u8; 4] = [1, 0, 0, 0];
const SYNC_CODE: u32 = 0x49_8342;

/// The record of a stream, and the size that only its frames tell.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    record: [u8; RECORD_BYTES],
    size: Option<(u16, u16)>,
}

#[derive(Debug, PartialEq)]
struct Header {
    role: Role,
    size: Option<(u16, u16)>,
}

impl Stream {
    pub(crate) fn parse(record: &[u8]) -> Result<Self, Error> {
        // Some writers send the whole body of the box.
        let fields = record.strip_prefix(&VERSION_AND_FLAGS).unwrap_or(record);
        let fields = fields.get(..RECORD_BYTES).and_then(|fields| fields.try_into().ok());
        let mut record: [u8; RECORD_BYTES] = fields.ok_or(Error::malformed(WHAT, "cut short"))?;
        let chroma = record[2] >> 1 & 7;
        if record[0] > 3 || !matches!(record[2] >> 4, 8 | 10 | 12) || chroma > 3 || (record[5] == 0 && chroma != 3) {
            return Err(Error::malformed(WHAT, "an unknown profile, bit depth or chroma format"));
        }
        record[6..].fill(0);
        Ok(Self { record, size: None })
    }

    fn config(&self, (width, height): (u16, u16)) -> VideoConfig {
        let [profile, level, depth, ..] = self.record;
        let mut record = BytesMut::new();
        record.put_slice(&VERSION_AND_FLAGS);
        record.put_slice(&self.record);
        VideoConfig {
            codec: Codec::Vp9,
            codec_string: format!("vp09.{profile:02}.{level:02}.{:02}", depth >> 4),
            width,
            height,
            fps: None,
            record: record.freeze(),
        }
    }

    pub(crate) fn sample(&mut self, data: &Bytes) -> Result<Sample, Error> {
        let header = parse(data).ok_or(Error::malformed("a VP9 frame", "not as VP9 6.2"))?;
        let mut config = None;
        if let Some(size) = header.size.filter(|&size| self.size != Some(size)) {
            self.size = Some(size);
            config = Some(self.config(size));
        }
        Ok(Sample { config, role: header.role, data: data.clone() })
    }
}

fn parse(data: &[u8]) -> Option<Header> {
    let mut r = BitReader::new(data);
    if r.bits(2)? != 2 {
        return None;
    }
    let profile = r.bits(1)? | r.bits(1)? << 1;
    if profile == 3 {
        r.skip(1)?;
    }
    let referenced = Header { role: Role::Reference, size: None };
    if r.flag()? {
        return Some(referenced);
    }
    let inter = r.flag()?;
    let (shown, error_resilient) = (r.flag()?, r.flag()?);
    if !inter {
        return Some(Header { role: Role::Key, size: Some(key_frame_size(&mut r, profile)?) });
    }
    let intra_only = !shown && r.flag()?;
    if !error_resilient {
        r.skip(2)?;
    }
    let superframe = data.last()? & 0xe0 == 0xc0;
    if intra_only || superframe || r.bits(8)? != 0 {
        return Some(referenced);
    }
    Some(Header { role: Role::Disposable, size: None })
}

fn key_frame_size(r: &mut BitReader<'_>, profile: u32) -> Option<(u16, u16)> {
    const SRGB: u32 = 7;
    if r.bits(24)? != SYNC_CODE {
        return None;
    }
    if profile >= 2 {
        r.skip(1)?;
    }
    let odd = profile & 1 == 1;
    if r.bits(3)? == SRGB {
        r.skip(usize::from(odd))?;
    } else {
        r.skip(if odd { 4 } else { 1 })?;
    }
    let size = (r.bits(16)?, r.bits(16)?);
    Some((u16::try_from(size.0 + 1).ok()?, u16::try_from(size.1 + 1).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::bits::BitWriter;

    fn key_frame(width: u32, height: u32) -> Bytes {
        let mut w = BitWriter::default();
        w.bits(0b1000_0010, 8);
        w.bits(SYNC_CODE, 24);
        w.bits(0b0010, 4);
        w.bits(width - 1, 16);
        w.bits(height - 1, 16);
        w.finish().into()
    }

    #[test]
    fn the_size_comes_with_the_keyframe() {
        let mut stream = Stream::parse(&[0, 31, 0x82, 1, 1, 1, 0, 0]).unwrap();
        let sample = stream.sample(&key_frame(1280, 720)).unwrap();
        let config = sample.config.unwrap();
        assert_eq!((config.width, config.height), (1280, 720));
        assert_eq!(config.codec_string, "vp09.00.31.08");
        assert_eq!(sample.role, Role::Key);
        assert_eq!(stream.sample(&key_frame(1280, 720)).unwrap().config, None);
        assert!(stream.sample(&key_frame(640, 360)).unwrap().config.is_some());
    }

    #[test]
    fn frames_that_refresh_nothing_are_disposable() {
        let table: [(&[u8], Option<Role>); 5] = [
            (&[0b1000_0110, 0b0000_0000, 0b0000_0000], Some(Role::Disposable)),
            (&[0b1000_0110, 0b0000_0001, 0b0000_0000], Some(Role::Reference)),
            (&[0b1000_1000, 0], Some(Role::Reference)),
            (&[0b0100_0110, 0], None),
            (&[], None),
        ];
        for (data, role) in table {
            assert_eq!(parse(data).map(|header| header.role), role, "{data:?}");
        }
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        for record in [&[][..], &[0; 7], &[4, 31, 0x82, 1, 1, 1, 0, 0], &[0, 31, 0x92, 1, 1, 1, 0, 0]] {
            assert!(Stream::parse(record).is_err(), "{record:?}");
        }
        assert!(Stream::parse(&[1, 0, 0, 0, 0, 31, 0x82, 1, 1, 1, 0, 0]).is_ok(), "with the head of a full box");
    }
}
