//! Bits of parameter sets and headers, most significant first, and the byte stuffing around them.

/// Reads bits; every method answers `None` past the end.
#[derive(Debug, Clone)]
pub(crate) struct BitReader<'a> {
    data: &'a [u8],
    position: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { data, position: 0 }
    }

    /// Bits read so far.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        let byte = *self.data.get(self.position / 8)?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Some(bit == 1)
    }

    /// At most 32 bits.
    pub(crate) fn bits(&mut self, count: u32) -> Option<u32> {
        debug_assert!(count <= 32);
        let mut value = 0_u64;
        for _ in 0..count {
            value = value << 1 | u64::from(self.flag()?);
        }
        u32::try_from(value).ok()
    }

    pub(crate) fn skip(&mut self, count: usize) -> Option<()> {
        let position = self.position.checked_add(count)?;
        if position > self.data.len() * 8 {
            return None;
        }
        self.position = position;
        Some(())
    }

    /// `ue(v)`, H.264 9.1.
    pub(crate) fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let rest = self.bits(zeros)?;
        Some(((1_u64 << zeros) - 1 + u64::from(rest)) as u32)
    }

    /// `ue(v)` that must not exceed `max`.
    pub(crate) fn ue_max(&mut self, max: u32) -> Option<u32> {
        self.ue().filter(|&value| value <= max)
    }

    /// `se(v)`, H.264 9.1.1.
    pub(crate) fn se(&mut self) -> Option<i32> {
        let code = i64::from(self.ue()?);
        let value = if code % 2 == 1 { (code + 1) / 2 } else { -(code / 2) };
        i32::try_from(value).ok()
    }
}

#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    data: Vec<u8>,
    used: usize,
}

impl BitWriter {
    pub(crate) fn flag(&mut self, bit: bool) {
        if self.used.is_multiple_of(8) {
            self.data.push(0);
        }
        if bit && let Some(last) = self.data.last_mut() {
            *last |= 0x80 >> (self.used % 8);
        }
        self.used += 1;
    }

    pub(crate) fn bits(&mut self, value: u32, count: u32) {
        for shift in (0..count).rev() {
            self.flag(value >> shift & 1 == 1);
        }
    }

    pub(crate) fn ue(&mut self, value: u32) {
        let code = u64::from(value) + 1;
        let length = 64 - code.leading_zeros();
        self.bits(0, length - 1);
        for shift in (0..length).rev() {
            self.flag(code >> shift & 1 == 1);
        }
    }

    /// The last byte is filled with zeros.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.data
    }
}

/// A NAL unit without its emulation prevention bytes, H.264 7.3.1.
pub(crate) fn unescape(nal: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for &byte in nal {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

/// The inverse of [`unescape`].
pub(crate) fn escape(rbsp: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(rbsp.len() + 8);
    let mut zeros = 0;
    for &byte in rbsp {
        if zeros >= 2 && byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn exp_golomb_codes_of_the_standard() {
        let table = [(0b1000_0000, 0, 0), (0b0100_0000, 1, 1), (0b0110_0000, 2, -1), (0b0010_0000, 3, 2)];
        for (byte, unsigned, signed) in table {
            assert_eq!(BitReader::new(&[byte]).ue(), Some(unsigned));
            assert_eq!(BitReader::new(&[byte]).se(), Some(signed));
        }
    }

    #[test]
    fn endless_zeros_end() {
        assert_eq!(BitReader::new(&[0; 64]).ue(), None);
        assert_eq!(BitReader::new(&[]).flag(), None);
        assert_eq!(BitReader::new(&[0]).skip(9), None);
        assert_eq!(BitReader::new(&[0]).skip(usize::MAX), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(values in proptest::collection::vec(0_u32..u32::MAX, 0..20)) {
            let mut writer = BitWriter::default();
            for &value in &values {
                writer.ue(value);
            }
            let data = writer.finish();
            let mut reader = BitReader::new(&data);
            for &value in &values {
                prop_assert_eq!(reader.ue(), Some(value));
            }
        }

        #[test]
        fn escaped_bytes_hold_no_start_code(rbsp in proptest::collection::vec(0_u8..5, 0..60)) {
            let escaped = escape(&rbsp);
            prop_assert!(escaped.windows(3).all(|w| !matches!(w, [0, 0, 0..=2])));
            prop_assert_eq!(unescape(&escaped), rbsp);
        }
    }
}
