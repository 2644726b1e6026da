/// Why a peer's bytes are no RTMP that can be gone on with; the connection ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("handshake version {0} is not spoken here, only 3")]
    HandshakeVersion(u8),
    #[error("chunk stream {id} begins with a header of type {format}, which refers to an earlier one")]
    NoEarlierHeader { id: u32, format: u8 },
    #[error("message on chunk stream {id} changed its length from {from} to {to} bytes half-way")]
    LengthChanged { id: u32, from: u32, to: u32 },
    #[error("message of {length} bytes, at most {max} are taken")]
    MessageTooLong { length: u32, max: u32 },
    #[error("more than {0} chunk streams")]
    TooManyChunkStreams(usize),
    #[error("unfinished messages hold more than {0} bytes")]
    TooMuchUnfinished(usize),
    #[error("chunk size {0} is not between 1 and 2147483647")]
    ChunkSize(u32),
    #[error("message of type {kind} ends after {length} bytes, too early")]
    MessageTooShort { kind: u8, length: usize },
    #[error("command or data message of {length} bytes, at most {max} are taken")]
    CommandTooLong { length: usize, max: usize },
    #[error("amf0 value ends too early")]
    AmfTruncated,
    #[error("amf0 values are nested deeper than {0}")]
    AmfTooDeep(usize),
    #[error("more than {0} amf0 values in one message")]
    AmfTooMany(usize),
    #[error("too many commands for what was published")]
    TooManyCommands,
    #[error("amf0 array claims {count} values in {remaining} bytes")]
    AmfCount { count: u32, remaining: usize },
    #[error("amf0 type marker {0:#04x} is not supported")]
    AmfMarker(u8),
    #[error("command without a name or a transaction number")]
    CommandShape,
    #[error("a command came before `connect`")]
    NotConnected,
    #[error("more than {0} bytes of media before the publish was accepted")]
    MediaTooEarly(usize),
    #[error("PROXY protocol header: {0}")]
    ProxyHeader(&'static str),
    #[error("address must look like rtmp://host[:port]/app/key: {0}")]
    Url(&'static str),
}
