//! Weir: RTMP in, fragmented MP4 over WebSocket out, one frame at a time.

pub mod clock;
pub mod id;
#[cfg(feature = "node")]
pub mod tenancy;

pub mod rtmp;
pub mod media;
pub mod stream;
pub mod session;
pub mod store;
pub mod cluster;
pub mod auth;
pub mod config;

#[cfg(feature = "node")]
pub mod api;
#[cfg(feature = "node")]
pub mod app;
#[cfg(feature = "node")]
pub mod cli;
#[cfg(feature = "node")]
pub mod net;
#[cfg(feature = "node")]
pub mod telemetry;
