use super::{CHUNK_BYTES_DEFAULT, EXTENDED, KIND_SET_CHUNK_SIZE, Message};
use bytes::{BufMut, Bytes, BytesMut};

/// Cuts messages into chunks; headers are as short as what went before allows, but a message never begins with type 3,
/// which not all peers read alike.
#[derive(Debug)]
pub struct Writer {
    chunk_size: u32,
    streams: Vec<Written>,
}

/// What the last message of a chunk stream was.
#[derive(Debug, Clone, Copy)]
struct Written {
    id: u32,
    timestamp_ms: u32,
    length: usize,
    kind: u8,
    message_stream: u32,
}

impl Default for Writer {
    fn default() -> Self {
        Self { chunk_size: CHUNK_BYTES_DEFAULT, streams: Vec::new() }
    }
}

impl Writer {
    /// Appends a whole message on chunk stream `id`, 2 to 65599.
    pub fn write(&mut self, id: u32, message: &Message, out: &mut BytesMut) {
        let chunk_size = self.chunk_size as usize;
        out.reserve(message.payload.len() + 18 + 7 * (message.payload.len() / chunk_size));
        let extended = self.put_first_header(id, message, out);
        for (at, chunk) in message.payload.chunks(chunk_size).enumerate() {
            if at > 0 {
                put_next_header(id, extended, out);
            }
            out.extend_from_slice(chunk);
        }
    }

    /// Appends `Set Chunk Size` and obeys it from the next message on; `chunk_size` is at least 1.
    pub fn set_chunk_size(&mut self, chunk_size: u32, out: &mut BytesMut) {
        let chunk_size = chunk_size.clamp(1, i32::MAX as u32);
        let payload = Bytes::copy_from_slice(&chunk_size.to_be_bytes());
        self.write(2, &Message { timestamp_ms: 0, kind: KIND_SET_CHUNK_SIZE, stream_id: 0, payload }, out);
        self.chunk_size = chunk_size;
    }

    /// Gives the extended timestamp, which all chunks of the message repeat.
    fn put_first_header(&mut self, id: u32, message: &Message, out: &mut BytesMut) -> Option<u32> {
        let now = Written {
            id,
            timestamp_ms: message.timestamp_ms,
            length: message.payload.len(),
            kind: message.kind,
            message_stream: message.stream_id,
        };
        let earlier = self.streams.iter_mut().find(|w| w.id == id);
        let step_ms = earlier.as_ref().and_then(|w| step(w, &now));
        let same_shape = earlier.as_ref().is_some_and(|w| (w.length, w.kind) == (now.length, now.kind));
        match earlier {
            Some(written) => *written = now,
            None => self.streams.push(now),
        }
        match step_ms {
            Some(step_ms) => {
                put_basic(if same_shape { 2 } else { 1 }, id, out);
                put_be24(step_ms, out);
                if !same_shape {
                    put_shape(&now, out);
                }
                None
            }
            None => {
                put_basic(0, id, out);
                put_be24(now.timestamp_ms.min(EXTENDED), out);
                put_shape(&now, out);
                out.put_u32_le(now.message_stream);
                let extended = (now.timestamp_ms >= EXTENDED).then_some(now.timestamp_ms);
                extended.into_iter().for_each(|timestamp_ms| out.put_u32(timestamp_ms));
                extended
            }
        }
    }
}

/// The step that types 1 and 2 can carry without extending it.
fn step(earlier: &Written, now: &Written) -> Option<u32> {
    let step_ms = now.timestamp_ms.wrapping_sub(earlier.timestamp_ms);
    (earlier.message_stream == now.message_stream && step_ms < EXTENDED).then_some(step_ms)
}

fn put_next_header(id: u32, extended: Option<u32>, out: &mut BytesMut) {
    put_basic(3, id, out);
    extended.into_iter().for_each(|timestamp_ms| out.put_u32(timestamp_ms));
}

/// 5.3.1.1.
fn put_basic(format: u8, id: u32, out: &mut BytesMut) {
    let format = format << 6;
    match id {
        0..64 => out.put_u8(format | id as u8),
        64..320 => out.extend_from_slice(&[format, (id - 64) as u8]),
        _ => {
            out.put_u8(format | 1);
            out.put_u16_le((id - 64) as u16);
        }
    }
}

