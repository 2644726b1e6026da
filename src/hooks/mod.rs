//! What happened goes out: to whoever listens to the API's events, and to webhooks through an outbox in the store.

pub mod backoff;
pub mod client;
pub mod event;
mod feed;
pub mod guard;
mod key_sets;
pub mod sign;
mod worker;

pub use event::Event;
pub use feed::Feed;
pub use key_sets::KeyFetcher;
pub use worker::{Parts, Worker};
