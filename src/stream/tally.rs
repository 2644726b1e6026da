//! What one stream adds to the node's metrics.

use crate::telemetry::Metrics;
use std::sync::Arc;

pub(super) struct Tally {
    metrics: Arc<Metrics>,
    is_live: bool,
    times_behind: u64,
    backlog_bytes: i64,
}

impl Tally {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, is_live: false, times_behind: 0, backlog_bytes: 0 }
    }

    pub(super) fn add_fragments(&self, count: usize) {
        self.metrics.fragments.inc_by(count as u64);
    }

    pub(super) fn update(&mut self, is_live: bool, times_behind: u64, backlog_bytes: usize) {
        let backlog_bytes = i64::try_from(backlog_bytes).unwrap_or(i64::MAX);
        self.metrics.backlog_bytes.inc_by(backlog_bytes - self.backlog_bytes);
        self.backlog_bytes = backlog_bytes;
        self.metrics.streams_live.inc_by(i64::from(is_live) - i64::from(self.is_live));
        self.metrics.hubs_behind.inc_by(times_behind - self.times_behind);
        self.is_live = is_live;
        self.times_behind = times_behind;
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.metrics.streams_live.dec_by(i64::from(self.is_live));
        self.metrics.backlog_bytes.dec_by(self.backlog_bytes);
    }
}
