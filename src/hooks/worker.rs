//! Writes events to the outbox, and sends what is due.

use super::backoff::{self, DISABLE_AFTER_US};
use super::client::Client;
use super::event::Event;
use super::sign;
use crate::auth::secret::Secrets;
use crate::clock::Clock;
use crate::id::DeliveryId;
use crate::store::{Delivery, DeliveryState, REPLAY_US, Settled, Store, Webhook};
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::{Semaphore, mpsc};

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
/// An event is written again where the database was away, this often.
const WRITE_TRIES: u32 = 30;

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
}

impl Worker {
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self { parts, calls: Arc::new(Semaphore::new(CALLS_MAX)) })
    }

    /// Until all who tell events are gone.
    pub async fn write(self: Arc<Self>, mut events: mpsc::Receiver<Arc<Event>>) {
        while let Some(event) = events.recv().await {
            for attempt in 1..=WRITE_TRIES {
                match self.enqueue(&event).await {
                    Ok(()) => break,
                    Err(error) if attempt == WRITE_TRIES => {
                        tracing::error!(%error, event = event.name, "an event could not be kept for webhooks");
                    }
                    Err(_) => tokio::time::sleep(EVERY).await,
                }
            }
        }
    }

    async fn enqueue(&self, event: &Event) -> crate::store::Result<()> {
        let mut hooks = self.parts.store.webhooks(&event.tenant).await?;
        hooks.retain(|hook| hook.disabled_us.is_none() && wants(hook, event.name));
        if hooks.is_empty() {
            return Ok(());
        }
        let new: Vec<_> = hooks.iter().map(|hook| delivery(event, hook, self.random())).collect();
        self.parts.store.enqueue(&new).await
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
            tokio::time::sleep(EVERY).await;
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
        let outcome = self.call(&hook, &delivery).await;
        let settled = self.settled(&delivery, outcome);
        if let Err(error) = self.parts.store.settle_delivery(&delivery.id, &settled).await {
            tracing::warn!(%error, delivery = %delivery.id, "what came of a delivery can't be kept: it is sent again");
        }
    }

    /// The status that was answered, or why there was none.
    async fn call(&self, hook: &Webhook, delivery: &Delivery) -> Result<u16, String> {
        let secret = self.parts.secrets.open(&hook.sealed, hook.id.as_str()).map_err(|error| error.to_string())?;
        let timestamp_s = self.parts.clock.unix_us() / 1_000_000;
        let id = delivery.event_id.as_str();
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", timestamp_s.to_string()),
            ("webhook-signature", sign::signature(&secret, id, timestamp_s, &delivery.payload)),
        ];
        let reply = self.parts.client.post(&hook.url, &headers, delivery.payload.clone()).await;
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

fn wants(hook: &Webhook, name: &str) -> bool {
    hook.events.is_empty() || hook.events.iter().any(|wanted| wanted == name)
}

/// An event as one webhook is sent it.
pub fn delivery(event: &Event, hook: &Webhook, random: [u8; 16]) -> Delivery {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(event.at_us) * 1_000).ok();
    let time = time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default();
    Delivery {
        id: DeliveryId::from_random(random),
        webhook: hook.id.clone(),
        event_id: event.id.clone(),
        event: event.name.to_owned(),
        payload: event.payload(&time).to_string(),
        state: DeliveryState::Pending,
        attempts: 0,
        next_us: event.at_us,
        status: None,
        error: None,
        created_us: event.at_us,
        updated_us: event.at_us,
    }
}
