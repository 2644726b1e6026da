//! Viewers: an outbox and a socket each, fed by one hub per stream and worker thread.

pub mod batch;
pub mod dialect;
mod holes;
pub mod ladder;
pub mod outbox;
pub mod protocol;
mod queue;
pub mod stats;

#[cfg(feature = "node")]
pub mod actor;
#[cfg(feature = "node")]
pub mod admission;
#[cfg(feature = "node")]
pub mod fan;
#[cfg(feature = "node")]
pub mod hub;
#[cfg(feature = "ws")]
pub mod inbound;
#[cfg(feature = "node")]
mod mailbox;
#[cfg(feature = "node")]
pub mod reads;
#[cfg(feature = "node")]
pub mod route;
#[cfg(feature = "node")]
pub mod signers;
#[cfg(feature = "node")]
pub mod viewer;
#[cfg(feature = "node")]
mod wishes;
#[cfg(feature = "node")]
pub mod worker;
