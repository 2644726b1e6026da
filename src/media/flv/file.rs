//! An FLV file, read tag by tag from bytes as they come (FLV 10.1 E.2, E.3).

use crate::media::error::{Error, limit};
use crate::media::frame::Kind;
use bytes::{Buf, Bytes, BytesMut};

/// The header says how long it is; nobody makes it longer than nine bytes.
const HEADER_MAX_BYTES: usize = 1024;
/// Sizes are 24 bits.
const TAG_HEADER_BYTES: usize = 11;
const PREVIOUS_SIZE_BYTES: usize = 4;

const WHAT: &str = "the FLV file";

/// A tag of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tag {
    Media {
        kind: Kind,
        timestamp_ms: u32,
        body: Bytes,
    },
    /// Script data: the name and values of `onMetaData`, in AMF0.
    Script {
        timestamp_ms: u32,
        body: Bytes,
    },
}

/// Takes the bytes of a file, gives its tags; holds at most one tag and what was put in beyond it.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: BytesMut,
    started: bool,
    /// Bytes still to come that say nothing new: the size of the tag before.
    skip: usize,
}

impl Reader {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next tag, or `None` until there are more bytes.
    pub fn poll_tag(&mut self) -> Result<Option<Tag>, Error> {
        if !self.started && !self.take_header()? {
            return Ok(None);
        }
        while let Some(tag) = self.take_tag()? {
            if let Some(tag) = tag {
                return Ok(Some(tag));
            }
        }
        Ok(None)
    }

    fn take_header(&mut self) -> Result<bool, Error> {
        if self.buffer.len() < 9 {
            return Ok(false);
        }
        if &self.buffer[..3] != b"FLV" {
            return Err(Error::malformed(WHAT, "it does not start with FLV"));
        }
        let size = self.buffer[5..9].iter().fold(0_usize, |size, &byte| size << 8 | usize::from(byte));
        limit("the header of the FLV file", size, HEADER_MAX_BYTES)?;
        let size = size.max(9) + PREVIOUS_SIZE_BYTES;
        if self.buffer.len() < size {
            return Ok(false);
        }
        self.buffer.advance(size);
        self.started = true;
        Ok(true)
    }

    /// `Some(None)` is a tag of a kind that nobody defined.
    fn take_tag(&mut self) -> Result<Option<Option<Tag>>, Error> {
        const FILTERED: u8 = 0x20;
        let skipped = self.skip.min(self.buffer.len());
        self.buffer.advance(skipped);
        self.skip -= skipped;
        let Some(header) = self.buffer.get(..TAG_HEADER_BYTES) else { return Ok(None) };
        let kind = header[0] & 0x1f;
        if header[0] & FILTERED != 0 {
            return Err(Error::malformed(WHAT, "an encrypted tag"));
        }
        let size = usize::from(header[1]) << 16 | usize::from(header[2]) << 8 | usize::from(header[3]);
        let timestamp_ms = u32::from_be_bytes([header[7], header[4], header[5], header[6]]);
        if self.buffer.len() < TAG_HEADER_BYTES + size {
            return Ok(None);
        }
        self.buffer.advance(TAG_HEADER_BYTES);
        let body = self.buffer.split_to(size).freeze();
        self.skip = PREVIOUS_SIZE_BYTES;
        Ok(Some(match kind {
            8 => Some(Tag::Media { kind: Kind::Audio, timestamp_ms, body }),
            9 => Some(Tag::Media { kind: Kind::Video, timestamp_ms, body }),
            18 => Some(Tag::Script { timestamp_ms, body }),
            _ => None,
        }))
    }
}
