//! The AV1 sequence header (5.5), and what must be known of it to read a frame header.

use crate::media::bits::BitReader;

/// `seq_force_screen_content_tools` and `seq_force_integer_mv` when each frame says.
const SELECT: u32 = 2;
/// Frame rates beyond this are nonsense in the timing fields.
const FPS_MAX: f64 = 1000.0;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sequence {
    profile: u32,
    pub(super) reduced_still_picture: bool,
    level: u32,
    tier: bool,
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) fps: Option<f64>,
    decoder_model: bool,
    equal_picture_interval: bool,
    buffer_delay_bits: u32,
    frame_id_bits: Option<u32>,
    screen_content_tools: u32,
    integer_mv: u32,
    order_hint_bits: u32,
    color: Color,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Color {
    high_bitdepth: bool,
    twelve_bit: bool,
    monochrome: bool,
    subsampling_x: bool,
    subsampling_y: bool,
    sample_position: u32,
}

impl Sequence {
    pub(super) fn parse(payload: &[u8]) -> Option<Self> {
        let mut r = BitReader::new(payload);
        let mut s = Self { profile: r.bits(3).filter(|&profile| profile <= 2)?, ..Self::default() };
        r.skip(1)?;
        s.reduced_still_picture = r.flag()?;
        if s.reduced_still_picture {
            s.level = r.bits(5)?;
        } else {
            s.parse_timing(&mut r)?;
            s.parse_operating_points(&mut r)?;
        }
        s.parse_size(&mut r)?;
        s.parse_tools(&mut r)?;
        r.skip(3)?;
        s.color = Color::parse(&mut r, s.profile)?;
        Some(s)
    }

    fn parse_timing(&mut self, r: &mut BitReader<'_>) -> Option<()> {
        if !r.flag()? {
            return Some(());
        }
        let (units, scale) = (r.bits(32)?, r.bits(32)?);
        self.equal_picture_interval = r.flag()?;
        if self.equal_picture_interval {
            // uvlc(), which is ue(v).
            let ticks = f64::from(r.ue()?) + 1.0;
            let fps = f64::from(scale) / (f64::from(units) * ticks);
            self.fps = Some(fps).filter(|fps| fps.is_finite() && *fps > 0.0 && *fps <= FPS_MAX);
        }
        self.decoder_model = r.flag()?;
        if self.decoder_model {
            self.buffer_delay_bits = r.bits(5)? + 1;
            r.skip(32 + 5 + 5)?;
        }
        Some(())
    }

    fn parse_operating_points(&mut self, r: &mut BitReader<'_>) -> Option<()> {
        let display_delay = r.flag()?;
        for point in 0..=r.bits(5)? {
            r.skip(12)?;
            let level = r.bits(5)?;
            let tier = level > 7 && r.flag()?;
            if point == 0 {
                (self.level, self.tier) = (level, tier);
            }
            if self.decoder_model && r.flag()? {
                r.skip(2 * self.buffer_delay_bits as usize + 1)?;
            }
            if display_delay && r.flag()? {
                r.skip(4)?;
            }
        }
        Some(())
    }

    fn parse_size(&mut self, r: &mut BitReader<'_>) -> Option<()> {
        let (width_bits, height_bits) = (r.bits(4)? + 1, r.bits(4)? + 1);
        self.width = u16::try_from(r.bits(width_bits)? + 1).ok()?;
        self.height = u16::try_from(r.bits(height_bits)? + 1).ok()?;
        if !self.reduced_still_picture && r.flag()? {
            let delta_bits = r.bits(4)? + 2;
            self.frame_id_bits = Some(r.bits(3)? + delta_bits + 1).filter(|&bits| bits <= 16);
            self.frame_id_bits?;
        }
        Some(())
    }

