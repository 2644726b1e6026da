use super::{CHUNK_BYTES_DEFAULT, EXTENDED, KIND_ABORT, KIND_SET_CHUNK_SIZE, Message};
use crate::rtmp::Error;
use bytes::Bytes;

/// Encoders use 3 to 6; each open one costs memory.
const CHUNK_STREAMS_MAX: usize = 64;
/// A keyframe at 100 Mbit/s is far below; the field itself ends one byte before.
const MESSAGE_BYTES_MAX: u32 = 16 << 20;
/// What a connection can make the server hold by never finishing its messages.
const UNFINISHED_BYTES_MAX: usize = 16 << 20;

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub chunk_streams: usize,
    pub message_bytes: u32,
    /// Of all messages of a connection that have begun and not ended.
    pub unfinished_bytes: usize,
}

impl Limits {
    /// Neither may be more than `bytes`.
    pub fn at_most(self, bytes: u32) -> Self {
        let unfinished_bytes = self.unfinished_bytes.min(bytes as usize);
        Self { message_bytes: self.message_bytes.min(bytes), unfinished_bytes, ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            chunk_streams: CHUNK_STREAMS_MAX,
            message_bytes: MESSAGE_BYTES_MAX,
            unfinished_bytes: UNFINISHED_BYTES_MAX,
        }
    }
}

/// Puts messages together; obeys `Set Chunk Size` and `Abort` itself and gives out everything else.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    chunk_size: u32,
    streams: Vec<ChunkStream>,
    /// The beginning of a header whose end has not come, or payload that was looked at in search of a timestamp.
    held: Vec<u8>,
    current: Option<Current>,
    unfinished_bytes: usize,
    extended: Extended,
}

/// Whether this encoder repeats extended timestamps in chunks of type 3, as 5.3.1.3 wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extended {
    Repeated,
    NotRepeated,
}

/// The chunk whose payload is being read.
#[derive(Debug, Clone, Copy)]
struct Current {
    index: usize,
    missing: usize,
}

#[derive(Debug)]
struct ChunkStream {
    id: u32,
    timestamp_ms: u32,
    step_ms: u32,
    extended: Option<u32>,
    length: u32,
    kind: u8,
    message_stream: u32,
    /// `Some` from the first chunk of a message to its last.
    unfinished: Option<Vec<u8>>,
}

enum Parsed {
    /// So many bytes from the beginning of the header are needed to go on.
    Needs(usize),
    Header(Header),
}

