//! A stream that another node owns is followed over the internal listener and fed into a local stream.

pub mod follower;
mod offset;
pub mod protocol;

#[cfg(feature = "node")]
mod client;
#[cfg(feature = "node")]
mod following;
#[cfg(feature = "node")]
mod pace;
#[cfg(feature = "node")]
mod server;

#[cfg(feature = "node")]
pub use following::{Credential, Parts, Relays};
#[cfg(feature = "node")]
pub use server::{IsNode, Serving, configure};
