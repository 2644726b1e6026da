//! Bytes from a viewer become messages (RFC 6455 5): assembled, checked, bounded.

use crate::session::protocol::MESSAGE_BYTES_MAX;
use actix_http::ws::{OpCode, Parser, ProtocolError};
use bytes::{Bytes, BytesMut};
use std::time::Duration;

/// Of a client's frame: flags, length, mask (RFC 6455 5.2).
const HEADER_BYTES_MAX: usize = 14;

/// Frames of one viewer in a second: ten times what a player in trouble sends.
const FRAMES_PER_SECOND_MAX: u32 = 200;

/// One whole message.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    Text(Bytes),
    Binary(Bytes),
    Ping(Bytes),
    Pong,
    Close(Option<u16>),
}

/// Why a viewer's bytes are no WebSocket messages; says which close code that is.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    #[error("not the WebSocket protocol: {0}")]
    Protocol(ProtocolError),
    #[error("a message longer than {MESSAGE_BYTES_MAX} bytes")]
    TooLong,
    #[error("more than {FRAMES_PER_SECOND_MAX} frames a second")]
    TooMany,
    #[error("a text that is not UTF-8")]
    NotUtf8,
    #[error("a piece of a message where none may be")]
    OutOfPlace,
    #[error("a close code that may not be sent")]
    CloseCode,
}

