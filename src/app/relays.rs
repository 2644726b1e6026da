//! Following streams of other nodes, and being followed.

use super::Parts;
use super::cluster::Cluster;
use crate::clock::Clock;
use crate::cluster::Standing;
use crate::config::{Config, Current, Limits};
use crate::relay::{self, Relays, Serving};
use std::sync::Arc;

/// None: there is no other node.
pub(super) fn relays(
    config: &Config,
    limits: Current<Limits>,
    cluster: &Cluster,
    clock: &Arc<dyn Clock>,
) -> Option<Arc<Relays>> {
    config.redis.url.as_ref()?;
    let peers = cluster.peers.clone();
    Some(Relays::new(relay::Parts {
        node: cluster.nodes.myself.node.clone(),
        ownership: cluster.ownership.clone(),
        credential: Box::new(move |node| peers.credential(node)),
        clock: clock.clone(),
        backlog_bytes_max: Box::new(move || limits.get().backlog_bytes),
    }))
}

pub(super) fn serving(parts: &Parts, cluster: &Cluster) -> Serving {
    let (peers, ownership) = (cluster.peers.clone(), cluster.ownership.clone());
    Serving {
        registry: parts.registry.clone(),
        clock: parts.clock.clone(),
        metrics: parts.metrics.clone(),
        is_node: Box::new(move |shown| peers.admit(shown).is_some()),
        may_serve: Box::new(move |stream| {
            ownership.held(stream).is_some_and(|(_, standing)| standing == Standing::Held)
        }),
    }
}
