//! What messages say, RTMP 1.0 5.4, 6.2 and 7.1.

use crate::rtmp::amf0::{self, Value};
use crate::rtmp::chunk::Message;
use crate::rtmp::{Error, chunk};
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// A `connect` with every capability is 2 KiB, metadata with a long encoder name less.
pub const COMMAND_BYTES_MAX: usize = 64 * 1024;
/// Header of a message within an aggregate, and the size that follows its payload, 7.1.6.
const AGGREGATED_HEADER_BYTES: usize = 11;
const AGGREGATED_TRAILER_BYTES: usize = 4;

mod kind {
    pub(super) const ACKNOWLEDGEMENT: u8 = 3;
    pub(super) const USER_CONTROL: u8 = 4;
    pub(super) const WINDOW_SIZE: u8 = 5;
    pub(super) const PEER_BANDWIDTH: u8 = 6;
    pub(super) const AUDIO: u8 = 8;
    pub(super) const VIDEO: u8 = 9;
    pub(super) const DATA_AMF3: u8 = 15;
    pub(super) const COMMAND_AMF3: u8 = 17;
    pub(super) const DATA: u8 = 18;
    pub(super) const COMMAND: u8 = 20;
    pub(super) const AGGREGATE: u8 = 22;
}

/// Chunk streams that messages are sent on, as encoders use them.
mod chunk_stream {
    pub(super) const CONTROL: u32 = 2;
    pub(super) const COMMAND: u32 = 3;
    pub(super) const AUDIO: u32 = 4;
    pub(super) const DATA: u32 = 5;
    pub(super) const VIDEO: u32 = 6;
}

/// The body of a message, without its time and stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Bytes received so far, wraps at 2^32.
    Acknowledgement(u32),
    /// The sender wants an acknowledgement after so many bytes.
    WindowSize(u32),
    PeerBandwidth {
        window_bytes: u32,
        limit: Limit,
    },
    UserControl(UserControl),
    Command(Command),
    /// Metadata and the like: a name and values.
    Data(Vec<Value>),
    Audio(Bytes),
    Video(Bytes),
    /// Messages packed into one.
    Aggregate(Bytes),
    /// Nothing for us.
    Other(u8),
}

/// 5.4.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    Hard,
    Soft,
    Dynamic,
}

/// 7.1.7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserControl {
    StreamBegin(u32),
    /// The sender's time, in milliseconds; wanted back.
    PingRequest(u32),
    PingResponse(u32),
    Other(u16),
}

/// 7.2: a call, or the answer to one.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    pub name: String,
    /// 0 wants no answer.
    pub transaction: f64,
    pub object: Value,
    pub arguments: Vec<Value>,
}

impl Content {
    pub fn parse(message: &Message) -> Result<Self, Error> {
        let payload = &message.payload;
        Ok(match message.kind {
            kind::ACKNOWLEDGEMENT => Self::Acknowledgement(u32_of(message)?),
            kind::WINDOW_SIZE => Self::WindowSize(u32_of(message)?),
            kind::PEER_BANDWIDTH => Self::PeerBandwidth { window_bytes: u32_of(message)?, limit: limit(payload) },
            kind::USER_CONTROL => Self::UserControl(user_control(message)?),
            kind::COMMAND => Self::Command(Command::parse(values(payload)?)?),
            kind::COMMAND_AMF3 => Self::Command(Command::parse(values(amf0_within_amf3(payload))?)?),
            kind::DATA => Self::Data(values(payload)?),
            kind::DATA_AMF3 => Self::Data(values(amf0_within_amf3(payload))?),
            kind::AUDIO => Self::Audio(payload.clone()),
            kind::VIDEO => Self::Video(payload.clone()),
            kind::AGGREGATE => Self::Aggregate(payload.clone()),
            other => Self::Other(other),
        })
    }

    /// Cuts the message into chunks, on the chunk stream that its kind belongs to.
    pub fn write(self, timestamp_ms: u32, stream_id: u32, writer: &mut chunk::Writer, out: &mut BytesMut) {
        let (id, kind, payload) = self.serialize();
        writer.write(id, &Message { timestamp_ms, kind, stream_id, payload }, out);
    }

