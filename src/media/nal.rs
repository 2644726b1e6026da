//! Length-prefixed NAL units of a sample, shared by H.264 and HEVC (ISO/IEC 14496-15 4.3.2).

use crate::media::error::Error;
use bytes::{BufMut, Bytes, BytesMut};
use std::ops::Range;

/// NAL units in one access unit; 8K pictures in slices of one macroblock row have some 300.
const UNITS_MAX: usize = 4096;

/// Bytes of the length before each unit: 1, 2 or 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LengthSize(usize);

impl LengthSize {
    /// From the two bits `lengthSizeMinusOne` of a configuration record.
    pub(crate) fn from_bits(minus_one: u8) -> Result<Self, Error> {
        match minus_one & 3 {
            2 => Err(Error::malformed("the decoder configuration", "NAL unit lengths of 3 bytes")),
            bits => Ok(Self(usize::from(bits) + 1)),
        }
    }

    pub(crate) fn minus_one(self) -> u8 {
        self.0 as u8 - 1
    }
}

/// Where the units of a sample lie, without their lengths; empty units are left out.
pub(crate) fn units(sample: &[u8], length: LengthSize) -> impl Iterator<Item = Result<Range<usize>, Error>> + '_ {
    let mut at = 0;
    let mut seen = 0;
    std::iter::from_fn(move || {
        loop {
            if at >= sample.len() {
                return None;
            }
            let next = next_unit(sample, at, length);
            seen += 1;
            let range = match next {
                Some(range) if seen <= UNITS_MAX => range,
                _ => {
                    at = sample.len();
                    let why = if seen > UNITS_MAX { "too many NAL units" } else { "a NAL unit longer than the frame" };
                    return Some(Err(Error::malformed("a video frame", why)));
                }
            };
            at = range.end;
            if !range.is_empty() {
                return Some(Ok(range));
            }
        }
    })
}

fn next_unit(sample: &[u8], at: usize, length: LengthSize) -> Option<Range<usize>> {
    let prefix = sample.get(at..at + length.0)?;
    let size = prefix.iter().fold(0_usize, |size, &byte| size << 8 | usize::from(byte));
    let start = at + length.0;
    let end = start.checked_add(size)?;
    (end <= sample.len()).then_some(start..end)
}

/// The parts of a sample worth keeping, as they are collected.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Neighbours are merged.
    ranges: Vec<Range<usize>>,
}

impl Kept {
    /// A NAL unit with the length before it.
    pub(crate) fn push_unit(&mut self, unit: &Range<usize>, length: LengthSize) {
        self.push(unit.start - length.0..unit.end);
    }

    pub(crate) fn push(&mut self, whole: Range<usize>) {
        match self.ranges.last_mut() {
            Some(last) if last.end == whole.start => last.end = whole.end,
            _ => self.ranges.push(whole),
        }
    }

    /// The sample of what was kept: a slice where they lie together, else a copy.
    pub(crate) fn finish(self, sample: &Bytes) -> Bytes {
        match self.ranges.as_slice() {
            [] => Bytes::new(),
            [one] => sample.slice(one.clone()),
            many => {
                let mut out = BytesMut::with_capacity(many.iter().map(Range::len).sum());
                for range in many {
                    out.put_slice(&sample[range.clone()]);
                }
                out.freeze()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn four() -> LengthSize {
        LengthSize::from_bits(3).unwrap()
    }

    #[test]
    fn units_are_found_and_empty_ones_left_out() {
        let sample = [0, 0, 0, 2, 0x67, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0x65];
        let found: Result<Vec<_>, _> = units(&sample, four()).collect();
        assert_eq!(found.unwrap(), [4..6, 14..15]);
    }

    #[test]
    fn a_unit_longer_than_the_frame_is_an_error_and_the_end() {
        for sample in [&[0, 0, 0, 9, 1][..], &[0, 0], &[0xff, 0xff, 0xff, 0xff, 1]] {
            let found: Vec<_> = units(sample, four()).collect();
            assert_eq!(found.len(), 1);
            assert!(found[0].is_err());
        }
    }

    #[test]
    fn too_many_units_are_an_error_and_the_end() {
        let sample = [0, 0, 0, 1, 9].repeat(UNITS_MAX + 2);
        let found: Vec<_> = units(&sample, four()).collect();
        assert_eq!(found.len(), UNITS_MAX + 1);
        assert!(found[UNITS_MAX].is_err());
    }

    #[test]
    fn neighbours_are_sliced_and_others_copied() {
        let sample = Bytes::from_static(&[0, 0, 0, 1, 9, 0, 0, 0, 1, 1, 0, 0, 0, 1, 12, 0, 0, 0, 1, 2]);
        let mut kept = Kept::default();
        kept.push_unit(&(9..10), four());
        assert_eq!(kept.finish(&sample).as_ptr(), sample[5..].as_ptr());
        let mut kept = Kept::default();
        kept.push_unit(&(9..10), four());
        kept.push_unit(&(19..20), four());
        assert_eq!(&kept.finish(&sample)[..], [0, 0, 0, 1, 1, 0, 0, 0, 1, 2]);
    }
}
