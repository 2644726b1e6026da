//! Bytes from a viewer become messages (RFC 6455 5): assembled, checked, bounded.

use crate::session::protocol::MESSAGE_BYTES_MAX;
use actix_codec::Decoder as _;
use actix_http::ws::{CloseCode, Codec, Frame, Item, ProtocolError};
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
    #[error("text that is not UTF-8")]
    NotUtf8,
    #[error("a close code that may not be sent")]
    CloseCode,
}

impl Malformed {
    /// RFC 6455 7.4.1.
    pub fn close_code(&self) -> u16 {
        match self {
            Self::Protocol(_) | Self::CloseCode => 1002,
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
pub struct Inbound {
    codec: Codec,
    rest: BytesMut,
    partial: Option<Box<(Type, BytesMut)>>,
    /// The second that is counted, and its frames.
    second: u64,
    frames: u32,
}

impl Default for Inbound {
    fn default() -> Self {
        Self {
            codec: Codec::new().max_size(MESSAGE_BYTES_MAX),
            rest: BytesMut::new(),
            partial: None,
            second: 0,
            frames: 0,
        }
    }
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
            let frame = self.codec.decode(&mut self.rest).map_err(|error| match error {
                ProtocolError::Overflow => Malformed::TooLong,
                other => Malformed::Protocol(other),
            })?;
            let Some(frame) = frame else {
                // The codec waits for the end of a frame however long it says it is.
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
            if let Some(message) = self.assemble(frame)? {
                return Ok(Some(message));
            }
        }
    }

    fn assemble(&mut self, frame: Frame) -> Result<Option<Message>, Malformed> {
        let message = match frame {
            Frame::Text(bytes) => Some(text(bytes)?),
            Frame::Binary(bytes) => Some(Message::Binary(bytes)),
            Frame::Continuation(Item::FirstText(bytes)) => self.begin(Type::Text, &bytes),
            Frame::Continuation(Item::FirstBinary(bytes)) => self.begin(Type::Binary, &bytes),
            Frame::Continuation(Item::Continue(bytes)) => {
                self.extend(&bytes)?;
                None
            }
            Frame::Continuation(Item::Last(bytes)) => {
                self.extend(&bytes)?;
                match self.partial.take().map(|p| *p) {
                    Some((Type::Text, whole)) => Some(text(whole.freeze())?),
                    Some((Type::Binary, whole)) => Some(Message::Binary(whole.freeze())),
                    None => None,
                }
            }
            Frame::Ping(bytes) => Some(Message::Ping(bytes)),
            Frame::Pong(_) => Some(Message::Pong),
            Frame::Close(None) => Some(Message::Close(None)),
            Frame::Close(Some(reason)) => Some(Message::Close(Some(sendable(reason.code)?))),
        };
        Ok(message)
    }

    fn begin(&mut self, kind: Type, bytes: &[u8]) -> Option<Message> {
        self.partial = Some(Box::new((kind, BytesMut::from(bytes))));
        None
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        if let Some(partial) = &mut self.partial {
            if partial.1.len() + bytes.len() > MESSAGE_BYTES_MAX {
                return Err(Malformed::TooLong);
            }
            partial.1.extend_from_slice(bytes);
        }
        Ok(())
    }
}

fn text(bytes: Bytes) -> Result<Message, Malformed> {
    std::str::from_utf8(&bytes).map_err(|_| Malformed::NotUtf8)?;
    Ok(Message::Text(bytes))
}

/// Codes that may stand in a close frame (RFC 6455 7.4.2).
fn sendable(code: CloseCode) -> Result<u16, Malformed> {
    match u16::from(code) {
        code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => Ok(code),
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
    fn what_breaks_the_protocol_is_refused_with_its_code() {
        let long = vec![b'x'; 125];
        let mut pieces = vec![frame(0x01, &long)];
        let floods = frame(0x89, b"").repeat(FRAMES_PER_SECOND_MAX as usize + 1);
        pieces.extend((0..=MESSAGE_BYTES_MAX / 125).map(|_| frame(0x00, &long)));
        for (bytes, code) in [
            (frame(0x81, &[0xff, 0xfe]), 1007),
            (frame(0x83, b""), 1002),
            (frame(0x80, b"x"), 1002),
            (frame(0x88, &[0x03, 0xed]), 1002),
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
