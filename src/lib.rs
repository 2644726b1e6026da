//! Weir: live video in by RTMP, out as fragmented MP4 over WebSocket, one frame at a time.
//!
//! This page is the architecture; `tests/architecture.rs` checks it.
//!
//! # The walk
//!
//! ```text
//!  RTMP bytes -> rtmp/session -> media/flv -> media/fragmenter -> media/fmp4 -> stream/ws_frame -> session/outbox -> net/socket
//!  rtmp/server [S]   Message       Item            Output          Fragment       Framed             session/viewer [S]
//!                                         stream/state inside stream/actor [S]    session/fan inside session/hub [S]
//! ```
//!
//! Data flows left to right, a type for each arrow. Bytes are `Bytes` from the first parse. A frame is copied once, into
//! the buffer that holds the WebSocket header and `[prft] moof mdat`; that buffer is what every viewer is sent. A hub
//! joins the sound that came since the last picture with it, so that a viewer costs one `send` per video frame.
//!
//! # The rooms
//!
//! `[S]` marks shells: files that may name actix, tokio, sqlx or a clock. Everything else is pure: `now` comes in as an
//! argument, effects go out as values, and without the default feature `node` no shell is built.
//!
//! ```text
//! rtmp/     1. TCP bytes become messages: handshake, chunk, amf0, message, session; server [S]
//! media/    2. messages become frames, frames become fragments; knows nothing of the rest
//! stream/   3. fragments are framed once and given to subscribers: state, backlog, subscriber; actor, registry [S]
//! session/  4. hub, fan, viewer, actor, route [S] around outbox, ladder, batch and protocol: what a viewer is sent
//! relay/    a stream that another node owns: followed once per node, fed into a local stream; client, server [S]
//! store/    tenants, streams, keys, fences: one trait over PostgreSQL, SQLite [S] and memory, one contract suite
//! cluster/  who owns a stream: claim, lease (pure), coordinator; which nodes there are, what they tell and ask each
//!           other; a version in memory, and redis, peers [S]
//! auth/     the root secret, keys, viewers' tokens
//! net/      accepting, TLS, taking a socket out of the HTTP server, who a client is, problem+json [S]
//! hooks/    events to listeners and webhooks: outbox, signing, backoff, the guard on outgoing calls; client, worker [S]
//! api/      the admin REST API: one route table, one map of errors, users, the admin UI [S]
//! cli/      serve, demo, publish, token, migrate [S]
//! telemetry/ logs and metrics; spans, and traces, which carry them to a collector [S]
//! app/      the composition root: wires everything, and makes changes take effect on what runs here [S]
//! config/   one struct per concern; the one reader of files and environment
//! ```
//!
//! `pages` gives out the player, `id` names things, `clock` tells the time, `tenancy` turns what the store says of a
//! stream into what a stream runs by.
//!
//! # Glossary
//!
//! - **tenant**: a customer of the platform; owns streams and keys.
//! - **stream**: what is published by a *stream key* and watched by a *playback id*.
//! - **publisher**: the connection that sends a stream its media. **viewer**: one that watches; its *session* is its stay.
//! - **frame**: one access unit, in decode order. **fragment**: a frame as `[prft] moof mdat`.
//! - **backlog**: the newest GOP, for viewers who come. **outbox**: what one viewer has not been sent yet.
//! - **hub**: one worker thread's subscriber to a stream, with the viewers it serves.
//! - **relay**: the one connection by which a node that does not own a stream follows the one that does.
//! - **node**: one process. **lease**: its right to a stream for a few seconds. **fence**: a number that grows with each
//!   publish of a stream; **epoch**: fence and discontinuity within it.
//!
//! # Invariants
//!
//! 1. `media` knows nothing of ours.
//! 2. No clock, randomness or environment in the core.
//! 3. Every queue is bounded in bytes or entries, and says what happens when full.
//! 4. A fragment is framed once.
//! 5. A viewer never slows a publisher or another viewer.
//! 6. A fragment with an older fence is never delivered after one with a newer fence.
//! 7. No key or token is ever logged.

pub mod rtmp;

pub mod media;

pub mod stream;

pub mod session;

pub mod relay;

pub mod auth;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod id;
pub mod store;
#[cfg(feature = "node")]
pub mod tenancy;

#[cfg(feature = "node")]
pub mod api;
#[cfg(feature = "node")]
pub mod app;
#[cfg(feature = "node")]
pub mod cli;
#[cfg(feature = "node")]
pub mod hooks;
#[cfg(feature = "node")]
pub mod net;
#[cfg(feature = "node")]
pub mod pages;
#[cfg(feature = "node")]
pub mod telemetry;