impl Malformed {
    /// RFC 6455 7.4.1.
    pub fn close_code(&self) -> u16 {
        match self {
            Self::Protocol(_) | Self::OutOfPlace | Self::CloseCode => 1002,
            Self::NotUtf8 => 1007,
            Self::TooMany => 1008,
            Self::TooLong => 1009,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Text,
    Binary,
}

/// Decodes one viewer's bytes; holds memory only while a message is incomplete.
#[derive(Default)]
pub struct Inbound {
    rest: BytesMut,
    partial: Option<Box<(Type, BytesMut)>>,
    /// The second that is counted, and its frames.
    second: u64,
    frames: u32,
}

impl Inbound {
    pub fn push(&mut self, bytes: &[u8], now: Duration) {
        if self.second != now.as_secs() {
            self.second = now.as_secs();
            self.frames = 0;
        }
        self.rest.extend_from_slice(bytes);
    }

    pub fn poll(&mut self) -> Result<Option<Message>, Malformed> {
        loop {
            let frame = Parser::parse(&mut self.rest, true, MESSAGE_BYTES_MAX).map_err(|error| match error {
                ProtocolError::Overflow => Malformed::TooLong,
                other => Malformed::Protocol(other),
            })?;
            let Some((is_last, kind, payload)) = frame else {
                // The parser waits for the end of a frame however long it says it is.
                if self.rest.len() > MESSAGE_BYTES_MAX + HEADER_BYTES_MAX {
                    return Err(Malformed::TooLong);
                }
                if self.rest.is_empty() {
                    self.rest = BytesMut::new();
                }
                return Ok(None);
            };
            self.frames += 1;
            if self.frames > FRAMES_PER_SECOND_MAX {
                return Err(Malformed::TooMany);
            }
            let payload = payload.unwrap_or_default();
            let message = match kind {
                OpCode::Text => self.begin(Type::Text, payload, is_last)?,
                OpCode::Binary => self.begin(Type::Binary, payload, is_last)?,
                OpCode::Continue => self.go_on(&payload, is_last)?,
                // What controls the connection comes in one piece (RFC 6455 5.5).
                _ if !is_last => return Err(Malformed::OutOfPlace),
                OpCode::Ping => Some(Message::Ping(payload.freeze())),
                OpCode::Pong => Some(Message::Pong),
                OpCode::Close => Some(Message::Close(close_code(&payload)?)),
                OpCode::Bad => return Err(Malformed::OutOfPlace),
            };
            if message.is_some() {
                return Ok(message);
            }
        }
    }

    fn begin(&mut self, kind: Type, payload: BytesMut, is_last: bool) -> Result<Option<Message>, Malformed> {
        if self.partial.is_some() {
            return Err(Malformed::OutOfPlace);
        }
        if is_last {
            return whole(kind, payload).map(Some);
        }
        self.partial = Some(Box::new((kind, payload)));
        Ok(None)
    }

    fn go_on(&mut self, payload: &[u8], is_last: bool) -> Result<Option<Message>, Malformed> {
        let mut partial = self.partial.take().ok_or(Malformed::OutOfPlace)?;
        if partial.1.len() + payload.len() > MESSAGE_BYTES_MAX {
            return Err(Malformed::TooLong);
        }
        partial.1.extend_from_slice(payload);
        if is_last {
            let (kind, bytes) = *partial;
            return whole(kind, bytes).map(Some);
        }
        self.partial = Some(partial);
        Ok(None)
    }
}

fn whole(kind: Type, bytes: BytesMut) -> Result<Message, Malformed> {
    match kind {
        Type::Text => {
            std::str::from_utf8(&bytes).map_err(|_| Malformed::NotUtf8)?;
            Ok(Message::Text(bytes.freeze()))
        }
        Type::Binary => Ok(Message::Binary(bytes.freeze())),
    }
}

/// Of a close frame: nothing, or a code that may stand there (RFC 6455 7.4) and a reason.
fn close_code(payload: &[u8]) -> Result<Option<u16>, Malformed> {
    if payload.is_empty() {
        return Ok(None);
    }
    let (code, reason) = payload.split_first_chunk().ok_or(Malformed::CloseCode)?;
    match u16::from_be_bytes(*code) {
        code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => {
            std::str::from_utf8(reason).map_err(|_| Malformed::NotUtf8)?;
            Ok(Some(code))
        }
        _ => Err(Malformed::CloseCode),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client's frame with the mask `[0; 4]`.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn a_message_in_pieces_with_a_ping_between_is_one_message() {
        let mut inbound = Inbound::default();
        let bytes = [frame(0x01, b"He"), frame(0x89, b"p"), frame(0x80, b"llo")].concat();
        for byte in bytes {
            inbound.push(&[byte], Duration::ZERO);
        }
        assert_eq!(inbound.poll().unwrap(), Some(Message::Ping(Bytes::from_static(b"p"))));
        assert_eq!(inbound.poll().unwrap(), Some(Message::Text(Bytes::from_static(b"Hello"))));
        assert_eq!(inbound.poll().unwrap(), None);
        assert_eq!(inbound.rest.capacity(), 0);
    }

    #[test]
    fn a_close_frame_holds_nothing_or_a_code_that_may_be_sent() {
        let close = |payload: &[u8]| {
            let mut inbound = Inbound::default();
            inbound.push(&frame(0x88, payload), Duration::ZERO);
            inbound.poll().map_err(|error| error.close_code())
        };
        assert_eq!(close(b""), Ok(Some(Message::Close(None))));
        assert_eq!(close("\u{3}\u{0}".as_bytes()), Err(1002), "768");
        for code in [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4000, 4999_u16] {
            let reasoned = [&code.to_be_bytes()[..], "über".as_bytes()].concat();
            assert_eq!(close(&code.to_be_bytes()), Ok(Some(Message::Close(Some(code)))));
            assert_eq!(close(&reasoned), Ok(Some(Message::Close(Some(code)))));
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, u16::MAX] {
            assert_eq!(close(&code.to_be_bytes()), Err(1002), "{code}");
        }
    }

    #[test]
    fn what_breaks_the_protocol_is_refused_with_its_code() {
        let long = vec![b'x'; 125];
        let mut pieces = vec![frame(0x01, &long)];
        let floods = frame(0x89, b"").repeat(FRAMES_PER_SECOND_MAX as usize + 1);
        pieces.extend((0..=MESSAGE_BYTES_MAX / 125).map(|_| frame(0x00, &long)));
        for (bytes, code) in [
            (frame(0x81, &[0xff, 0xfe]), 1007),
            (frame(0x83, b""), 1002),
            (frame(0x80, b"x"), 1002),
            (frame(0x88, b"\x03"), 1002),
            (frame(0x08, b""), 1002),
            (frame(0x09, b""), 1002),
            ([frame(0x01, b"x"), frame(0x81, b"y")].concat(), 1002),
            ([frame(0x02, b"x"), frame(0x02, b"y")].concat(), 1002),
            ([frame(0x01, b"\xc3"), frame(0x80, b"\x28")].concat(), 1007),
            // Half a character is no reason (RFC 6455 8.1).
            (frame(0x88, b"\x03\xe8half \xe2\x82"), 1007),
            (frame(0x88, b"\x0f\xa0\xff"), 1007),
            (vec![0x81, 0x01, b'x'], 1002),
            ([vec![0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4], vec![0; MESSAGE_BYTES_MAX + 1]].concat(), 1009),
            (pieces.concat(), 1009),
            (floods, 1008),
        ] {
            let mut inbound = Inbound::default();
            inbound.push(&bytes, Duration::ZERO);
            let error = loop {
                match inbound.poll() {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("{bytes:?} was taken"),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.close_code(), code, "{error}");
        }
    }
}
