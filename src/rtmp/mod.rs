//! TCP bytes to messages: handshake, chunks, AMF0, the machines of both sides. Pure, but for `server`.
//!
//! A machine is fed by `handle_*` and asked by `poll_*`; it never waits and knows no time. Section numbers are of
//! the RTMP 1.0 specification; Enhanced RTMP is version 2.

pub mod amf0;
pub mod chunk;
pub mod client;
mod error;
mod flow;
pub mod handshake;
mod key;
pub mod message;
pub mod proxy;
#[cfg(feature = "node")]
pub mod server;
pub mod session;
pub mod status;
pub mod url;

pub use error::Error;
pub use key::StreamKeySecret;
