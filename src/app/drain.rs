//! Sending everybody away, and ending.

use super::Node;
use crate::api::Phase;
use crate::stream::handle::Command;
use crate::stream::packet::Packet;
use std::time::Duration;

/// A load balancer has this long to find out that nobody is to be sent here; those whom it still sends are taken.
const POOL_LEFT: Duration = Duration::from_secs(1);
/// Those who can't be asked to reconnect have this long to do so by themselves.
const PUBLISHERS_STAY: Duration = Duration::from_secs(10);
/// Publishers have this long to take in that they are ended, and their leases to be given back.
const PUBLISHERS_END: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Node {
    /// Viewers are told at once, and come back to another node or after the restart; publishers are asked to reconnect,
    /// and viewers elsewhere see them until they do.
    pub async fn drain(self) {
        self.parts.health.enter(Phase::Draining);
        self.beat.exchange().await;
        let viewers = self.parts.metrics.viewers.get();
        tracing::info!(viewers, publishers = self.publishers.connections(), "draining");
        let begun = self.parts.clock.monotonic();
        let drain_timeout = self.config.drain_timeout;
        if self.parts.relays.is_some() {
            actix_rt::time::sleep(POOL_LEFT.min(drain_timeout / 4)).await;
        }
        self.publishers.drain();
        for stream in self.parts.registry.list() {
            let order = Packet::Close { code: 4503, reason: "the server is shutting down".into() };
            // Closed: nobody watches it.
            let _ = stream.send(Command::Order(order)).await;
        }
        loop {
            let spent = self.parts.clock.monotonic().saturating_sub(begun);
            let has_publishers = self.publishers.connections() > 0 && spent < PUBLISHERS_STAY;
            let has_viewers = self.parts.metrics.viewers.get() > 0;
            if !(has_publishers || has_viewers) || spent + PUBLISHERS_END >= drain_timeout {
                break;
            }
            actix_rt::time::sleep(LOOK_EVERY).await;
        }
        self.publishers.end();
        // Connections that don't end are cut with the process.
        let _ = actix_rt::time::timeout(PUBLISHERS_END, self.publishers.wait_until_idle()).await;
        self.beat.leave().await;
        for task in &self.tasks {
            task.abort();
        }
        // Before the threads on which somebody may still wait for an answer end.
        if let Err(error) = self.parts.store.close().await {
            tracing::warn!(%error, "the database was left while it was asked something");
        }
        for server in &self.http {
            server.stop(false).await;
        }
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
        tracing::info!("stopped");
    }
}
