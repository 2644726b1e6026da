//! The H.264 sequence parameter set (7.3.2.1.1), as far as players and we need it.

use crate::media::bits::{BitReader, BitWriter, escape, unescape};

/// Pictures wider or higher than this are no video that a browser plays; also keeps the arithmetic in range.
const SIZE_MAX: u32 = 16_384;
/// `max_num_ref_frames`, H.264 A.3.1.
const REFERENCES_MAX: u32 = 16;
/// Frame rates beyond this are nonsense in the timing fields.
const FPS_MAX: f64 = 1000.0;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sps {
    pub(crate) width: u16,
    pub(crate) height: u16,
    pub(crate) fps: Option<f64>,
    /// `max_num_reorder_frames`, where it is told.
    pub(crate) reorder_frames: Option<u32>,
    references: u32,
    vui: Vui,
}

/// Where, in bits of the RBSP, the flag lies that a bitstream restriction would be put behind.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Vui {
    /// Position of `vui_parameters_present_flag`.
    Absent(usize),
    /// Position of `bitstream_restriction_flag`.
    Present(usize),
}

impl Sps {
    /// `nal` with its header byte and emulation prevention.
    pub(crate) fn parse(nal: &[u8]) -> Option<Self> {
        if nal.first()? & 0x1f != super::SPS {
            return None;
        }
        Self::parse_rbsp(&unescape(nal))
    }

    fn parse_rbsp(rbsp: &[u8]) -> Option<Self> {
        let mut r = BitReader::new(rbsp);
        r.skip(8)?;
        let profile = r.bits(8)?;
        r.skip(16)?;
        r.ue_max(31)?;
        let chroma =
            if has_chroma_format(profile) { chroma_format(&mut r)? } else { Chroma { format: 1, planes: false } };
        r.ue_max(12)?;
        picture_order(&mut r)?;
        let references = r.ue_max(REFERENCES_MAX)?;
        r.skip(1)?;
        let size = picture_size(&mut r, &chroma)?;
        let at = r.position();
        let mut sps =
            Self { width: size.0, height: size.1, fps: None, reorder_frames: None, references, vui: Vui::Absent(at) };
        if r.flag()? {
            sps.parse_vui(&mut r)?;
        }
        Some(sps)
    }

    /// E.1.1.
    fn parse_vui(&mut self, r: &mut BitReader<'_>) -> Option<()> {
        const EXTENDED_SAR: u32 = 255;
        if r.flag()? && r.bits(8)? == EXTENDED_SAR {
            r.skip(32)?;
        }
        if r.flag()? {
            r.skip(1)?;
        }
        if r.flag()? {
            r.skip(4)?;
            if r.flag()? {
                r.skip(24)?;
            }
        }
        if r.flag()? {
            r.ue()?;
            r.ue()?;
        }
        if r.flag()? {
            let (units, scale) = (r.bits(32)?, r.bits(32)?);
            r.skip(1)?;
            self.fps = frame_rate(units, scale);
        }
        let (nal, vcl) = (hrd(r)?, hrd(r)?);
        if nal || vcl {
            r.skip(1)?;
        }
        r.skip(1)?;
        self.vui = Vui::Present(r.position());
        if r.flag()? {
            r.skip(1)?;
            for _ in 0..4 {
                r.ue()?;
            }
            self.reorder_frames = Some(r.ue()?);
            r.ue()?;
        }
        Some(())
    }
}

/// The SPS with `max_num_reorder_frames = 0` (F19), or `None` where it has a bitstream restriction.
pub(super) fn restrict_reordering(nal: &[u8]) -> Option<Vec<u8>> {
    let rbsp = unescape(nal);
    let sps = Sps::parse(nal)?;
    if sps.reorder_frames.is_some() {
        return None;
    }
    let (Vui::Absent(at) | Vui::Present(at)) = sps.vui;
    let mut r = BitReader::new(&rbsp);
    let mut w = BitWriter::default();
    for _ in 0..at {
        w.flag(r.flag()?);
    }
    w.flag(true);
    if let Vui::Absent(_) = sps.vui {
        // Eight parts of the VUI that are not there, then the flag of the restriction.
        w.bits(0, 8);
        w.flag(true);
    }
    write_restriction(&mut w, sps.references.max(1));
    Some(escape(&w.finish()))
}

