//! Writes events to the outbox, and sends what is due.

use super::backoff::{self, DISABLE_AFTER_US};
use super::client::Client;
use super::event::{Event, wants_unkept};
use super::sign;
use crate::auth::secret::Secrets;
use crate::clock::Clock;
use crate::id::{DeliveryId, EventId, TenantId};
use crate::store::{Conflict, Delivery, DeliveryState, Error, REPLAY_US, Settled, Store, WEBHOOKS_MAX, Webhook};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, Semaphore, broadcast, mpsc};

/// The outbox is looked at this often.
const EVERY: Duration = Duration::from_millis(500);
/// Old rows are removed this often.
const TIDY_EVERY: Duration = Duration::from_secs(3_600);
/// Calls at once, so that targets that hang hold up neither much memory nor each other for long.
const CALLS_MAX: usize = 16;
/// A delivery that was taken is taken again after this, where whoever took it did not come back.
const TAKEN_US: i64 = 60_000_000;
/// Settled deliveries are shown for this long.
const SHOWN_US: i64 = 14 * 86_400 * 1_000_000;
/// Calls at once for what is not kept.
const ANNOUNCEMENTS_MAX: usize = 8;
/// Webhooks are read again after this, for what is not kept.
const HOOKS_FRESH: Duration = Duration::from_secs(5);

pub struct Parts {
    pub store: Arc<dyn Store>,
    pub secrets: Arc<Secrets>,
    pub clock: Arc<dyn Clock>,
    pub client: Arc<Client>,
    pub random: fn(&mut [u8]),
}

pub struct Worker {
    parts: Parts,
    calls: Arc<Semaphore>,
    announcements: Arc<Semaphore>,
    /// Something was written to the outbox.
    due: Notify,
}

