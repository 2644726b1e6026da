//! Something that happened to a tenant's stream or quota.

use crate::id::{EventId, StreamId, TenantId};
use serde_json::{Value, json};

/// What webhooks can ask for.
pub const NAMES: [&str; 5] = ["stream.live", "stream.interrupted", "stream.ended", "stream.warning", "quota.reached"];

/// Sent to one webhook where somebody asks for it.
pub const TEST: &str = "webhook.test";

/// Told to listeners only: it changes too often to be kept.
pub const VIEWERS: &str = "viewers.changed";

#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub id: EventId,
    pub name: &'static str,
    pub tenant: TenantId,
    pub stream: Option<StreamId>,
    pub at_us: i64,
    pub data: Value,
}

impl Event {
    /// Goes to webhooks, too.
    pub fn is_kept(&self) -> bool {
        NAMES.contains(&self.name)
    }

    /// `{type, timestamp, data}`, as Standard Webhooks advises.
    pub fn payload(&self, timestamp: &str) -> Value {
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
