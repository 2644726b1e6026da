//! AAC: `AudioSpecificConfig` (ISO/IEC 14496-3 1.6.2.1) and silence.

use crate::media::bits::{BitReader, BitWriter};
use crate::media::error::{Error, limit};
use crate::media::frame::{AudioConfig, Codec};
use bytes::Bytes;

/// A configuration with a program config element has some 40 bytes.
const CONFIG_MAX_BYTES: usize = 1024;
const SAMPLE_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
const SAMPLE_RATE_MAX: u32 = 192_000;

const WHAT: &str = "the AAC decoder configuration";
const SBR: u32 = 5;
const PS: u32 = 29;

/// What is needed beyond [`AudioConfig`], read from its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Specific {
    object_type: u32,
    /// Of the core coder, which frames are counted in.
    core_rate: u32,
    sample_rate: u32,
    channel_configuration: u32,
    core_frame: u32,
}

impl Specific {
    pub(crate) fn parse(record: &[u8]) -> Result<Self, Error> {
        limit(WHAT, record.len(), CONFIG_MAX_BYTES)?;
        Self::parse_bits(&mut BitReader::new(record)).ok_or(Error::malformed(WHAT, "not as ISO/IEC 14496-3 1.6.2.1"))
    }

    fn parse_bits(r: &mut BitReader<'_>) -> Option<Self> {
        let mut object_type = audio_object_type(r)?;
        let signalled = object_type;
        let core_rate = sample_rate(r)?;
        let channel_configuration = r.bits(4)?;
        let mut output_rate = core_rate;
        if matches!(object_type, SBR | PS) {
            output_rate = sample_rate(r)?;
            object_type = audio_object_type(r)?;
        }
        // GASpecificConfig 4.4.1: only its first flag matters here.
        let short = matches!(object_type, 1..=4 | 6 | 7 | 17 | 19..=23) && r.flag().unwrap_or(false);
        let core_frame = if short { 960 } else { 1024 };
        Some(Self { object_type: signalled, core_rate, sample_rate: output_rate, channel_configuration, core_frame })
    }

    /// Samples in a frame, at the output rate.
    pub(crate) fn frame_samples(&self) -> u32 {
        (u64::from(self.core_frame) * u64::from(self.sample_rate) / u64::from(self.core_rate)) as u32
    }

    fn channels(&self) -> Option<u8> {
        match self.channel_configuration {
            0 => Some(2),
            n @ 1..=6 => u8::try_from(n).ok(),
            7 | 12 | 14 => Some(8),
            11 => Some(7),
            _ => None,
        }
    }

    /// A frame of silence, or `None` for channel layouts that a program config element describes.
    pub(crate) fn silence(&self) -> Option<Bytes> {
        // Object types whose frames are `raw_data_block`s: main, LC, SSR, LTP and LC below SBR.
        if !matches!(self.object_type, 1..=5 | PS) {
            return None;
        }
        let elements: &[Element] = match self.channel_configuration {
            1 => &[Element::Single],
            2 => &[Element::Pair],
            3 => &[Element::Single, Element::Pair],
            4 => &[Element::Single, Element::Pair, Element::Single],
            5 => &[Element::Single, Element::Pair, Element::Pair],
            6 => &[Element::Single, Element::Pair, Element::Pair, Element::LowFrequency],
            7 => &[Element::Single, Element::Pair, Element::Pair, Element::Pair, Element::LowFrequency],
            _ => return None,
        };
        Some(silent_block(elements))
    }
}

/// Syntactic elements of a `raw_data_block`, 4.4.2.1.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Element {
    Single = 0,
    Pair = 1,
    LowFrequency = 3,
}

pub(crate) fn config(record: &Bytes) -> Result<AudioConfig, Error> {
    let specific = Specific::parse(record)?;
    let channels = specific.channels().ok_or(Error::malformed(WHAT, "an unknown channel configuration"))?;
    Ok(AudioConfig {
        codec: Codec::Aac,
        codec_string: format!("mp4a.40.{}", specific.object_type),
        sample_rate: specific.sample_rate,
        channels,
        record: record.clone(),
    })
}

