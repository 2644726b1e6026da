//! What can be wrong with a publisher's media.

/// All of these leave the parser and the fragmenter usable: the item is lost, nothing else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing that follows on this track can be used; the text is meant for the person at the encoder.
    #[error("{what} is not supported: {allowed}")]
    UnsupportedCodec { what: String, allowed: &'static str },
    #[error("{what} is broken: {why}")]
    Malformed { what: &'static str, why: &'static str },
    #[error("{what} is {size}, more than the allowed {limit}")]
    TooLarge { what: &'static str, size: usize, limit: usize },
    #[error("{kind:?} without a decoder configuration before it")]
    NoConfig { kind: crate::media::frame::Kind },
    #[error("no init segment can be made: {0}")]
    Init(String),
}

impl Error {
    pub(crate) fn malformed(what: &'static str, why: &'static str) -> Self {
        Self::Malformed { what, why }
    }

    /// Whether to refuse the publisher, since the whole track can never be played.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::UnsupportedCodec { .. })
    }
}

/// Fails where a size that a publisher chose is over our limit.
pub(crate) fn limit(what: &'static str, size: usize, limit: usize) -> Result<(), Error> {
    if size > limit { Err(Error::TooLarge { what, size, limit }) } else { Ok(()) }
}