    fn serialize(self) -> (u32, u8, Bytes) {
        use chunk_stream::*;
        let be32 = |value: u32| Bytes::copy_from_slice(&value.to_be_bytes());
        match self {
            Self::Acknowledgement(bytes) => (CONTROL, kind::ACKNOWLEDGEMENT, be32(bytes)),
            Self::WindowSize(bytes) => (CONTROL, kind::WINDOW_SIZE, be32(bytes)),
            Self::PeerBandwidth { window_bytes, limit } => {
                let mut payload = BytesMut::with_capacity(5);
                payload.put_u32(window_bytes);
                payload.put_u8(limit as u8);
                (CONTROL, kind::PEER_BANDWIDTH, payload.freeze())
            }
            Self::UserControl(event) => (CONTROL, kind::USER_CONTROL, event.serialize()),
            Self::Command(command) => (COMMAND, kind::COMMAND, command.serialize()),
            Self::Data(values) => (DATA, kind::DATA, serialize(&values)),
            Self::Audio(payload) => (AUDIO, kind::AUDIO, payload),
            Self::Video(payload) => (VIDEO, kind::VIDEO, payload),
            Self::Aggregate(payload) => (VIDEO, kind::AGGREGATE, payload),
            Self::Other(kind) => (CONTROL, kind, Bytes::new()),
        }
    }
}

impl Command {
    fn parse(values: Vec<Value>) -> Result<Self, Error> {
        let mut values = values.into_iter();
        let (Some(Value::String(name)), Some(Value::Number(transaction))) = (values.next(), values.next()) else {
            return Err(Error::CommandShape);
        };
        let object = values.next().unwrap_or(Value::Null);
        Ok(Self { name, transaction, object, arguments: values.collect() })
    }

    /// Argument `at`, where it is a string.
    pub fn string(&self, at: usize) -> Option<&str> {
        self.arguments.get(at).and_then(Value::as_str)
    }

    fn serialize(self) -> Bytes {
        let mut values = vec![Value::String(self.name), Value::Number(self.transaction), self.object];
        values.extend(self.arguments);
        serialize(&values)
    }
}

impl UserControl {
    fn serialize(self) -> Bytes {
        let (event, value) = match self {
            Self::StreamBegin(stream_id) => (0, stream_id),
            Self::PingRequest(time_ms) => (6, time_ms),
            Self::PingResponse(time_ms) => (7, time_ms),
            Self::Other(event) => (event, 0),
        };
        let mut payload = BytesMut::with_capacity(6);
        payload.put_u16(event);
        payload.put_u32(value);
        payload.freeze()
    }
}

/// Picture or sound, whatever it holds.
pub fn is_media(message: &chunk::Message) -> bool {
    matches!(message.kind, kind::AUDIO | kind::VIDEO)
}

/// The messages within an aggregate whose own time is `timestamp_ms`; what is cut short at the end is left out.
///
/// Times within count from the first one's, 7.1.6.
pub fn split_aggregate(timestamp_ms: u32, stream_id: u32, mut payload: Bytes) -> impl Iterator<Item = Message> {
    let mut first_ms = None;
    std::iter::from_fn(move || {
        if payload.len() < AGGREGATED_HEADER_BYTES {
            return None;
        }
        let kind = payload.get_u8();
        let length = payload.get_uint(3) as usize;
        let low = payload.get_uint(3) as u32;
        let own_ms = u32::from(payload.get_u8()) << 24 | low;
        payload.advance(3);
        if payload.len() < length {
            return None;
        }
        let body = payload.split_to(length);
        payload.advance(AGGREGATED_TRAILER_BYTES.min(payload.len()));
        let offset_ms = own_ms.wrapping_sub(*first_ms.get_or_insert(own_ms));
        Some(Message { timestamp_ms: timestamp_ms.wrapping_add(offset_ms), kind, stream_id, payload: body })
    })
}

fn values(payload: &[u8]) -> Result<Vec<Value>, Error> {
    if payload.len() > COMMAND_BYTES_MAX {
        return Err(Error::CommandTooLong { length: payload.len(), max: COMMAND_BYTES_MAX });
    }
    amf0::decode_all(payload)
}

/// Encoders that say AMF3 put one byte, 0, before values in AMF0.
fn amf0_within_amf3(payload: &[u8]) -> &[u8] {
    payload.strip_prefix(&[0]).unwrap_or(payload)
}

fn serialize(values: &[Value]) -> Bytes {
    let mut out = BytesMut::new();
    values.iter().for_each(|value| amf0::encode(value, &mut out));
    out.freeze()
}

fn u32_of(message: &Message) -> Result<u32, Error> {
    message.payload.first_chunk().map(|bytes| u32::from_be_bytes(*bytes)).ok_or_else(|| too_short(message))
}

fn limit(payload: &[u8]) -> Limit {
    match payload.get(4) {
        Some(0) => Limit::Hard,
        Some(1) => Limit::Soft,
        _ => Limit::Dynamic,
    }
}