fn audio_object_type(r: &mut BitReader<'_>) -> Option<u32> {
    match r.bits(5)? {
        0 => None,
        31 => Some(32 + r.bits(6)?),
        kind => Some(kind),
    }
}

fn sample_rate(r: &mut BitReader<'_>) -> Option<u32> {
    match r.bits(4)? {
        15 => r.bits(24).filter(|rate| (1_000..=SAMPLE_RATE_MAX).contains(rate)),
        index => SAMPLE_RATES.get(index as usize).copied(),
    }
}

fn silent_block(elements: &[Element]) -> Bytes {
    const END: u32 = 7;
    let mut w = BitWriter::default();
    let (mut singles, mut pairs) = (0, 0);
    for &element in elements {
        w.bits(element as u32, 3);
        let tag = if element == Element::Pair { &mut pairs } else { &mut singles };
        w.bits(if element == Element::LowFrequency { 0 } else { *tag }, 4);
        *tag += 1;
        if element == Element::Pair {
            // common_window, ics_info, ms_mask_present.
            w.flag(true);
            silent_ics_info(&mut w);
            w.bits(0, 2);
            silent_channel(&mut w, true);
            silent_channel(&mut w, true);
        } else {
            silent_channel(&mut w, false);
        }
    }
    w.bits(END, 3);
    w.finish().into()
}

/// One long window with no scale factor band in it, 4.4.2.1 `ics_info`.
fn silent_ics_info(w: &mut BitWriter) {
    w.bits(0, 1 + 2 + 1 + 6 + 1);
}

/// `individual_channel_stream` without sections, pulses, TNS and gain control.
fn silent_channel(w: &mut BitWriter, common_window: bool) {
    w.bits(0, 8);
    if !common_window {
        silent_ics_info(w);
    }
    w.bits(0, 3);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(record: &[u8]) -> Specific {
        Specific::parse(record).unwrap()
    }

    #[test]
    fn configurations_of_common_encoders() {
        let table: [(&[u8], &str, u32, u8, u32); 5] = [
            (&[0x11, 0x90], "mp4a.40.2", 48_000, 2, 1024),
            (&[0x12, 0x10, 0x56, 0xe5, 0x00], "mp4a.40.2", 44_100, 2, 1024),
            (&[0x14, 0x08], "mp4a.40.2", 16_000, 1, 1024),
            // HE-AAC, explicit: 24 kHz core, 48 kHz out.
            (&[0x2b, 0x11, 0x88, 0x00], "mp4a.40.5", 48_000, 2, 2048),
            (&[0x11, 0xb0], "mp4a.40.2", 48_000, 6, 1024),
        ];
        for (record, string, rate, channels, samples) in table {
            let config = config(&Bytes::from_static(record)).unwrap();
            assert_eq!(config.codec_string, string);
            assert_eq!((config.sample_rate, config.channels), (rate, channels));
            assert_eq!(parse(record).frame_samples(), samples);
        }
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        for record in [&[][..], &[0x11], &[0x00, 0x00], &[0x17, 0x80], &[0x11, 0x80 | 15 << 3]] {
            assert!(config(&Bytes::copy_from_slice(record)).is_err(), "{record:02x?}");
        }
        assert!(config(&vec![0x11; CONFIG_MAX_BYTES + 1].into()).is_err());
    }

    #[test]
    fn silence_is_a_few_bytes_for_each_layout() {
        for (channels, length) in [(1, 4), (2, 6), (3, 10), (4, 13), (5, 15), (6, 19), (7, 24)] {
            let record = [0x11, 0x80 | channels << 3];
            assert_eq!(parse(&record).silence().unwrap().len(), length, "{channels}");
        }
        assert_eq!(parse(&[0x11, 0x80]).silence(), None);
    }
}
