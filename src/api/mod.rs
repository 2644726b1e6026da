//! Administration over HTTP: one route table, one error -> problem+json map, one file per resource.

mod api_keys;
mod audit;
mod bounds;
mod browser;
mod caller;
mod debug;
mod elsewhere;
mod error;
mod events;
mod first_start;
mod hashing;
mod health;
mod input;
mod listeners;
mod live;
mod login;
mod nodes;
mod openapi;
mod provision;
mod publishes;
mod replay;
mod request_id;
mod revision;
mod routes;
mod sessions;
mod show;
mod signing_keys;
mod stream_keys;
mod streams;
mod tenants;
pub mod tokens;
mod ui;
mod usage;
mod users;
mod webhooks;

use crate::auth::logins::Logins;
use crate::auth::rate::Rates;
use crate::auth::secret::{Hash, Secrets};
use crate::auth::tries::Tries;
use crate::clock::Clock;
use crate::cluster::peers::Peers;
use crate::cluster::{Bus, Message, Nodes};
use crate::config::{Config, Current, Limits};
use crate::hooks::Feed;
use crate::net::client::Trusted;
use crate::store::Store;
use crate::stream::registry::Registry;
use hashing::Hashing;
use listeners::Listeners;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use debug::debug;
pub use elsewhere::internal;
pub use error::Error;
pub use first_start::first_key;
pub use health::{Health, Phase, health};
pub use live::warnings;
pub use openapi::document;
pub use provision::{Demo, DemoStream, demo};
pub use routes::{BASE, ROUTES, Route, configure};
pub use show::{Links, sign_in};
pub use ui::{is_ui_built, ui};
pub use users::first_link;

/// Fills a slice from the system's random source.
pub type Random = fn(&mut [u8]);

/// Hears of stream keys, so that a new one is not mistaken for a guess.
pub type OnStreamKey = Box<dyn Fn(&Hash) + Send + Sync>;

/// What the handlers work with.
pub struct State {
    pub store: Arc<dyn Store>,
    pub bus: Arc<dyn Bus>,
    pub registry: Arc<Registry>,
    pub secrets: Arc<Secrets>,
    pub clock: Arc<dyn Clock>,
    pub random: Random,
    pub trusted: Trusted,
    feed: Arc<Feed>,
    health: Arc<Health>,
    on_stream_key: OnStreamKey,
    nodes: Arc<Nodes>,
    peers: Arc<Peers>,
    node: String,
    started_us: i64,
    links: Links,
    /// The configured administrator's key.
    admin_key: Option<Hash>,
    limits: Current<Limits>,
    tries: Mutex<Tries>,
    rates: Mutex<Rates>,
    logins: Mutex<Logins>,
    hashing: Hashing,
    listeners: Arc<Listeners>,
}

/// What the composition root hands over.
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub bus: Arc<dyn Bus>,
    pub registry: Arc<Registry>,
    pub secrets: Arc<Secrets>,
    pub clock: Arc<dyn Clock>,
    pub random: Random,
    pub trusted: Trusted,
    pub limits: Current<Limits>,
    /// Base of links given out.
    pub public_url: Current<Option<String>>,
    pub feed: Arc<Feed>,
    pub health: Arc<Health>,
    /// Called with each new stream key's hash.
    pub on_stream_key: OnStreamKey,
    pub nodes: Arc<Nodes>,
    pub peers: Arc<Peers>,
}

impl State {
    pub fn new(parts: Parts, config: &Config) -> Self {
        let Parts { store, bus, registry, secrets, clock, random, trusted, feed, health, .. } = parts;
        let Parts { on_stream_key, nodes, peers, limits, public_url, .. } = parts;
        let listeners = Listeners::new();
        bus.subscribe(listeners.clone());
        Self {
            admin_key: config.admin_key.as_ref().map(|key| secrets.hash(key.reveal())),
            node: nodes.myself.node.clone(),
            links: {
                let rtmps_port = config.rtmps.listen.map(|listen| listen.port());
                Links::new(public_url, config.rtmp.listen.port(), rtmps_port)
            },
            limits,
            rates: Mutex::default(),
            tries: Mutex::default(),
            logins: Mutex::default(),
            hashing: Hashing::default(),
            listeners,
            started_us: clock.unix_us(),
            feed,
            health,
            on_stream_key,
            nodes,
            peers,
            store,
            bus,
            registry,
            secrets,
            clock,
            random,
            trusted,
        }
    }

    fn now_us(&self) -> i64 {
        self.clock.unix_us()
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.random)(&mut bytes);
        bytes
    }

    fn tries(&self) -> MutexGuard<'_, Tries> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rates(&self) -> MutexGuard<'_, Rates> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn logins(&self) -> MutexGuard<'_, Logins> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells every node of a change that is stored; one that misses it reads it again in time.
    async fn tell(&self, message: Message) {
        if let Err(error) = self.bus.publish(message).await {
            tracing::warn!(%error, "a change was stored but could not be told to all nodes");
        }
    }
}
