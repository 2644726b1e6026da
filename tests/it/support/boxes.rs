//! Just enough of ISO BMFF to check what a viewer got.

/// A `[prft] moof mdat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    pub track: u32,
    /// `tfdt`.
    pub start: u64,
    pub duration: u32,
    pub is_sync: bool,
    /// `prft`: Unix time at which the frame was whole, by the node that the publisher is connected to.
    pub made_us: i64,
}

fn boxes(mut bytes: &[u8]) -> Vec<(String, &[u8])> {
    let mut found = Vec::new();
    while bytes.len() >= 8 {
        let size = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
        let name = String::from_utf8_lossy(&bytes[4..8]).into_owned();
        assert!(size >= 8 && size <= bytes.len(), "box {name} of {size} bytes in {}", bytes.len());
        found.push((name, &bytes[8..size]));
        bytes = &bytes[size..];
    }
    assert!(bytes.is_empty(), "{} bytes after the last box", bytes.len());
    found
}

fn child<'a>(bytes: &'a [u8], name: &str) -> &'a [u8] {
    boxes(bytes).into_iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("no {name}")).1
}

/// True for an init segment.
pub fn ftyp(message: &[u8]) -> bool {
    message.get(4..8) == Some(b"ftyp")
}

pub fn parse_chunk(message: &[u8]) -> Chunk {
    let names: Vec<String> = boxes(message).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["prft", "moof", "mdat"]);
    let prft = child(message, "prft");
    let traf = child(child(message, "moof"), "traf");
    let u32_at = |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let tfdt = child(traf, "tfdt");
    assert_eq!(tfdt[0], 1, "tfdt has 64 bits");
    let (tfhd, trun) = (child(traf, "tfhd"), child(traf, "trun"));
    let flags = u32_at(trun, 0) & 0x00ff_ffff;
    // Version and flags, sample count, data offset; then the sample's fields that the flags name.
    let mut at = 8 + if flags & 0x1 != 0 { 4 } else { 0 };
    let first_flags = (flags & 0x4 != 0).then(|| u32_at(trun, at));
    at += if flags & 0x4 != 0 { 4 } else { 0 };
    let duration = if flags & 0x100 != 0 { u32_at(trun, at) } else { 0 };
    at += if flags & 0x100 != 0 { 4 } else { 0 };
    at += if flags & 0x200 != 0 { 4 } else { 0 };
    let sample_flags = if flags & 0x400 != 0 { u32_at(trun, at) } else { first_flags.unwrap_or(0) };
    Chunk {
        track: u32_at(tfhd, 4),
        start: u64::from_be_bytes(tfdt[4..12].try_into().unwrap()),
        duration,
        is_sync: sample_flags & 0x0001_0000 == 0,
        made_us: unix_us(u32_at(prft, 8), u32_at(prft, 12)),
    }
}

/// NTP's seconds since 1900 and their fraction.
fn unix_us(seconds: u32, fraction: u32) -> i64 {
    (i64::from(seconds) - 2_208_988_800) * 1_000_000 + ((i64::from(fraction) * 1_000_000) >> 32)
}
