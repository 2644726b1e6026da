//! Something that happened to a tenant's stream or quota.

use crate::id::{EventId, StreamId, TenantId};
use crate::store::{Happened, Webhook};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What is kept, and sent until it arrives.
pub const NAMES: [&str; 5] = ["stream.live", "stream.interrupted", "stream.ended", "stream.warning", "quota.reached"];

/// Sent to one webhook where somebody asks for it.
pub const TEST: &str = "webhook.test";

/// Changes too often to be kept: told to listeners, and once to webhooks that name it.
pub const VIEWERS: &str = "viewers.changed";

#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub id: EventId,
    pub name: &'static str,
    pub tenant: TenantId,
    pub stream: Option<StreamId>,
    /// Of the publish that it is about: it is not kept once a newer one was accepted.
    pub fence: Option<u64>,
    pub at_us: i64,
    pub data: Value,
}

impl Event {
    pub fn is_kept(&self) -> bool {
        NAMES.contains(&self.name)
    }

    /// As it is kept and sent.
    pub fn happened(&self) -> Happened {
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.at_us) * 1_000).ok();
        let time = time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default();
        Happened {
            id: self.id.clone(),
            tenant: self.tenant.clone(),
            stream: self.stream.clone(),
            name: self.name.to_owned(),
            payload: self.payload(&time).to_string(),
            at_us: self.at_us,
        }
    }

    /// `{type, timestamp, data}`, as Standard Webhooks advises.
    fn payload(&self, timestamp: &str) -> Value {
        let mut data = self.data.clone();
        if let Some(data) = data.as_object_mut() {
            data.insert("tenant".to_owned(), json!(self.tenant));
            if let Some(stream) = &self.stream {
                data.insert("stream".to_owned(), json!(stream));
            }
        }
        json!({ "id": self.id.as_str(), "type": self.name, "timestamp": timestamp, "data": data })
    }
}

/// Of what happens once in a publish: whoever tells it, it is kept and sent once.
pub fn once(stream: &StreamId, fence: u64, name: &str) -> EventId {
    let digest = Sha256::digest(format!("{stream} {fence} {name}"));
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    EventId::from_random(id)
}

/// Whether a webhook may name an event.
pub fn can_be_wanted(name: &str) -> bool {
    NAMES.contains(&name) || name == VIEWERS
}

/// Of events that are not kept: only those that are named.
pub fn wants_unkept(hook: &Webhook, name: &str) -> bool {
    hook.disabled_us.is_none() && hook.events.iter().any(|wanted| wanted == name)
}
