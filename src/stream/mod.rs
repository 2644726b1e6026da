//! Fragments are framed once and given to subscribers; one actor per stream owns all of it.

pub mod audience;
pub mod backlog;
pub mod handle;
pub mod inside;
pub mod lateness;
pub mod meter;
pub mod packet;
pub mod publisher;
pub mod qoe;
pub mod state;
pub mod status;
pub mod subscriber;
pub mod upstream;
pub mod ws_frame;

#[cfg(feature = "node")]
pub mod actor;
#[cfg(feature = "node")]
mod mailbox;
#[cfg(feature = "node")]
pub mod registry;
#[cfg(feature = "node")]
mod tally;

pub use handle::Handle;
