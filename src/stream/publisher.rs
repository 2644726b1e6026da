//! The one who sends a stream its media, as the stream sees it.

use crate::id::KeyId;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublisherId(pub u64);

/// Why a stream lets go of its publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndReason {
    #[error("another publisher with this stream key took over")]
    Replaced,
    #[error("the media is malformed")]
    Malformed,
    #[error("no media for 10 s")]
    Silent,
    #[error("ended by the operator")]
    Disconnected,
    #[error("the stream key was revoked")]
    Revoked,
    #[error("the stream was deleted or disabled")]
    Removed,
    #[error("the account's streams are above the bit rate that it may have")]
    Quota,
    #[error("the server is shutting down")]
    Draining,
}

/// Why a stream has no publisher any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// The encoder said that it ends.
    Unpublished,
    /// Its connection broke.
    Lost,
    Ended(EndReason),
}

impl Departure {
    /// As events and the API name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unpublished => "unpublished",
            Self::Lost => "connection_lost",
            Self::Ended(EndReason::Replaced) => "replaced",
            Self::Ended(EndReason::Malformed) => "malformed",
            Self::Ended(EndReason::Silent) => "silent",
            Self::Ended(EndReason::Disconnected) => "disconnected",
            Self::Ended(EndReason::Revoked) => "key_revoked",
            Self::Ended(EndReason::Removed) => "removed",
            Self::Ended(EndReason::Quota) => "quota",
            Self::Ended(EndReason::Draining) => "draining",
        }
    }
}

/// The connection of a publisher.
pub trait Publisher: Send {
    fn id(&self) -> PublisherId;
    /// Asks the connection to end; never waits.
    fn end(&self, reason: EndReason);
}

/// Which publisher is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    Anyones,
    Key(KeyId),
    /// One whose key is none of these.
    NoneOf(Vec<KeyId>),
}

impl Whose {
    pub fn is(&self, key: &KeyId) -> bool {
        match self {
            Self::Anyones => true,
            Self::Key(meant) => meant == key,
            Self::NoneOf(others) => !others.contains(key),
        }
    }
}

/// What is done with a second publisher while the first one lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondPublisher {
    Refuse,
    Takeover,
}

/// A publisher that was let in by key and by ownership asks to be the stream's.
pub struct Publish {
    pub publisher: Box<dyn Publisher>,
    pub key: KeyId,
    pub fence: u64,
    /// Time since the stream's origin when the fence was handed out.
    pub since_origin_us: i64,
}

/// Why a stream does not take a publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("this stream is being published already")]
    Busy,
    #[error("a newer publish of this stream was accepted elsewhere")]
    Stale,
    #[error("the stream is closing, try again")]
    Closing,
}