    fn parse_tools(&mut self, r: &mut BitReader<'_>) -> Option<()> {
        r.skip(3)?;
        (self.screen_content_tools, self.integer_mv) = (SELECT, SELECT);
        if self.reduced_still_picture {
            return Some(());
        }
        r.skip(4)?;
        let order_hint = r.flag()?;
        if order_hint {
            r.skip(2)?;
        }
        if !r.flag()? {
            self.screen_content_tools = r.bits(1)?;
        }
        if self.screen_content_tools > 0 && !r.flag()? {
            self.integer_mv = r.bits(1)?;
        }
        if order_hint {
            self.order_hint_bits = r.bits(3)? + 1;
        }
        Some(())
    }

    /// Which of the eight references a frame replaces; `r` stands behind `show_frame` (5.9.2).
    pub(super) fn refresh_frame_flags(&self, r: &mut BitReader<'_>, frame_type: u32, show_frame: bool) -> Option<u32> {
        const INTRA_ONLY_FRAME: u32 = 2;
        const SWITCH_FRAME: u32 = 3;
        const ALL: u32 = 0xff;
        if frame_type == SWITCH_FRAME || self.decoder_model {
            // Buffer removal times may follow, whose presence depends on layers: taken for referenced.
            return Some(ALL);
        }
        if !show_frame {
            r.skip(1)?;
        }
        let error_resilient = r.flag()?;
        r.skip(1)?;
        let screen_content = if self.screen_content_tools == SELECT { r.bits(1)? } else { self.screen_content_tools };
        if screen_content == 1 && self.integer_mv == SELECT {
            r.skip(1)?;
        }
        r.skip(self.frame_id_bits.unwrap_or(0) as usize)?;
        r.skip(1 + self.order_hint_bits as usize)?;
        if frame_type != INTRA_ONLY_FRAME && frame_type != 0 && !error_resilient {
            r.skip(3)?;
        }
        r.bits(8)
    }

    /// `av1C` from its second to its fourth byte.
    pub(super) fn record_fields(&self) -> [u8; 3] {
        let c = &self.color;
        let flags = [self.tier, c.high_bitdepth, c.twelve_bit, c.monochrome, c.subsampling_x, c.subsampling_y];
        let flags = flags.iter().fold(0_u8, |bits, &flag| bits << 1 | u8::from(flag));
        [(self.profile << 5 | self.level) as u8, flags << 2 | c.sample_position as u8, 0]
    }

    /// AV1 in ISO BMFF 5; optional parts are left out.
    pub(super) fn codec_string(&self) -> String {
        let tier = if self.tier { 'H' } else { 'M' };
        let depth = match (self.color.high_bitdepth, self.color.twelve_bit) {
            (_, true) => 12,
            (true, false) => 10,
            (false, false) => 8,
        };
        format!("av01.{}.{:02}{tier}.{depth:02}", self.profile, self.level)
    }
}

impl Color {
    /// 5.5.2.
    fn parse(r: &mut BitReader<'_>, profile: u32) -> Option<Self> {
        const SRGB: (u32, u32, u32) = (1, 13, 0);
        let mut c = Self { high_bitdepth: r.flag()?, ..Self::default() };
        c.twelve_bit = profile == 2 && c.high_bitdepth && r.flag()?;
        c.monochrome = profile != 1 && r.flag()?;
        let described = if r.flag()? { Some((r.bits(8)?, r.bits(8)?, r.bits(8)?)) } else { None };
        if c.monochrome {
            (c.subsampling_x, c.subsampling_y) = (true, true);
            return Some(c);
        }
        if described == Some(SRGB) {
            return Some(c);
        }
        r.skip(1)?;
        (c.subsampling_x, c.subsampling_y) = match profile {
            0 => (true, true),
            1 => (false, false),
            _ if c.twelve_bit => {
                let x = r.flag()?;
                (x, x && r.flag()?)
            }
            _ => (true, false),
        };
        if c.subsampling_x && c.subsampling_y {
            c.sample_position = r.bits(2)?;
        }
        Some(c)
    }
}
