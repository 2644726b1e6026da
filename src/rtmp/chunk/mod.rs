//! Messages cut into chunks and put together again, RTMP 1.0 5.3.

mod reader;
mod writer;

pub use reader::{Limits, Reader};
pub use writer::Writer;

use bytes::Bytes;

/// Chunk size of both directions until `Set Chunk Size`, 5.4.1.
pub const CHUNK_BYTES_DEFAULT: u32 = 128;
/// A timestamp field with this value says that 4 more bytes hold the timestamp, 5.3.1.3.
const EXTENDED: u32 = 0xff_ffff;

/// `Set Chunk Size` and `Abort`, the messages that the chunk layer itself obeys, 5.4.1 and 5.4.2.
pub const KIND_SET_CHUNK_SIZE: u8 = 1;
pub const KIND_ABORT: u8 = 2;

/// One whole message as the chunk layer knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Wraps at 2^32.
    pub timestamp_ms: u32,
    /// Message type, 5.4, 6.1 and 7.1.
    pub kind: u8,
    pub stream_id: u32,
    pub payload: Bytes,
}
