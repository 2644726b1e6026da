//! Looks at the boxes of an untrusted file before a parser that recurses and allocates by them.

use crate::media::error::{Error, limit};

/// `moov/trak/mdia/minf/stbl/stsd/avc1/avcC` is 8 deep; 400 nested boxes overflow the stack of `mp4-atom`.
const DEPTH_MAX: usize = 10;
/// An init segment or a fragment has some 40 boxes.
const BOXES_MAX: usize = 10_000;
/// What is looked at in one piece.
const INPUT_MAX_BYTES: usize = 64 * 1024 * 1024;
/// Entries of one table; each takes at least a byte of its box, but may take far more memory once parsed.
const ENTRIES_MAX: u32 = 1_000_000;

const WHAT: &str = "the MP4 file";

/// Whether all boxes lie within their parents, none deeper than ten, and no table is longer than its box.
pub fn check(data: &[u8]) -> Result<(), Error> {
    limit(WHAT, data.len(), INPUT_MAX_BYTES)?;
    let mut boxes = 0;
    // Ends of the boxes that are open, outermost first.
    let mut open: Vec<usize> = vec![data.len()];
    let mut at = 0;
    while let Some(&end) = open.last() {
        if end - at < HEADER_BYTES {
            // Less than a header is padding, which QuickTime writers leave.
            at = end;
            open.pop();
            continue;
        }
        boxes += 1;
        if boxes > BOXES_MAX {
            return Err(Error::malformed(WHAT, "too many boxes"));
        }
        let header = header(data, at, end)?;
        match children_at(data, &header) {
            Some(children) if children <= header.end => {
                if open.len() >= DEPTH_MAX {
                    return Err(Error::malformed(WHAT, "boxes nested too deep"));
                }
                open.push(header.end);
                at = children;
            }
            Some(_) => return Err(Error::malformed(WHAT, "a box too short for its kind")),
            None => {
                check_table(data, &header)?;
                at = header.end;
            }
        }
    }
    Ok(())
}

const HEADER_BYTES: usize = 8;

struct Header {
    kind: [u8; 4],
    body: usize,
    end: usize,
}

/// ISO/IEC 14496-12 4.2.
fn header(data: &[u8], at: usize, parent_end: usize) -> Result<Header, Error> {
    let broken = |why| Error::malformed(WHAT, why);
    let read_u32 = |at: usize| data.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
    let size = read_u32(at).ok_or_else(|| broken("cut short"))?;
    let kind: [u8; 4] = data.get(at + 4..at + 8).and_then(|b| b.try_into().ok()).ok_or_else(|| broken("cut short"))?;
    let (size, body) = match size {
        0 => (parent_end - at, at + HEADER_BYTES),
        1 => {
            let large = data.get(at + 8..at + 16).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes);
            let large = large.ok_or_else(|| broken("cut short"))?;
            (usize::try_from(large).map_err(|_| broken("a box beyond the end"))?, at + 16)
        }
        size => (size as usize, at + HEADER_BYTES),
    };
    let end = at.checked_add(size).filter(|&end| end <= parent_end).ok_or_else(|| broken("a box beyond its parent"))?;
    if end < body {
        return Err(broken("a box smaller than its header"));
    }
    Ok(Header { kind, body, end })
}

/// Where the children of a box start, if it has any.
fn children_at(data: &[u8], header: &Header) -> Option<usize> {
    const VISUAL_SAMPLE_ENTRY: usize = 78;
    const AUDIO_SAMPLE_ENTRY: usize = 28;
    let skip = match &header.kind {
        b"moov" | b"trak" | b"mdia" | b"minf" | b"stbl" | b"dinf" | b"mvex" | b"edts" | b"udta" | b"moof" | b"traf"
        | b"mfra" | b"tref" | b"ilst" | b"iprp" | b"ipco" | b"sinf" | b"schi" | b"wave" | b"strk" | b"strd"
        | b"meco" | b"rinf" | b"ainf" => 0,
        b"meta" => meta_header(data, header),
        b"stsd" | b"dref" | b"iinf" => 8,
        b"avc1" | b"avc2" | b"avc3" | b"avc4" | b"hvc1" | b"hev1" | b"av01" | b"vp08" | b"vp09" | b"encv" | b"jpeg"
        | b"uncv" => VISUAL_SAMPLE_ENTRY,
        b"mp4a" | b"Opus" | b"fLaC" | b".mp3" | b"ac-3" | b"ec-3" | b"enca" => AUDIO_SAMPLE_ENTRY,
        // The key of an iTunes item is its kind, so any box under `ilst` would have children; unknown ones are opaque.
        _ => return None,
    };
    Some(header.body + skip)
}