fn put_shape(now: &Written, out: &mut BytesMut) {
    put_be24(now.length as u32, out);
    out.put_u8(now.kind);
}

fn put_be24(value: u32, out: &mut BytesMut) {
    out.extend_from_slice(&value.to_be_bytes()[1..]);
}

#[cfg(test)]
mod tests {
    use super::super::Reader;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_chunk_of_a_message_repeats_its_extended_timestamp() {
        let mut out = BytesMut::new();
        let payload = Bytes::from(vec![7; 130]);
        let message = Message { timestamp_ms: 0x0123_4567, kind: 9, stream_id: 1, payload };
        Writer::default().write(6, &message, &mut out);
        assert_eq!(out[..16], [6, 255, 255, 255, 0, 0, 130, 9, 1, 0, 0, 0, 1, 0x23, 0x45, 0x67]);
        assert_eq!(out[16 + 128..], [0xc6, 1, 0x23, 0x45, 0x67, 7, 7]);
    }

    fn message() -> impl Strategy<Value = (u32, Message)> {
        let time = prop_oneof![0..100_u32, EXTENDED - 3..=EXTENDED + 3, any::<u32>(), u32::MAX - 3..=u32::MAX,];
        let id = prop_oneof![3..8_u32, Just(63), Just(64), Just(319), Just(320), Just(65_599)];
        let payload = prop::collection::vec(any::<u8>(), 0..700).prop_map(Bytes::from);
        (id, time, prop_oneof![Just(8_u8), Just(9), Just(20)], 0..3_u32, payload).prop_map(
            |(id, timestamp_ms, kind, stream_id, payload)| (id, Message { timestamp_ms, kind, stream_id, payload }),
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(messages in prop::collection::vec(message(), 1..12), sizes in prop::collection::vec(1..300_u32, 12)) {
            let (mut writer, mut out) = (Writer::default(), BytesMut::new());
            for ((id, message), size) in messages.iter().zip(sizes) {
                writer.set_chunk_size(size, &mut out);
                writer.write(*id, message, &mut out);
            }
            let (mut reader, mut input, mut read) = (Reader::default(), &out[..], Vec::new());
            while let Some(message) = reader.read(&mut input).unwrap() {
                read.push(message);
            }
            prop_assert_eq!(read, messages.into_iter().map(|(_, message)| message).collect::<Vec<_>>());
            prop_assert!(input.is_empty());
        }

        #[test]
        fn interleaved_chunk_streams_are_read(
            payloads in prop::collection::vec((prop_oneof![0..9_u32, Just(EXTENDED), any::<u32>()], 0..900_usize), 2..6),
            order in prop::collection::vec(0..6_usize, 0..60),
        ) {
            let (mut writer, mut want, mut queues) = (Writer::default(), Vec::new(), Vec::new());
            for (id, (timestamp_ms, length)) in (10_u32..).zip(payloads) {
                let payload = Bytes::from(vec![id as u8; length]);
                let message = Message { timestamp_ms, kind: 9, stream_id: id, payload };
                queues.push(chunks(&mut writer, id, &message));
                want.push(message);
            }
            let mut bytes = Vec::new();
            for at in order.into_iter().chain((0..6).cycle().take(60)) {
                let queue = at % queues.len();
                bytes.extend(queues[queue].pop().into_iter().flatten());
            }
            let (mut reader, mut input, mut read) = (Reader::default(), &bytes[..], Vec::new());
            while let Some(message) = reader.read(&mut input).unwrap() {
                read.push(message);
            }
            read.sort_by_key(|message| message.stream_id);
            prop_assert_eq!(read, want);
        }
    }

    /// The chunks of one message, last first.
    fn chunks(writer: &mut Writer, id: u32, message: &Message) -> Vec<BytesMut> {
        let mut out = BytesMut::new();
        let extended = writer.put_first_header(id, message, &mut out);
        let mut chunks = Vec::new();
        for chunk in message.payload.chunks(128) {
            out.extend_from_slice(chunk);
            chunks.push(std::mem::take(&mut out));
            put_next_header(id, extended, &mut out);
        }
        if message.payload.is_empty() {
            chunks.push(out);
        }
        chunks.reverse();
        chunks
    }
}
