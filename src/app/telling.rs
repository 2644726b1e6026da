//! What looks at the streams, tells what happens to them, and calls outside: started with the node.

use super::cluster::Cluster;
use super::lost::Mourner;
use super::meter::Meter;
use super::watcher::{self, Teller, Watcher};
use super::{Parts, fill_random};
use crate::cluster::Message;
use crate::config::Config;
use crate::hooks::client::Client;
use crate::hooks::guard::Guard;
use crate::hooks::{self, Event};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub(super) fn start(
    config: &Config,
    parts: &Parts,
    cluster: &Cluster,
    events: mpsc::Receiver<Arc<Event>>,
) -> [JoinHandle<()>; 7] {
    let client = Arc::new(Client::new(Guard { allowed: config.webhooks.allowed_networks.clone() }));
    let teller = Teller { feed: parts.feed.clone(), clock: parts.clock.clone(), random: fill_random };
    let phases = watcher::phases(&parts.registry, &parts.seats);
    let watcher = Watcher::new(
        parts.registry.clone(),
        parts.seats.clone(),
        cluster.nodes.clone(),
        cluster.ownership.clone(),
        teller.clone(),
    );
    let mourner = Mourner {
        nodes: cluster.nodes.clone(),
        ownership: cluster.ownership.clone(),
        store: parts.store.clone(),
        clock: parts.clock.clone(),
        teller: teller.clone(),
    };
    let meter = Meter {
        store: parts.store.clone(),
        registry: parts.registry.clone(),
        seats: parts.seats.clone(),
        nodes: cluster.nodes.clone(),
        teller,
        clock: parts.clock.clone(),
        tenants: HashMap::new(),
    };
    let worker = hooks::Worker::new(hooks::Parts {
        store: parts.store.clone(),
        secrets: parts.secrets.clone(),
        clock: parts.clock.clone(),
        client: client.clone(),
        random: fill_random,
    });
    [
        actix_rt::spawn(watcher.run(phases)),
        actix_rt::spawn(meter.run()),
        actix_rt::spawn(mourner.run()),
        actix_rt::spawn(worker.clone().write(events)),
        actix_rt::spawn(worker.clone().announce(parts.feed.listen())),
        actix_rt::spawn(worker.send()),
        actix_rt::spawn(key_fetcher(config, parts, client).run()),
    ]
}

fn key_fetcher(config: &Config, parts: &Parts, client: Arc<Client>) -> hooks::KeyFetcher {
    let bus = parts.bus.clone();
    hooks::KeyFetcher {
        store: parts.store.clone(),
        clock: parts.clock.clone(),
        client,
        again: config.webhooks.keys_every,
        on_change: Box::new(move |tenant| {
            let bus = bus.clone();
            tokio::spawn(async move {
                if let Err(error) = bus.publish(Message::SigningKeysChanged { tenant }).await {
                    tracing::warn!(%error, "new keys were stored but could not be told to all nodes");
                }
            });
        }),
    }
}
