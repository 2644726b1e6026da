//! What piles up beside the records: answers kept for replays, webhooks with their outbox, usage.

use super::{Entry, Page, Result};
use crate::auth::secret::Sealed;
use crate::id::{DeliveryId, EventId, StreamId, TenantId, WebhookId};
use async_trait::async_trait;

/// Webhooks of one tenant.
pub const WEBHOOKS_MAX: usize = 20;

/// An answer is replayed for this long.
pub const REPLAY_US: i64 = 24 * 3_600 * 1_000_000;

/// A request that was begun this long ago and not answered was cut off.
pub const REPLAY_RUNNING_US: i64 = 60 * 1_000_000;

/// Usage is kept by the hour.
pub const HOUR_US: i64 = 3_600 * 1_000_000;

/// The events that tell when a stream is published.
pub const PUBLISH_EVENTS: [&str; 3] = ["stream.live", "stream.interrupted", "stream.ended"];

/// What is known of a request with an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replay {
    /// It is this caller's to answer.
    New,
    /// Another is being answered with the key just now.
    Running,
    /// The key was used for something else.
    Other,
    Done(Answer),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// JSON, without secrets.
    pub body: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    pub id: WebhookId,
    pub tenant: TenantId,
    pub url: String,
    /// Names of events; empty: all.
    pub events: Vec<String>,
    /// The secret that signs, sealed for the webhook's id.
    pub sealed: Sealed,
    pub disabled_us: Option<i64>,
    /// Since when nothing was delivered.
    pub failing_us: Option<i64>,
    pub revision: i64,
    pub created_us: i64,
    pub updated_us: i64,
}

impl Webhook {
    pub fn wants(&self, event: &str) -> bool {
        let is_named = self.events.is_empty() || self.events.iter().any(|wanted| wanted == event);
        is_named && self.disabled_us.is_none()
    }
}

/// An event as it is kept and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    pub id: EventId,
    pub tenant: TenantId,
    pub stream: Option<StreamId>,
    /// For instance `stream.live`.
    pub name: String,
    /// JSON.
    pub payload: String,
    pub at_us: i64,
}

impl Happened {
    /// For one webhook, due at once.
    pub fn delivery(&self, id: DeliveryId, webhook: WebhookId) -> Delivery {
        Delivery {
            id,
            webhook,
            event_id: self.id.clone(),
            event: self.name.clone(),
            payload: self.payload.clone(),
            state: DeliveryState::Pending,
            attempts: 0,
            next_us: self.at_us,
            status: None,
            error: None,
            created_us: self.at_us,
            updated_us: self.at_us,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    Pending,
    Delivered,
    Failed,
}

impl DeliveryState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::Pending, Self::Delivered, Self::Failed].into_iter().find(|state| state.name() == name)
    }
}

/// One event for one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub id: DeliveryId,
    pub webhook: WebhookId,
    /// The same in each try and each redelivery, so that the receiver can tell what it has had.
    pub event_id: EventId,
    /// For instance `stream.live`.
    pub event: String,
    /// The body, byte for byte as it is signed.
    pub payload: String,
    pub state: DeliveryState,
    pub attempts: u32,
    /// When it is tried next.
    pub next_us: i64,
    /// What the receiver answered last.
    pub status: Option<u16>,
    pub error: Option<String>,
    pub created_us: i64,
    pub updated_us: i64,
}

/// What came of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    pub state: DeliveryState,
    pub attempts: u32,
    pub next_us: i64,
    pub status: Option<u16>,
    pub error: Option<String>,
    pub at_us: i64,
    /// A webhook that has failed since before this is disabled.
    pub disable_before_us: i64,
}

/// What a tenant used within an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    pub tenant: TenantId,
    /// Start of the hour.
    pub hour_us: i64,
    pub ingest_bytes: u64,
    pub egress_bytes: u64,
    pub viewer_seconds: u64,
}

#[async_trait]
pub trait Ledger: Send + Sync {
    /// Takes the key for this request, unless it was used within the last day.
    async fn begin_replay(&self, id: &str, request: &str, now_us: i64) -> Result<Replay>;
    /// Keeps the answer; None: the key is free again.
    async fn finish_replay(&self, id: &str, answer: Option<&Answer>) -> Result<()>;

    async fn create_webhook(&self, new: Webhook, audit: Entry) -> Result<Webhook>;
    /// Newest first.
    async fn webhooks(&self, tenant: &TenantId) -> Result<Vec<Webhook>>;
    async fn webhook(&self, id: &WebhookId) -> Result<Option<Webhook>>;
    /// Writes url, events, `disabled_us` and `failing_us` if the stored revision is still `webhook.revision`.
    async fn update_webhook(&self, webhook: &Webhook, audit: Entry) -> Result<Webhook>;
    /// With its deliveries.
    async fn delete_webhook(&self, id: &WebhookId, audit: Entry) -> Result<()>;

    /// Keeps an event, with a delivery for each webhook that wants it; `ids` are theirs, at least [`WEBHOOKS_MAX`].
    /// One of a publish with a `fence` is refused once a higher one was accepted.
    async fn record_event(&self, event: &Happened, fence: Option<u64>, ids: &[DeliveryId]) -> Result<()>;
    /// What came after this event, oldest first; nothing where it is not known. `tenant` None: of all.
    async fn events_after(&self, tenant: Option<&TenantId>, after: &EventId, limit: u32) -> Result<Vec<Happened>>;
    /// Those of [`PUBLISH_EVENTS`], newest first.
    async fn publish_events(&self, stream: &StreamId, page: &Page) -> Result<Vec<Happened>>;
    /// All of them or none.
    async fn enqueue(&self, new: &[Delivery]) -> Result<()>;
    /// Those whose time has come, of webhooks that are not disabled; they are nobody else's before `until_us`.
    async fn take_deliveries(&self, now_us: i64, until_us: i64, limit: u32) -> Result<Vec<Delivery>>;
    async fn settle_delivery(&self, id: &DeliveryId, settled: &Settled) -> Result<()>;
    async fn deliveries(&self, webhook: &WebhookId, page: &Page) -> Result<Vec<Delivery>>;
    /// Makes it due now, as if it had never been tried.
    async fn redeliver(&self, webhook: &WebhookId, id: &DeliveryId, audit: Entry) -> Result<Delivery>;

    /// Adds to what is there already for the hour.
    async fn add_usage(&self, used: &[Usage]) -> Result<()>;
    /// Oldest first, from `from_us` up to and without `to_us`.
    async fn usage(&self, tenant: &TenantId, from_us: i64, to_us: i64, limit: u32) -> Result<Vec<Usage>>;

    /// Forgets replays, and events and settled deliveries, that are older.
    async fn forget_before(&self, replays_us: i64, events_us: i64) -> Result<()>;
}
