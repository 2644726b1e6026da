//! How a stream of the store runs.

use crate::config::Limits;
use crate::store;
use crate::stream::backlog::Bounds;
use crate::stream::publisher::SecondPublisher;
use crate::stream::state::Settings;

pub fn settings(stored: &store::Settings, limits: &Limits) -> Settings {
    Settings {
        second_publisher: match stored.second_publisher {
            store::SecondPublisher::Refuse => SecondPublisher::Refuse,
            store::SecondPublisher::Takeover => SecondPublisher::Takeover,
        },
        reconnect_window_us: i64::from(stored.reconnect_window_s) * 1_000_000,
        backlog: Bounds { bytes: limits.backlog_bytes, span_us: i64::from(limits.backlog_s) * 1_000_000 },
        send_every_ms: stored.latency_target_ms,
    }
}
