//! Viewers: an outbox and a socket each, fed by one hub per stream and worker thread.

pub mod batch;
pub mod outbox;
pub mod protocol;
