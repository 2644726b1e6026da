//! Which version of the cluster's traits a node works with, and what it tells the others.

use super::Parts;
use super::meter::share;
use crate::api::Health;
use crate::auth::secret::Secrets;
use crate::clock::Clock;
use crate::cluster::peers::Peers;
use crate::cluster::redis::{Link, RedisBus, RedisRoster, RedisTable};
use crate::cluster::seats::Seats;
use crate::cluster::{
    Bus, Coordinator, Exchanged, LocalBus, LocalRoster, LocalTable, Myself, Nodes, Ownership, Presence, Roster,
};
use crate::config::{Config, Secret};
use crate::store::Store;
use crate::stream::registry::Registry;
use crate::telemetry::Metrics;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// What nodes tell of themselves is known everywhere after twice this.
const BEAT: Duration = Duration::from_millis(500);
/// A process that lives tells of itself within this.
const NAMESAKE_PAUSE: Duration = Duration::from_millis(1_200);

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
    roster: Arc<dyn Roster>,
    nodes: Arc<Nodes>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    started_us: i64,
    registry: Arc<Registry>,
    seats: Arc<Seats>,
}

impl Beat {
    pub(super) fn of(parts: &Parts, cluster: &Cluster) -> Self {
        Self {
            roster: cluster.roster.clone(),
            nodes: cluster.nodes.clone(),
            health: parts.health.clone(),
            metrics: parts.metrics.clone(),
            started_us: parts.clock.unix_us(),
            registry: parts.registry.clone(),
            seats: parts.seats.clone(),
        }
    }

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
            Ok(exchanged) => self.take_in(exchanged),
            Err(error) => tracing::debug!(%error, "the other nodes can't be told of this one"),
        }
    }

    /// Fails where another process that lives tells of itself by this node's name; that one stays.
    pub(super) async fn refuse_a_namesake(&self) -> anyhow::Result<()> {
        // Away: a namesake is noticed later.
        let namesake = async || self.roster.exchange(&self.own()).await.ok()?.namesake;
        if namesake().await.is_none() {
            return Ok(());
        }
        // Or of this node before a crash: it does not tell again.
        tokio::time::sleep(NAMESAKE_PAUSE).await;
        let Some(other) = namesake().await else { return Ok(()) };
        self.leave().await;
        let (name, url) = (other.node, other.url);
        anyhow::bail!(
            "another process, at {url}, runs by the name of this node, {name:?}: give each a node.id of its own"
        )
    }

    fn take_in(&self, exchanged: Exchanged) {
        if let Some(other) = exchanged.namesake {
            let (node, url) = (other.node, other.url);
            tracing::error!(
                node,
                url,
                "another process runs by the name of this node: each needs a node.id of its own"
            );
        }
        self.nodes.set(exchanged.living);
    }

    pub(super) async fn leave(&self) {
        if let Err(error) = self.roster.leave(&self.own()).await {
            tracing::debug!(%error, "the other nodes find out by themselves that this one is gone");
        }
    }

    fn own(&self) -> Presence {
        let Myself { node, incarnation, url } = self.nodes.myself.clone();
        let occupied = self.seats.occupied();
        let shares = occupied.iter().map(|tenant| (tenant.tenant.clone(), share(&self.registry, tenant))).collect();
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
            shares,
        }
    }
}
