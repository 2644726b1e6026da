//! What a stream's actor is made with.

use crate::clock::Clock;
use crate::id::StreamId;
use crate::stream::state::Settings;
use crate::stream::status::Status;
use crate::stream::upstream::Upstream;
use crate::telemetry::Metrics;
use std::sync::Arc;

pub struct Birth {
    pub id: StreamId,
    pub settings: Settings,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    pub status: Arc<Status>,
    /// None: there is no other node.
    pub upstream: Option<Arc<dyn Upstream>>,
    /// Called once, when the stream begins to stop.
    pub on_stop: Box<dyn FnOnce() + Send>,
}
