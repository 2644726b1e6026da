//! The HEVC sequence parameter set (7.3.2.2.1), as far as players and we need it.

use crate::media::bits::{BitReader, unescape};

/// Pictures wider or higher than this are no video that a browser plays; also keeps the arithmetic in range.
const SIZE_MAX: u32 = 16_384;
/// H.265 7.4.3.2.1 and 7.4.8.
const SHORT_TERM_SETS_MAX: u32 = 64;
const REFERENCES_MAX: u32 = 16;
const LONG_TERM_MAX: u32 = 32;
/// Frame rates beyond this are nonsense in the timing fields.
const FPS_MAX: f64 = 1000.0;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sps {
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) fps: Option<f64>,
    pub(super) max_sub_layers_minus1: u8,
    /// `general_profile_space` to `general_level_idc`.
    pub(super) profile_tier_level: [u8; 12],
    pub(super) chroma_format: u8,
    pub(super) bit_depth_luma_minus8: u8,
    pub(super) bit_depth_chroma_minus8: u8,
}

impl Sps {
    /// `nal` with its header and emulation prevention.
    pub(super) fn parse(nal: &[u8]) -> Option<Self> {
        if nal.first()? >> 1 & 0x3f != super::SPS {
            return None;
        }
        let rbsp = unescape(nal);
        let mut r = BitReader::new(&rbsp);
        r.skip(16 + 4)?;
        let max_sub_layers_minus1 = r.bits(3).filter(|&n| n < 7)?;
        r.skip(1)?;
        let profile_tier_level = rbsp.get(3..15)?.try_into().ok()?;
        r.skip(96)?;
        sub_layer_levels(&mut r, max_sub_layers_minus1)?;
        r.ue_max(15)?;
        let chroma_format = r.ue_max(3)?;
        let planes = chroma_format == 3 && r.flag()?;
        let (width, height) = picture_size(&mut r, chroma_format, planes)?;
        let (luma, chroma) = (r.ue_max(8)?, r.ue_max(8)?);
        Some(Self {
            width,
            height,
            // What follows is only looked at for the frame rate, so it may be broken.
            fps: frame_rate(&mut r, max_sub_layers_minus1),
            max_sub_layers_minus1: max_sub_layers_minus1 as u8,
            profile_tier_level,
            chroma_format: chroma_format as u8,
            bit_depth_luma_minus8: luma as u8,
            bit_depth_chroma_minus8: chroma as u8,
        })
    }
}

/// The id of a video, sequence or picture parameter set.
pub(super) fn parameter_set_id(kind: u8, nal: &[u8]) -> Option<u32> {
    let rbsp = unescape(nal.get(..nal.len().min(256))?);
    let mut r = BitReader::new(&rbsp);
    r.skip(16)?;
    match kind {
        super::VPS => r.bits(4),
        super::SPS => {
            r.skip(4)?;
            let max_sub_layers_minus1 = r.bits(3)?;
            r.skip(1 + 96)?;
            sub_layer_levels(&mut r, max_sub_layers_minus1)?;
            r.ue_max(15)
        }
        _ => r.ue_max(63),
    }
}

/// The rest of `profile_tier_level()`, 7.3.3.
fn sub_layer_levels(r: &mut BitReader<'_>, max_sub_layers_minus1: u32) -> Option<()> {
    if max_sub_layers_minus1 == 0 {
        return Some(());
    }
    let mut bits = 0;
    for layer in 0..8 {
        let (profile, level) = (r.flag()?, r.flag()?);
        if layer < max_sub_layers_minus1 {
            bits += if profile { 88 } else { 0 } + if level { 8 } else { 0 };
        }
    }
    r.skip(bits)
}

