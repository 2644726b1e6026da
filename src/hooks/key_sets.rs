//! Fetches tenants' key sets on a timer, never because of a token.

use super::client::Client;
use crate::auth::key_set;
use crate::clock::Clock;
use crate::id::TenantId;
use crate::store::{Fetched, KeySet, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Sets whose time has come are looked for this often.
const EVERY: Duration = Duration::from_secs(1);
/// After a fetch that failed, the next comes within this.
const RETRY: Duration = Duration::from_secs(30);
/// A set that was taken is taken again after this, where whoever took it did not come back.
const TAKEN_US: i64 = 60 * 1_000_000;
/// Fetches at once.
const FETCHES_MAX: usize = 4;

pub struct KeyFetcher {
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub client: Arc<Client>,
    /// A set is fetched again after this: what its owner removed lets nobody in for longer.
    pub again: Duration,
    /// Called when a tenant's keys are others than before.
    pub on_change: Box<dyn Fn(TenantId) + Send + Sync>,
}

impl KeyFetcher {
    /// For as long as the process lives.
    pub async fn run(self) {
        let (fetcher, fetches) = (Arc::new(self), Arc::new(Semaphore::new(FETCHES_MAX)));
        loop {
            tokio::time::sleep(EVERY).await;
            let now_us = fetcher.clock.unix_us();
            let free = u32::try_from(fetches.available_permits()).unwrap_or(0);
            if free == 0 {
                continue;
            }
            let due = match fetcher.store.take_key_sets(now_us, now_us + TAKEN_US, free).await {
                Ok(due) => due,
                Err(error) => {
                    tracing::debug!(%error, "key sets can't be read");
                    continue;
                }
            };
            for set in due {
                let Ok(permit) = fetches.clone().try_acquire_owned() else { break };
                let fetcher = fetcher.clone();
                tokio::spawn(async move {
                    fetcher.fetch(set).await;
                    drop(permit);
                });
            }
        }
    }

    async fn fetch(&self, set: KeySet) {
        let outcome = self.keys(&set.url).await;
        let at_us = self.clock.unix_us();
        let after = if outcome.is_ok() { self.again } else { self.again.min(RETRY) };
        let next_us = at_us + i64::try_from(after.as_micros()).unwrap_or(i64::MAX / 2);
        match &outcome {
            Ok(keys) => tracing::debug!(key_set = %set.id, keys = keys.len(), "key set fetched"),
            Err(error) => tracing::info!(key_set = %set.id, error, "a key set can't be fetched"),
        }
        let has_changed = outcome.as_ref().is_ok_and(|keys| *keys != set.keys);
        match self.store.settle_key_set(&set.id, &Fetched { outcome, at_us, next_us }).await {
            Ok(()) if has_changed => (self.on_change)(set.tenant),
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, key_set = %set.id, "what was fetched can't be kept: again later"),
        }
    }

    async fn keys(&self, url: &str) -> Result<Vec<String>, String> {
        let reply = self.client.get_trusted(url).await.map_err(|error| error.to_string())?;
        if reply.status != 200 {
            return Err(format!("the answer was {}, not 200; redirects are not followed", reply.status));
        }
        let body = reply.body.ok_or("the answer is longer than 64 KiB, or was cut off")?;
        key_set::parse(&body).map_err(|error| error.to_string())
    }
}