impl Worker {
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            calls: Arc::new(Semaphore::new(CALLS_MAX)),
            announcements: Arc::new(Semaphore::new(ANNOUNCEMENTS_MAX)),
            due: Notify::new(),
        })
    }

    /// Keeps events, each in one transaction with its deliveries, until all who tell them are gone. While the database
    /// is away they wait here and in the feed's queue.
    pub async fn write(self: Arc<Self>, mut events: mpsc::Receiver<Arc<Event>>) {
        while let Some(event) = events.recv().await {
            let happened = event.happened();
            let ids: Vec<_> = (0..WEBHOOKS_MAX).map(|_| DeliveryId::from_random(self.random())).collect();
            loop {
                match self.parts.store.record_event(&happened, event.fence, &ids).await {
                    // Written by another node, or by a try that was not answered in time.
                    Ok(()) | Err(Error::Conflict(Conflict::Exists)) => {
                        self.due.notify_one();
                        break;
                    }
                    Err(Error::Conflict(Conflict::Superseded)) => {
                        tracing::debug!(event = event.name, tenant = %event.tenant, "too late to be kept");
                        break;
                    }
                    Err(Error::Unavailable(_)) => tokio::time::sleep(EVERY).await,
                    Err(error) => {
                        tracing::warn!(%error, event = event.name, tenant = %event.tenant, "an event can't be kept");
                        break;
                    }
                }
            }
        }
    }

    /// Tells webhooks that name it of what is not kept: once, and not at all where too much is on its way.
    pub async fn announce(self: Arc<Self>, mut events: broadcast::Receiver<Arc<Event>>) {
        let mut known: HashMap<TenantId, (Duration, Vec<Webhook>)> = HashMap::new();
        loop {
            let event = match events.recv().await {
                Ok(event) if !event.is_kept() => event,
                Ok(_) | Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            };
            let now = self.parts.clock.monotonic();
            known.retain(|_, (read, _)| now.saturating_sub(*read) < HOOKS_FRESH);
            if !known.contains_key(&event.tenant) {
                let Ok(hooks) = self.parts.store.webhooks(&event.tenant).await else { continue };
                known.insert(event.tenant.clone(), (now, hooks));
            }
            let Some((_, hooks)) = known.get(&event.tenant) else { continue };
            for hook in hooks.iter().filter(|hook| wants_unkept(hook, event.name)) {
                let Ok(permit) = self.announcements.clone().try_acquire_owned() else { break };
                let (worker, hook, event) = (self.clone(), hook.clone(), event.clone());
                tokio::spawn(async move {
                    let sent = worker.call(&hook, &event.id, &event.happened().payload).await;
                    tracing::debug!(webhook = %hook.id, event = event.name, ?sent, "announced");
                    drop(permit);
                });
            }
        }
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.parts.random)(&mut bytes);
        bytes
    }

    /// Sends what is due, for as long as the process lives.
    pub async fn send(self: Arc<Self>) {
        let mut tidied = Duration::ZERO;
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = self.due.notified() => {}
            }
            let free = self.calls.available_permits();
            let now_us = self.parts.clock.unix_us();
            let limit = u32::try_from(free).unwrap_or(0);
            if limit > 0 {
                match self.parts.store.take_deliveries(now_us, now_us + TAKEN_US, limit).await {
                    Ok(due) => due.into_iter().for_each(|delivery| self.clone().start(delivery)),
                    Err(error) => tracing::debug!(%error, "the outbox can't be read"),
                }
            }
            let now = self.parts.clock.monotonic();
            if now.saturating_sub(tidied) > TIDY_EVERY {
                tidied = now;
                if let Err(error) = self.parts.store.forget_before(now_us - REPLAY_US, now_us - SHOWN_US).await {
                    tracing::warn!(%error, "old deliveries can't be removed");
                }
            }
        }
    }

    fn start(self: Arc<Self>, delivery: Delivery) {
        let Ok(permit) = self.calls.clone().try_acquire_owned() else { return };
        tokio::spawn(async move {
            self.deliver(delivery).await;
            drop(permit);
        });
    }

    async fn deliver(&self, delivery: Delivery) {
        let hook = match self.parts.store.webhook(&delivery.webhook).await {
            Ok(Some(hook)) => hook,
            // Gone with its webhook; or the database is away, and it is taken again later.
            Ok(None) | Err(_) => return,
        };
        let outcome = self.call(&hook, &delivery.event_id, &delivery.payload).await;
        let settled = self.settled(&delivery, outcome);
        if let Err(error) = self.parts.store.settle_delivery(&delivery.id, &settled).await {
            tracing::warn!(%error, delivery = %delivery.id, "what came of a delivery can't be kept: it is sent again");
        }
    }

    /// The status that was answered, or why there was none.
    async fn call(&self, hook: &Webhook, event: &EventId, payload: &str) -> Result<u16, String> {
        let secret = self.parts.secrets.open(&hook.sealed, hook.id.as_str()).map_err(|error| error.to_string())?;
        let timestamp_s = self.parts.clock.unix_us() / 1_000_000;
        let id = event.as_str();
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", timestamp_s.to_string()),
            ("webhook-signature", sign::signature(&secret, id, timestamp_s, payload)),
        ];
        let reply = self.parts.client.post(&hook.url, &headers, payload.to_owned()).await;
        reply.map(|reply| reply.status).map_err(|error| error.to_string())
    }

    fn settled(&self, delivery: &Delivery, outcome: Result<u16, String>) -> Settled {
        let (at_us, attempts) = (self.parts.clock.unix_us(), delivery.attempts + 1);
        let (status, error) = match outcome {
            Ok(status @ 200..=299) => (Some(status), None),
            Ok(status) => (Some(status), Some(format!("the answer was {status}, not 2xx"))),
            Err(error) => (None, Some(error)),
        };
        let [random] = self.random();
        let (state, next_us) = match (&error, backoff::next_us(attempts, random)) {
            (None, _) => (DeliveryState::Delivered, at_us),
            (Some(_), Some(after_us)) => (DeliveryState::Pending, at_us + after_us),
            (Some(_), None) => (DeliveryState::Failed, at_us),
        };
        Settled { state, attempts, next_us, status, error, at_us, disable_before_us: at_us - DISABLE_AFTER_US }
    }
}