/// QuickTime's `meta` is no full box.
fn meta_header(data: &[u8], header: &Header) -> usize {
    let plain = data.get(header.body + 4..header.body + 8) == Some(b"hdlr");
    if plain { 0 } else { 4 }
}

/// Entry counts that their box can't hold.
fn check_table(data: &[u8], header: &Header) -> Result<(), Error> {
    let (at, entry_bytes) = match &header.kind {
        b"stts" | b"ctts" => (4, 8),
        b"stsc" => (4, 12),
        b"stco" | b"stss" => (4, 4),
        b"co64" => (4, 8),
        b"stsz" => return check_stsz(data, header),
        b"trun" => return check_trun(data, header),
        _ => return Ok(()),
    };
    check_count(data, header, at, at + 4, entry_bytes)
}

fn check_count(data: &[u8], header: &Header, count_at: usize, table_at: usize, entry: usize) -> Result<(), Error> {
    let body = &data[header.body..header.end];
    let count = body.get(count_at..count_at + 4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
    let count = count.ok_or(Error::malformed(WHAT, "a table without a count"))?;
    let fits = body.len().saturating_sub(table_at) / entry.max(1) >= count as usize || entry == 0;
    if count > ENTRIES_MAX || !fits {
        return Err(Error::malformed(WHAT, "a table longer than its box"));
    }
    Ok(())
}

/// A count without entries where all samples have one size.
fn check_stsz(data: &[u8], header: &Header) -> Result<(), Error> {
    let same_size = data.get(header.body + 4..header.body + 8).is_some_and(|size| size != [0; 4]);
    check_count(data, header, 8, 12, if same_size { 0 } else { 4 })
}

/// The flags tell what each entry holds.
fn check_trun(data: &[u8], header: &Header) -> Result<(), Error> {
    let flags = data.get(header.body + 1..header.body + 4).unwrap_or(&[0; 3]);
    let entry = (flags[1] & 0x0f).count_ones() as usize * 4;
    let table = 8 + 4 * usize::from(flags[2] & 1) + 4 * usize::from(flags[2] >> 2 & 1);
    check_count(data, header, 4, table, entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> Vec<u8> {
        let mut data = Vec::new();
        for level in (1..=depth).rev() {
            let size = (level * 8) as u32;
            data.extend(size.to_be_bytes());
            data.extend(b"moov");
        }
        data
    }

    #[test]
    fn boxes_nested_too_deep_are_refused() {
        assert!(check(&nested(9)).is_ok());
        for depth in [10, 400, 9_999] {
            assert!(check(&nested(depth)).is_err(), "{depth}");
        }
    }

    #[test]
    fn sizes_that_lie_are_refused() {
        let table: [&[u8]; 6] = [
            b"\0\0\0\x09free",
            b"\0\0\0\x04free",
            b"\0\0\0\x01free\0\0\0\0\0\0\0\x08",
            b"\0\0\0\x01free\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\0\0\0\x10moov\0\0\0\x09free",
            b"\0\0\0\x10stts\0\0\0\0\xff\xff\xff\xff",
        ];
        for data in table {
            assert!(check(data).is_err(), "{data:?}");
        }
        assert!(check(b"\0\0\0\0mdat1234").is_ok(), "to the end of the file");
        assert!(check(b"").is_ok());
    }
}