fn user_control(message: &Message) -> Result<UserControl, Error> {
    let (event, value) = message.payload.split_first_chunk().ok_or_else(|| too_short(message))?;
    let value = value.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
    Ok(match (u16::from_be_bytes(*event), value) {
        (0, Some(stream_id)) => UserControl::StreamBegin(stream_id),
        (6, Some(time_ms)) => UserControl::PingRequest(time_ms),
        (7, Some(time_ms)) => UserControl::PingResponse(time_ms),
        (other, _) => UserControl::Other(other),
    })
}

fn too_short(message: &Message) -> Error {
    Error::MessageTooShort { kind: message.kind, length: message.payload.len() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtmp::chunk::Reader;

    fn message(kind: u8, payload: &[u8]) -> Message {
        Message { timestamp_ms: 0, kind, stream_id: 0, payload: Bytes::copy_from_slice(payload) }
    }

    fn command() -> Content {
        Content::Command(Command {
            name: "connect".into(),
            transaction: 1.0,
            object: Value::Object(vec![("app".into(), "live".into())]),
            arguments: vec![Value::Boolean(true)],
        })
    }

    #[test]
    fn what_is_written_is_parsed() {
        let table = [
            Content::Acknowledgement(u32::MAX),
            Content::WindowSize(2_500_000),
            Content::PeerBandwidth { window_bytes: 7, limit: Limit::Soft },
            Content::UserControl(UserControl::StreamBegin(1)),
            Content::UserControl(UserControl::PingRequest(9)),
            Content::UserControl(UserControl::PingResponse(9)),
            command(),
            Content::Data(vec!["onMetaData".into(), Value::EcmaArray(vec![])]),
            Content::Audio(Bytes::from_static(&[1])),
            Content::Video(Bytes::new()),
            Content::Aggregate(Bytes::from_static(&[2, 3])),
        ];
        for content in table {
            let mut out = BytesMut::new();
            content.clone().write(5, 1, &mut chunk::Writer::default(), &mut out);
            let read = Reader::default().read(&mut &out[..]).unwrap().expect("a message");
            assert_eq!((read.timestamp_ms, read.stream_id), (5, 1));
            assert_eq!(Content::parse(&read), Ok(content));
        }
    }

    #[test]
    fn a_command_that_says_amf3_is_read_as_amf0() {
        let (_, _, payload) = command().serialize();
        let with_zero = [&[0][..], &payload].concat();
        for payload in [&with_zero[..], &payload] {
            assert_eq!(Content::parse(&message(17, payload)), Ok(command()));
        }
    }

    #[test]
    fn what_is_no_command_is_refused() {
        assert_eq!(Content::parse(&message(20, &[])), Err(Error::CommandShape));
        assert_eq!(Content::parse(&message(20, &[2, 0, 1, b'x'])), Err(Error::CommandShape));
        assert_eq!(Content::parse(&message(20, &[5, 5])), Err(Error::CommandShape));
        assert_eq!(Content::parse(&message(20, &[2, 0, 9])), Err(Error::AmfTruncated));
        let long = Error::CommandTooLong { length: 65_537, max: 65_536 };
        assert_eq!(Content::parse(&message(20, &[5; 65_537])), Err(long.clone()));
        assert_eq!(Content::parse(&message(18, &[5; 65_537])), Err(long));
    }

    #[test]
    fn short_control_messages_are_refused() {
        for (kind, length) in [(3, 3), (5, 0), (6, 3), (4, 1)] {
            let error = Content::parse(&message(kind, &[0; 6][..length])).unwrap_err();
            assert_eq!(error, Error::MessageTooShort { kind, length });
        }
        assert_eq!(Content::parse(&message(4, &[0, 6])), Ok(Content::UserControl(UserControl::Other(6))));
    }

    #[test]
    fn an_aggregate_is_split_and_its_times_moved() {
        let tag = |kind: u8, time: [u8; 4], body: &[u8]| {
            let header = [&[kind, 0, 0, body.len() as u8][..], &time[1..], &time[..1], &[0, 0, 0]].concat();
            [&header[..], body, &[0, 0, 0, 0]].concat()
        };
        let payload = [tag(8, [1, 0, 0, 0], &[1]), tag(9, [1, 0, 0, 5], &[2, 3]), vec![9, 0, 0, 9]].concat();
        let messages: Vec<_> = split_aggregate(100, 1, payload.into()).collect();
        assert_eq!(messages.len(), 2);
        assert_eq!((messages[0].kind, messages[0].timestamp_ms, &messages[0].payload[..]), (8, 100, &[1][..]));
        assert_eq!((messages[1].kind, messages[1].timestamp_ms, &messages[1].payload[..]), (9, 105, &[2, 3][..]));
    }
}