struct Header {
    id: u32,
    format: u8,
    bytes: usize,
    /// Timestamp or step, types 0 to 2.
    time_ms: Option<u32>,
    extended: Option<u32>,
    /// Length and message type, types 0 and 1.
    shape: Option<(u32, u8)>,
    message_stream: Option<u32>,
    repetition: Extended,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Reader {
    /// For what comes from now on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            chunk_size: CHUNK_BYTES_DEFAULT,
            streams: Vec::new(),
            held: Vec::new(),
            current: None,
            unfinished_bytes: 0,
            extended: Extended::Repeated,
        }
    }

    /// Takes bytes off the front of `input` up to the end of a message; `None` when all were taken without one.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Message>, Error> {
        loop {
            let current = match self.current {
                Some(current) => current,
                None => match self.read_header(input)? {
                    Some(current) => current,
                    None => return Ok(None),
                },
            };
            self.current = self.read_payload(current, input)?;
            if self.current.is_some() {
                return Ok(None);
            }
            if let Some(message) = self.finish(current.index)
                && !self.obey(&message)?
            {
                return Ok(Some(message));
            }
        }
    }

    /// Bytes of messages that have begun and not ended.
    pub fn unfinished_bytes(&self) -> usize {
        self.unfinished_bytes
    }

    fn read_header(&mut self, input: &mut &[u8]) -> Result<Option<Current>, Error> {
        loop {
            match self.parse_header()? {
                Parsed::Header(header) => {
                    self.held.drain(..header.bytes);
                    return self.begin_chunk(&header).map(Some);
                }
                Parsed::Needs(bytes) => {
                    let missing = bytes - self.held.len();
                    self.held.extend_from_slice(take(input, missing));
                    if self.held.len() < bytes {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// 5.3.1.1 to 5.3.1.3.
    fn parse_header(&self) -> Result<Parsed, Error> {
        let held = self.held.as_slice();
        let Some(&first) = held.first() else { return Ok(Parsed::Needs(1)) };
        let (format, basic) = (first >> 6, basic_header_bytes(first));
        let fields = [11, 7, 3, 0][usize::from(format)];
        let bytes = basic + fields;
        if held.len() < bytes {
            return Ok(Parsed::Needs(if held.len() < basic { basic } else { bytes }));
        }
        let id = match held[..basic] {
            [_, low] => 64 + u32::from(low),
            [_, low, high] => 64 + u32::from(low) + 256 * u32::from(high),
            _ => u32::from(first & 0x3f),
        };
        let field = &held[basic..bytes];
        let mut header = Header {
            id,
            format,
            bytes,
            time_ms: (fields >= 3).then(|| be24(field)),
            extended: None,
            shape: (fields >= 7).then(|| (be24(&field[3..]), field[6])),
            message_stream: (fields >= 11).then(|| u32::from_le_bytes([field[7], field[8], field[9], field[10]])),
            repetition: self.extended,
        };
        self.parse_extended(&mut header).map(|needs| needs.map_or(Parsed::Header(header), Parsed::Needs))
    }

    /// The extended timestamp; in a chunk of type 3 it is there only if it equals the earlier one, for not all encoders repeat it.
    fn parse_extended(&self, header: &mut Header) -> Result<Option<usize>, Error> {
        let end = header.bytes + 4;
        let value = self.held.get(header.bytes..end).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
        if let Some(time_ms) = header.time_ms {
            if time_ms == EXTENDED {
                let Some(value) = value else { return Ok(Some(end)) };
                (header.time_ms, header.extended, header.bytes) = (Some(value), Some(value), end);
            }
            return Ok(None);
        }
        let Some(stream) = self.streams.iter().find(|s| s.id == header.id) else {
            return Err(Error::NoEarlierHeader { id: header.id, format: header.format });
        };
        let Some(earlier) = stream.extended.filter(|_| self.extended == Extended::Repeated) else {
            return Ok(None);
        };
        let Some(value) = value else { return Ok(Some(end)) };
        if value == earlier || value == stream.timestamp_ms {
            header.bytes = end;
        } else {
            header.repetition = Extended::NotRepeated;
        }
        Ok(None)
    }

    fn begin_chunk(&mut self, header: &Header) -> Result<Current, Error> {
        self.extended = header.repetition;
        let index = self.stream_index(header)?;
        let stream = &mut self.streams[index];
        let have = match &stream.unfinished {
            Some(unfinished) => {
                if let Some((to, _)) = header.shape.filter(|&(length, _)| length != stream.length) {
                    return Err(Error::LengthChanged { id: stream.id, from: stream.length, to });
                }
                unfinished.len()
            }
            None => {
                stream.begin_message(header);
                if stream.length > self.limits.message_bytes {
                    return Err(Error::MessageTooLong { length: stream.length, max: self.limits.message_bytes });
                }
                0
            }
        };
        let missing = (stream.length as usize - have).min(self.chunk_size as usize);
        Ok(Current { index, missing })
    }

    /// A first header of type 1 is taken for one of message stream 0: that is how librtmp begins its pings.
    fn stream_index(&mut self, header: &Header) -> Result<usize, Error> {
        if let Some(index) = self.streams.iter().position(|s| s.id == header.id) {
            return Ok(index);
        }
        if header.format > 1 {
            return Err(Error::NoEarlierHeader { id: header.id, format: header.format });
        }
        if self.streams.len() >= self.limits.chunk_streams {
            return Err(Error::TooManyChunkStreams(self.limits.chunk_streams));
        }
        self.streams.push(ChunkStream::new(header.id));
        Ok(self.streams.len() - 1)
    }

    fn read_payload(&mut self, current: Current, input: &mut &[u8]) -> Result<Option<Current>, Error> {
        let Current { index, mut missing } = current;
        let stream = &mut self.streams[index];
        let unfinished = stream.unfinished.get_or_insert_default();
        let from_held = missing.min(self.held.len());
        let from_input = take(input, missing - from_held);
        let added = from_held + from_input.len();
        if self.unfinished_bytes + added > self.limits.unfinished_bytes {
            return Err(Error::TooMuchUnfinished(self.limits.unfinished_bytes));
        }
        grow(unfinished, added, stream.length as usize);
        unfinished.extend(self.held.drain(..from_held));
        unfinished.extend_from_slice(from_input);
        self.unfinished_bytes += added;
        missing -= added;
        Ok((missing > 0).then_some(Current { index, missing }))
    }

    fn finish(&mut self, index: usize) -> Option<Message> {
        let stream = &mut self.streams[index];
        let payload = stream.unfinished.take_if(|payload| payload.len() == stream.length as usize)?;
        self.unfinished_bytes -= payload.len();
        Some(Message {
            timestamp_ms: stream.timestamp_ms,
            kind: stream.kind,
            stream_id: stream.message_stream,
            payload: Bytes::from(payload),
        })
    }

    /// Whether this was a message to the chunk layer itself.
    fn obey(&mut self, message: &Message) -> Result<bool, Error> {
        if message.kind != KIND_SET_CHUNK_SIZE && message.kind != KIND_ABORT {
            return Ok(false);
        }
        let Some(&[a, b, c, d]) = message.payload.first_chunk() else {
            return Err(Error::MessageTooShort { kind: message.kind, length: message.payload.len() });
        };
        let value = u32::from_be_bytes([a, b, c, d]);
        if message.kind == KIND_ABORT {
            self.abort(value);
        } else if value == 0 || value > i32::MAX as u32 {
            return Err(Error::ChunkSize(value));
        } else {
            self.chunk_size = value;
        }
        Ok(true)
    }

    fn abort(&mut self, id: u32) {
        let stream = self.streams.iter_mut().find(|s| s.id == id);
        if let Some(unfinished) = stream.and_then(|s| s.unfinished.take()) {
            self.unfinished_bytes -= unfinished.len();
        }
    }
}

impl ChunkStream {
    fn new(id: u32) -> Self {
        Self {
            id,
            timestamp_ms: 0,
            step_ms: 0,
            extended: None,
            length: 0,
            kind: 0,
            message_stream: 0,
            unfinished: None,
        }
    }

    fn begin_message(&mut self, header: &Header) {
        match (header.format, header.time_ms) {
            (0, Some(timestamp_ms)) => {
                self.timestamp_ms = timestamp_ms;
                // A type 3 after this one adds the timestamp itself (5.3.1.2.4). Past the extended limit nobody
                // means that: it would be a jump of hours.
                self.step_ms = if header.extended.is_some() { 0 } else { timestamp_ms };
            }
            (_, step_ms) => {
                self.step_ms = step_ms.unwrap_or(self.step_ms);
                self.timestamp_ms = self.timestamp_ms.wrapping_add(self.step_ms);
            }
        }
        if header.time_ms.is_some() {
            self.extended = header.extended;
        }
        (self.length, self.kind) = header.shape.unwrap_or((self.length, self.kind));
        self.message_stream = header.message_stream.unwrap_or(self.message_stream);
        self.unfinished = Some(Vec::new());
    }
}

/// Makes room by doubling what is there, whatever length was declared, which is only never exceeded.
fn grow(buffer: &mut Vec<u8>, added: usize, declared: usize) {
    let wanted = buffer.len() + added;
    if wanted > buffer.capacity() {
        let target = wanted.max(declared.min(2 * buffer.capacity()));
        buffer.reserve_exact(target - buffer.len());
    }
}

fn basic_header_bytes(first: u8) -> usize {
    match first & 0x3f {
        0 => 2,
        1 => 3,
        _ => 1,
    }
}

fn be24(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]])
}

fn take<'a>(input: &mut &'a [u8], at_most: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(at_most.min(input.len()));
    *input = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u32 = 1000;

    fn be24(value: u32) -> [u8; 3] {
        let [_, a, b, c] = value.to_be_bytes();
        [a, b, c]
    }

    /// A header of type 0 on chunk stream 6 and message stream 1.
    fn type_0(time: u32, length: usize) -> Vec<u8> {
        [&[6][..], &be24(time), &be24(length as u32), &[9, 1, 0, 0, 0]].concat()
    }

    fn type_1(time: u32, length: usize) -> Vec<u8> {
        [&[0x46][..], &be24(time), &be24(length as u32), &[9]].concat()
    }

    fn type_2(time: u32) -> Vec<u8> {
        [&[0x86][..], &be24(time)].concat()
    }

    fn payload(length: usize) -> Vec<u8> {
        (0..length).map(|i| (i % 251) as u8 | 0x10).collect()
    }

    fn control(kind: u8, value: u32) -> Vec<u8> {
        [&[2, 0, 0, 0, 0, 0, 4, kind, 0, 0, 0, 0][..], &value.to_be_bytes()].concat()
    }

    fn read_all(reader: &mut Reader, mut input: &[u8]) -> Result<Vec<Message>, Error> {
        let mut messages = Vec::new();
        while let Some(message) = reader.read(&mut input)? {
            messages.push(message);
        }
        assert!(input.is_empty());
        Ok(messages)
    }

    fn times_and_lengths(bytes: &[u8]) -> Vec<(u32, usize)> {
        let messages = read_all(&mut Reader::default(), bytes).expect("chunks");
        messages.iter().map(|m| (m.timestamp_ms, m.payload.len())).collect()
    }

    fn failure(bytes: &[u8]) -> Error {
        read_all(&mut Reader::default(), bytes).expect_err("an error")
    }

    #[test]
    fn all_header_types_follow_each_other() {
        let one = payload(10);
        let bytes = [type_0(5, 10), one.clone(), type_1(20, 10), one.clone(), type_2(30), one.clone(), vec![0xc6], one]
            .concat();
        assert_eq!(times_and_lengths(&bytes), [(5, 10), (25, 10), (55, 10), (85, 10)]);
    }

    #[test]
    fn type_3_after_type_0_steps_by_the_timestamp_of_type_0() {
        let bytes = [type_0(40, 1), vec![1, 0xc6, 2, 0xc6, 3]].concat();
        assert_eq!(times_and_lengths(&bytes), [(40, 1), (80, 1), (120, 1)]);
        let extended = 0x0100_0000_u32;
        let again = [&[0xc6][..], &extended.to_be_bytes(), &[2]].concat();
        let bytes = [type_0(EXTENDED, 1), extended.to_be_bytes().to_vec(), vec![1], again].concat();
        assert_eq!(times_and_lengths(&bytes), [(extended, 1), (extended, 1)]);
    }

    #[test]
    fn extended_timestamps_are_read_whether_repeated_in_type_3_or_not() {
        for timestamp_ms in [EXTENDED, EXTENDED + 1, 0x0123_4567, u32::MAX] {
            for repeated in [&timestamp_ms.to_be_bytes()[..], &[]] {
                for length in [128, 129, 130, 257, 300, 384] {
                    let body = payload(length);
                    let mut bytes = [type_0(EXTENDED, length), timestamp_ms.to_be_bytes().to_vec()].concat();
                    for (at, chunk) in body.chunks(128).enumerate() {
                        if at > 0 {
                            bytes.push(0xc6);
                            bytes.extend(repeated);
                        }
                        bytes.extend(chunk);
                    }
                    bytes.extend([type_1(40, 4), vec![1; 4]].concat());
                    let messages = read_all(&mut Reader::default(), &bytes).unwrap();
                    assert_eq!(messages.len(), 2, "{timestamp_ms} {} {length}", repeated.len());
                    assert_eq!((messages[0].timestamp_ms, &messages[0].payload[..]), (timestamp_ms, &body[..]));
                    assert_eq!(messages[1].timestamp_ms, timestamp_ms.wrapping_add(40));
                }
            }
        }
    }

    #[test]
    fn timestamps_go_on_over_the_extended_limit_and_over_the_wrap() {
        for start in [EXTENDED - 2 * SECOND, u32::MAX - 2 * SECOND] {
            let extended = if start >= EXTENDED { start.to_be_bytes().to_vec() } else { vec![] };
            let mut bytes = [type_0(start.min(EXTENDED), 1), extended, vec![0]].concat();
            for _ in 0..100 {
                bytes.extend(type_2(40));
                bytes.push(0);
            }
            // A message length was only told once, by type 0; the step too could be told once.
            bytes.extend([0xc6, 0]);
            let want: Vec<_> = (0..102_u32).map(|i| (start.wrapping_add(40 * i), 1)).collect();
            assert_eq!(times_and_lengths(&bytes), want);
        }
    }

    #[test]
    fn an_extended_step_is_a_step() {
        let bytes =
            [type_0(7, 1), vec![1], type_1(EXTENDED, 1), 0x0100_0000_u32.to_be_bytes().to_vec(), vec![2]].concat();
        assert_eq!(times_and_lengths(&bytes), [(7, 1), (0x0100_0007, 1)]);
    }

    #[test]
    fn set_chunk_size_in_mid_message_counts_from_the_next_chunk() {
        let body = payload(400);
        let bytes = [
            &type_0(1, 400)[..],
            &body[..128],
            &control(1, 200),
            &[0xc6],
            &body[128..328],
            &control(1, 64),
            &[0xc6],
            &body[328..392],
            &[0xc6],
            &body[392..],
        ]
        .concat();
        let messages = read_all(&mut Reader::default(), &bytes).unwrap();
        assert_eq!(messages[0].payload, body);
    }

    #[test]
    fn interleaved_chunk_streams_are_kept_apart() {
        let (video, audio) = (payload(300), payload(200));
        let audio_header = [4, 0, 0, 9, 0, 0, 200, 8, 1, 0, 0, 0];
        let bytes = [
            &type_0(1, 300)[..],
            &video[..128],
            &audio_header,
            &audio[..128],
            &[0xc6],
            &video[128..256],
            &[0xc4],
            &audio[128..],
            &[0xc6],
            &video[256..],
        ]
        .concat();
        let messages = read_all(&mut Reader::default(), &bytes).unwrap();
        assert_eq!((messages[0].kind, &messages[0].payload[..]), (8, &audio[..]));
        assert_eq!((messages[1].kind, &messages[1].payload[..]), (9, &video[..]));
    }

    #[test]
    fn an_aborted_message_is_forgotten() {
        let bytes = [type_0(1, 300), payload(128), control(2, 6), control(2, 9), type_1(5, 2), vec![8, 9]].concat();
        let mut reader = Reader::default();
        let messages = read_all(&mut reader, &bytes).unwrap();
        assert_eq!(messages.len(), 1);
        assert_eq!((messages[0].timestamp_ms, &messages[0].payload[..]), (6, &[8, 9][..]));
        assert_eq!(reader.unfinished_bytes(), 0);
    }

    #[test]
    fn empty_messages_are_messages() {
        let bytes = [type_0(1, 0), vec![0xc6], type_1(3, 1), vec![9]].concat();
        assert_eq!(times_and_lengths(&bytes), [(1, 0), (2, 0), (5, 1)]);
    }

    #[test]
    fn long_chunk_stream_ids_are_read() {
        for basic in [&[0_u8, 0][..], &[0, 255], &[1, 0, 1], &[1, 255, 255]] {
            let first = [basic, &type_0(1, 130)[1..], &payload(128)].concat();
            let mut next = basic.to_vec();
            next[0] |= 0xc0;
            assert_eq!(times_and_lengths(&[first, next, vec![1, 2]].concat()), [(1, 130)]);
        }
    }

    #[test]
    fn chunk_stream_ids_are_told_apart_by_all_their_bytes() {
        for (basic, id) in
            [(&[0xc3][..], 3), (&[0xc0, 0], 64), (&[0xc0, 255], 319), (&[0xc1, 1, 2], 577), (&[0xc1, 255, 255], 65_599)]
        {
            assert_eq!(failure(basic), Error::NoEarlierHeader { id, format: 3 });
        }
    }

    #[test]
    fn a_continuation_may_repeat_the_whole_header() {
        let body = payload(200);
        for header in [type_0(9, 200), type_1(0, 200), type_2(0)] {
            let bytes = [&type_0(9, 200)[..], &body[..128], &header, &body[128..]].concat();
            assert_eq!(times_and_lengths(&bytes), [(9, 200)]);
        }
    }

    #[test]
    fn a_first_header_of_type_1_is_of_message_stream_0() {
        let ping = [&[0x42, 0, 0, 0, 0, 0, 6, 4][..], &[0, 7, 0, 0, 0, 1]].concat();
        let messages = read_all(&mut Reader::default(), &ping).unwrap();
        assert_eq!((messages[0].kind, messages[0].stream_id), (4, 0));
    }

    #[test]
    fn broken_chunks_are_refused() {
        let begun = [type_0(1, 300), payload(128)].concat();
        let changed = Error::LengthChanged { id: 6, from: 300, to: 299 };
        let table = [
            (vec![0xc6], Error::NoEarlierHeader { id: 6, format: 3 }),
            (type_2(1), Error::NoEarlierHeader { id: 6, format: 2 }),
            ([begun.clone(), type_0(1, 299)].concat(), changed.clone()),
            ([begun, type_1(1, 299)].concat(), changed),
            (control(1, 0), Error::ChunkSize(0)),
            (control(1, 1 << 31), Error::ChunkSize(1 << 31)),
            (
                [&[2, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0][..], &[0, 1]].concat(),
                Error::MessageTooShort { kind: 1, length: 2 },
            ),
        ];
        for (bytes, error) in table {
            assert_eq!(failure(&bytes), error);
        }
    }

    #[test]
    fn a_65th_chunk_stream_is_refused() {
        let open = |id: u8| [&[0, id][..], &type_0(0, 1)[1..], &[0]].concat();
        let bytes: Vec<u8> = (0..64).flat_map(open).collect();
        assert_eq!(times_and_lengths(&bytes).len(), 64);
        assert_eq!(failure(&[bytes, open(64)].concat()), Error::TooManyChunkStreams(64));
    }

    #[test]
    fn a_declared_length_allocates_nothing() {
        let mut reader = Reader::default();
        for id in 0..64 {
            read_all(&mut reader, &[&[0, id][..], &type_0(0, 0xff_ffff)[1..], &[1; 128]].concat()).unwrap();
        }
        let held: usize = reader.streams.iter().filter_map(|s| s.unfinished.as_ref()).map(Vec::capacity).sum();
        assert_eq!((held, reader.unfinished_bytes()), (64 * 128, 64 * 128));
    }

    #[test]
    fn unfinished_messages_are_bounded_together() {
        let mut reader = Reader::new(Limits { unfinished_bytes: 1000, ..Limits::default() });
        let begin = |id: u8| [&[0, id][..], &type_0(0, 500)[1..], &[1; 128]].concat();
        for id in 0..7 {
            read_all(&mut reader, &begin(id)).unwrap();
        }
        assert_eq!(read_all(&mut reader, &begin(7)), Err(Error::TooMuchUnfinished(1000)));
    }

    #[test]
    fn a_message_over_the_limit_is_refused_at_its_header() {
        let mut reader = Reader::new(Limits { message_bytes: 1000, ..Limits::default() });
        let error = read_all(&mut reader, &type_0(0, 1001)).unwrap_err();
        assert_eq!(error, Error::MessageTooLong { length: 1001, max: 1000 });
    }

    proptest! {
        #[test]
        fn the_way_bytes_are_split_does_not_matter(
            chunks in prop::collection::vec((0..4_u8, 2..6_u8, any::<bool>(), 0..40_u8, any::<u8>()), 1..60),
            cuts in prop::collection::vec(1..20_usize, 1..400),
        ) {
            let mut bytes = control(1, 16);
            for (format, id, extended, length, fill) in chunks {
                bytes.push(format << 6 | id);
                if format < 3 {
                    bytes.extend(if extended { [255; 3] } else { [0, 0, fill] });
                }
                if format < 2 {
                    bytes.extend([0, 0, length, 9]);
                }
                if format == 0 {
                    bytes.extend([1, 0, 0, 0]);
                }
                if format < 3 && extended {
                    bytes.extend([1, 2, 3, fill]);
                }
                bytes.extend(vec![fill; usize::from(length.min(16))]);
            }
            let mut whole = Vec::new();
            let (mut reader, mut input) = (Reader::default(), &bytes[..]);
            let end = loop {
                match reader.read(&mut input) {
                    Ok(Some(message)) => whole.push(message),
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            };
            let (mut split, mut split_end, mut rest) = (Vec::new(), None, &bytes[..]);
            let mut reader = Reader::default();
            for cut in cuts.iter().cycle() {
                let mut piece = take(&mut rest, *cut);
                while split_end.is_none() {
                    match reader.read(&mut piece) {
                        Ok(Some(message)) => split.push(message),
                        Ok(None) => break,
                        Err(error) => split_end = Some(error),
                    }
                }
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!((whole, end), (split, split_end));
        }

        #[test]
        fn noise_neither_panics_nor_grows(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
            let (mut reader, mut input) = (Reader::default(), &bytes[..]);
            while let Ok(Some(_)) = reader.read(&mut input) {}
            prop_assert!(reader.unfinished_bytes() <= bytes.len());
            let held: usize = reader.streams.iter().filter_map(|s| s.unfinished.as_ref()).map(Vec::capacity).sum();
            prop_assert!(held <= 2 * bytes.len());
        }
    }
}