fn picture_size(r: &mut BitReader<'_>, chroma_format: u32, planes: bool) -> Option<(u16, u16)> {
    let (width, height) = (r.ue_max(SIZE_MAX)?, r.ue_max(SIZE_MAX)?);
    let mut window = [0; 4];
    if r.flag()? {
        for side in &mut window {
            *side = r.ue_max(SIZE_MAX)?;
        }
    }
    let unit_x = if !planes && matches!(chroma_format, 1 | 2) { 2 } else { 1 };
    let unit_y = if !planes && chroma_format == 1 { 2 } else { 1 };
    let width = width.checked_sub((window[0] + window[1]) * unit_x).filter(|&w| w > 0)?;
    let height = height.checked_sub((window[2] + window[3]) * unit_y).filter(|&h| h > 0)?;
    Some((u16::try_from(width).ok()?, u16::try_from(height).ok()?))
}

/// From `log2_max_pic_order_cnt_lsb_minus4` to the timing in the VUI.
fn frame_rate(r: &mut BitReader<'_>, max_sub_layers_minus1: u32) -> Option<f64> {
    let order_bits = r.ue_max(12)? + 4;
    let layers = if r.flag()? { max_sub_layers_minus1 + 1 } else { 1 };
    for _ in 0..3 * layers {
        r.ue()?;
    }
    for _ in 0..6 {
        r.ue()?;
    }
    if r.flag()? && r.flag()? {
        scaling_lists(r)?;
    }
    r.skip(2)?;
    if r.flag()? {
        r.skip(8)?;
        r.ue()?;
        r.ue()?;
        r.skip(1)?;
    }
    short_term_sets(r)?;
    if r.flag()? {
        for _ in 0..r.ue_max(LONG_TERM_MAX)? {
            r.skip(order_bits as usize + 1)?;
        }
    }
    r.skip(2)?;
    if r.flag()? { vui_timing(r) } else { None }
}

/// 7.3.4.
fn scaling_lists(r: &mut BitReader<'_>) -> Option<()> {
    for size in 0..4 {
        for _ in 0..if size == 3 { 2 } else { 6 } {
            if !r.flag()? {
                r.ue()?;
                continue;
            }
            if size > 1 {
                r.se()?;
            }
            for _ in 0..64.min(1 << (4 + 2 * size)) {
                r.se()?;
            }
        }
    }
    Some(())
}

/// 7.3.7: each set may be told by the one before it, so the distances must be known.
fn short_term_sets(r: &mut BitReader<'_>) -> Option<()> {
    let mut before: Vec<i64> = Vec::new();
    for index in 0..r.ue_max(SHORT_TERM_SETS_MAX)? {
        before = if index > 0 && r.flag()? { predicted_set(r, &before)? } else { explicit_set(r)? };
    }
    Some(())
}

fn predicted_set(r: &mut BitReader<'_>, before: &[i64]) -> Option<Vec<i64>> {
    let negative = r.flag()?;
    let distance = i64::from(r.ue_max(1 << 15)?) + 1;
    let distance = if negative { -distance } else { distance };
    let mut set = Vec::new();
    for &base in before.iter().chain(&[0]) {
        let used = r.flag()?;
        let kept = used || r.flag()?;
        if kept && base + distance != 0 {
            set.push(base + distance);
        }
    }
    (set.len() <= REFERENCES_MAX as usize).then_some(set)
}

fn explicit_set(r: &mut BitReader<'_>) -> Option<Vec<i64>> {
    let (negative, positive) = (r.ue_max(REFERENCES_MAX)?, r.ue_max(REFERENCES_MAX)?);
    let mut set = Vec::new();
    for (count, sign) in [(negative, -1), (positive, 1)] {
        let mut distance = 0;
        for _ in 0..count {
            distance += i64::from(r.ue_max(1 << 15)?) + 1;
            r.skip(1)?;
            set.push(sign * distance);
        }
    }
    Some(set)
}

/// E.2.1.
fn vui_timing(r: &mut BitReader<'_>) -> Option<f64> {
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
    r.skip(3)?;
    if r.flag()? {
        for _ in 0..4 {
            r.ue()?;
        }
    }
    if !r.flag()? {
        return None;
    }
    let (units, scale) = (r.bits(32)?, r.bits(32)?);
    let fps = f64::from(scale) / f64::from(units);
    (fps.is_finite() && fps > 0.0 && fps <= FPS_MAX).then_some(fps)
}
