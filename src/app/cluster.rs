//! Which version of the cluster's traits a node works with, and what it tells the others.

use crate::api::Health;
use crate::auth::secret::Secrets;
use crate::clock::Clock;
use crate::cluster::peers::Peers;
use crate::cluster::redis::{Link, RedisBus, RedisRoster, RedisTable};
use crate::cluster::{Bus, Coordinator, LocalBus, LocalRoster, LocalTable, Myself, Nodes, Ownership, Presence, Roster};
use crate::config::{Config, Secret};
use crate::store::Store;
use crate::telemetry::Metrics;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// What nodes tell of themselves is known everywhere after twice this.
const BEAT: Duration = Duration::from_millis(500);

pub(super) struct Cluster {
    pub(super) ownership: Arc<dyn Ownership>,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) roster: Arc<dyn Roster>,
    pub(super) nodes: Arc<Nodes>,
    pub(super) peers: Arc<Peers>,
    /// Hears what other nodes tell.
    pub(super) listening: Option<JoinHandle<()>>,
}

impl Cluster {
    /// Without a Redis this node is the only one.
    pub(super) fn open(
        redis: Option<&Secret>,
        myself: Myself,
        store: Arc<dyn Store>,
        secrets: Arc<Secrets>,
        clock: Arc<dyn Clock>,
        health: Arc<Health>,
    ) -> anyhow::Result<Self> {
        let nodes = Arc::new(Nodes::new(myself.clone()));
        let peers = Arc::new(Peers::new(myself.node.clone(), secrets, clock.clone()));
        let Some(url) = redis else {
            let table = Arc::new(LocalTable::new(clock.clone()));
            return Ok(Self {
                ownership: Arc::new(Coordinator::new(table, Arc::new(store), clock.clone(), myself)),
                bus: Arc::new(LocalBus::default()),
                roster: Arc::new(LocalRoster::new(clock)),
                nodes,
                peers,
                listening: None,
            });
        };
        health.note_redis(false);
        let link = Link::new(url, clock.clone(), Box::new(move |is_away| health.note_redis(is_away)))?;
        let link = Arc::new(link);
        let bus = Arc::new(RedisBus::new(link.clone(), myself.incarnation.clone()));
        let listening = tokio::spawn(bus.clone().listen());
        let table = Arc::new(RedisTable::new(link.clone()));
        Ok(Self {
            ownership: Arc::new(Coordinator::new(table, Arc::new(store), clock, myself)),
            bus,
            roster: Arc::new(RedisRoster::new(link)),
            nodes,
            peers,
            listening: Some(listening),
        })
    }

    pub(super) fn beat(&self, health: Arc<Health>, metrics: Arc<Metrics>, started_us: i64) -> Beat {
        Beat { roster: self.roster.clone(), nodes: self.nodes.clone(), health, metrics, started_us }
    }
}

/// `internal` is where other nodes are really listened for.
pub(super) fn myself(config: &Config, internal: SocketAddr, random: [u8; 8]) -> Myself {
    let incarnation = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let url = config.node.url.clone().unwrap_or_else(|| format!("http://{internal}"));
    Myself { node: config.node.id.clone(), incarnation, url }
}

/// Tells the other nodes of this one, and hears of them.
#[derive(Clone)]
pub(super) struct Beat {
    pub(super) roster: Arc<dyn Roster>,
    pub(super) nodes: Arc<Nodes>,
    pub(super) health: Arc<Health>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) started_us: i64,
}

impl Beat {
    /// For as long as the process lives.
    pub(super) async fn run(self) {
        loop {
            self.exchange().await;
            tokio::time::sleep(BEAT).await;
        }
    }

    /// While Redis is away, the others are taken to be where they were.
    pub(super) async fn exchange(&self) {
        match self.roster.exchange(&self.own()).await {
            Ok(living) => self.nodes.set(living),
            Err(error) => tracing::debug!(%error, "the other nodes can't be told of this one"),
        }
    }

    pub(super) async fn leave(&self) {
        if let Err(error) = self.roster.leave(&self.own()).await {
            tracing::debug!(%error, "the other nodes find out by themselves that this one is gone");
        }
    }

    fn own(&self) -> Presence {
        let Myself { node, incarnation, url } = self.nodes.myself.clone();
        Presence {
            node,
            incarnation,
            url,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: self.health.phase().as_str().to_owned(),
            started_us: self.started_us,
            viewers: self.metrics.viewers.get(),
            streams: self.metrics.streams_live.get(),
            publishers: self.metrics.publishers.get(),
        }
    }
}