/// From `motion_vectors_over_pic_boundaries_flag` to the trailing bits.
fn write_restriction(w: &mut BitWriter, references: u32) {
    const UNLIMITED: u32 = 0;
    const LONGEST_VECTOR_LOG2: u32 = 15;
    w.flag(true);
    w.ue(UNLIMITED);
    w.ue(UNLIMITED);
    w.ue(LONGEST_VECTOR_LOG2);
    w.ue(LONGEST_VECTOR_LOG2);
    w.ue(0);
    w.ue(references);
    w.flag(true);
}

pub(super) fn sps_id(nal: &[u8]) -> Option<u32> {
    let rbsp = unescape(nal.get(..nal.len().min(16))?);
    BitReader::new(rbsp.get(4..)?).ue_max(31)
}

pub(super) fn pps_id(nal: &[u8]) -> Option<u32> {
    let rbsp = unescape(nal.get(..nal.len().min(16))?);
    BitReader::new(rbsp.get(1..)?).ue_max(255)
}

struct Chroma {
    format: u32,
    planes: bool,
}

fn has_chroma_format(profile: u32) -> bool {
    matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135)
}

fn chroma_format(r: &mut BitReader<'_>) -> Option<Chroma> {
    let format = r.ue_max(3)?;
    let planes = format == 3 && r.flag()?;
    r.ue_max(6)?;
    r.ue_max(6)?;
    r.skip(1)?;
    if r.flag()? {
        for list in 0..if format == 3 { 12 } else { 8 } {
            if r.flag()? {
                scaling_list(r, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Some(Chroma { format, planes })
}

/// 7.3.2.1.1.1.
fn scaling_list(r: &mut BitReader<'_>, size: u32) -> Option<()> {
    let (mut last, mut next) = (8, 8);
    for _ in 0..size {
        if next != 0 {
            next = (last + r.se().filter(|delta| (-128..128).contains(delta))? + 256) % 256;
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

fn picture_order(r: &mut BitReader<'_>) -> Option<()> {
    match r.ue_max(2)? {
        0 => {
            r.ue_max(12)?;
        }
        1 => {
            r.skip(1)?;
            r.se()?;
            r.se()?;
            for _ in 0..r.ue_max(255)? {
                r.se()?;
            }
        }
        _ => {}
    }
    Some(())
}

/// From `pic_width_in_mbs_minus1` to the cropping; the size that is shown.
fn picture_size(r: &mut BitReader<'_>, chroma: &Chroma) -> Option<(u16, u16)> {
    let width = (r.ue_max(SIZE_MAX / 16)? + 1) * 16;
    let map_units = r.ue_max(SIZE_MAX / 16)? + 1;
    let frames_only = r.flag()?;
    let fields = if frames_only { 1 } else { 2 };
    let height = map_units * 16 * fields;
    if !frames_only {
        r.skip(1)?;
    }
    r.skip(1)?;
    let mut crop = [0; 4];
    if r.flag()? {
        for side in &mut crop {
            *side = r.ue_max(SIZE_MAX)?;
        }
    }
    let subsampled = !chroma.planes;
    let unit_x = if subsampled && matches!(chroma.format, 1 | 2) { 2 } else { 1 };
    let unit_y = if subsampled && chroma.format == 1 { 2 } else { 1 } * fields;
    let width = width.checked_sub((crop[0] + crop[1]) * unit_x).filter(|&w| w > 0 && w <= SIZE_MAX)?;
    let height = height.checked_sub((crop[2] + crop[3]) * unit_y).filter(|&h| h > 0 && h <= SIZE_MAX)?;
    Some((u16::try_from(width).ok()?, u16::try_from(height).ok()?))
}

/// Two fields make a frame, E.2.1.
fn frame_rate(units_in_tick: u32, time_scale: u32) -> Option<f64> {
    let fps = f64::from(time_scale) / (2.0 * f64::from(units_in_tick));
    (fps.is_finite() && fps > 0.0 && fps <= FPS_MAX).then_some(fps)
}

/// The flag before `hrd_parameters()` and they themselves, E.1.2.
fn hrd(r: &mut BitReader<'_>) -> Option<bool> {
    if !r.flag()? {
        return Some(false);
    }
    let count = r.ue_max(31)? + 1;
    r.skip(8)?;
    for _ in 0..count {
        r.ue()?;
        r.ue()?;
        r.skip(1)?;
    }
    r.skip(20)?;
    Some(true)
}
