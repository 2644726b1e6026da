//! Server-to-client WebSocket frames, unmasked (RFC 6455 5.2).

use crate::media::fragment::HEADROOM;
use bytes::{BufMut, Bytes, BytesMut};

const FIN: u8 = 0x80;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// A control frame's payload may not be longer (RFC 6455 5.5).
const CONTROL_MAX: usize = 125;

/// One binary message, header and payload in one buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WsFrame {
    bytes: Bytes,
    header_bytes: usize,
}

impl WsFrame {
    /// Writes the header into the [`HEADROOM`] that `buffer` starts with.
    pub fn binary(mut buffer: BytesMut) -> Self {
        let payload_bytes = buffer.len().saturating_sub(HEADROOM);
        let (header, header_bytes) = header(BINARY, payload_bytes);
        let unused = HEADROOM - header_bytes;
        buffer[unused..HEADROOM].copy_from_slice(&header[..header_bytes]);
        Self { bytes: buffer.freeze().slice(unused..), header_bytes }
    }

    /// Frames bytes that have no room before them.
    pub fn binary_from(payload: &[u8]) -> Self {
        let mut buffer = BytesMut::zeroed(HEADROOM);
        buffer.extend_from_slice(payload);
        Self::binary(buffer)
    }

    /// What a WebSocket viewer is sent.
    pub fn message(&self) -> &Bytes {
        &self.bytes
    }

    /// What an HTTP viewer is sent.
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(self.header_bytes..)
    }
}

pub fn text(payload: &str) -> Bytes {
    whole(TEXT, payload.as_bytes())
}

/// A close frame; a reason that is too long is cut at a character.
pub fn close(code: u16, reason: &str) -> Bytes {
    let mut end = reason.len().min(CONTROL_MAX - 2);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut payload = Vec::with_capacity(2 + end);
    payload.put_u16(code);
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    whole(CLOSE, &payload)
}

pub fn ping() -> Bytes {
    whole(PING, b"")
}

pub fn pong(payload: &[u8]) -> Bytes {
    whole(PONG, &payload[..payload.len().min(CONTROL_MAX)])
}

fn whole(opcode: u8, payload: &[u8]) -> Bytes {
    let (header, header_bytes) = header(opcode, payload.len());
    let mut bytes = BytesMut::with_capacity(header_bytes + payload.len());
    bytes.extend_from_slice(&header[..header_bytes]);
    bytes.extend_from_slice(payload);
    bytes.freeze()
}

fn header(opcode: u8, payload_bytes: usize) -> ([u8; HEADROOM], usize) {
    let mut header = [0; HEADROOM];
    header[0] = FIN | opcode;
    if let Ok(short) = u8::try_from(payload_bytes)
        && short <= 125
    {
        header[1] = short;
        (header, 2)
    } else if let Ok(medium) = u16::try_from(payload_bytes) {
        header[1] = 126;
        header[2..4].copy_from_slice(&medium.to_be_bytes());
        (header, 4)
    } else {
        header[1] = 127;
        header[2..10].copy_from_slice(&(payload_bytes as u64).to_be_bytes());
        (header, 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_takes_the_shortest_form() {
        for (payload, start) in [
            (0, vec![0x82, 0]),
            (125, vec![0x82, 125]),
            (126, vec![0x82, 126, 0, 126]),
            (65_535, vec![0x82, 126, 0xff, 0xff]),
            (65_536, vec![0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let frame = WsFrame::binary_from(&vec![7; payload]);
            assert_eq!(&frame.message()[..start.len()], &start[..]);
            assert_eq!(frame.message().len(), start.len() + payload);
            assert_eq!(frame.payload(), vec![7; payload]);
        }
    }

    #[test]
    fn the_documented_example_of_an_unmasked_text_message() {
        assert_eq!(&text("Hello")[..], [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    }

    #[test]
    fn a_close_reason_is_cut_at_a_character() {
        let frame = close(4408, &"é".repeat(100));
        assert_eq!(frame.len(), 2 + 2 + 122);
        assert!(std::str::from_utf8(&frame[4..]).is_ok());
    }
}
