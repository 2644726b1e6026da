//! What the store holds, and what it is given to hold. Times are Unix microseconds.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::KeySet;
use crate::auth::secret::{Hash, Sealed};
use crate::auth::token::Algorithm;
use crate::id::{KeyId, PlaybackId, StreamId, TenantId};

/// An enum that is stored and shown by name.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($variant),+
        }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }

            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.name() == name)
            }
        }
    };
}

named!(
    /// Who may watch.
    Policy { Signed = "signed", Public = "public" }
);
named!(
    /// What happens to one who publishes while another does.
    SecondPublisher { Refuse = "refuse", Takeover = "takeover" }
);
named!(
    /// What an API key may do; each does what those after it in this list may do within its tenant.
    Role { Platform = "platform", Owner = "owner", Operator = "operator", Reader = "reader" }
);
named!(
    /// Whether what the audit tells of was done.
    Outcome { Done = "done", Refused = "refused" }
);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    pub name: String,
    pub quotas: Quotas,
    /// Since when nothing of it may be published or watched.
    pub disabled_us: Option<i64>,
    /// Grows with each change; an update must name the one it read.
    pub revision: i64,
    pub created_us: i64,
    pub updated_us: i64,
}

/// None: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quotas {
    pub streams: Option<u32>,
    pub viewers: Option<u32>,
    pub ingest_bps: Option<u64>,
    pub egress_bps: Option<u64>,
}

#[derive(Debug, Clone)]
pub struct NewTenant {
    pub id: TenantId,
    pub name: String,
    pub quotas: Quotas,
    pub created_us: i64,
    /// Every tenant can sign tokens from the start.
    pub signing_key: NewSigningKey,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    pub id: StreamId,
    pub tenant: TenantId,
    pub playback_id: PlaybackId,
    pub name: String,
    pub settings: Settings,
    pub revision: i64,
    pub created_us: i64,
    pub updated_us: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub policy: Policy,
    pub second_publisher: SecondPublisher,
    pub reconnect_window_s: u32,
    /// None: each video frame is sent by itself.
    pub latency_target_ms: Option<u32>,
    /// Empty: any.
    pub allowed_origins: Vec<String>,
    pub labels: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::Signed,
            second_publisher: SecondPublisher::Refuse,
            reconnect_window_s: 30,
            latency_target_ms: None,
            allowed_origins: Vec::new(),
            labels: BTreeMap::new(),
        }
    }
}

#[derive(Debug, Clone)]
pub struct NewStream {
    pub id: StreamId,
    pub tenant: TenantId,
    pub playback_id: PlaybackId,
    pub name: String,
    pub settings: Settings,
    pub created_us: i64,
    pub key: NewStreamKey,
}

#[derive(Debug, Clone)]
pub struct NewStreamKey {
    pub id: KeyId,
    pub prefix: String,
    pub hash: Hash,
    pub created_us: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamKey {
    pub id: KeyId,
    pub stream: StreamId,
    pub prefix: String,
    pub created_us: i64,
    pub last_used_us: Option<i64>,
}

/// What a publisher's key opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    pub key: KeyId,
    pub stream: Stream,
    pub tenant: Tenant,
}

/// What a viewer is admitted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Play {
    pub stream: Stream,
    pub tenant: Tenant,
    pub signing_keys: Vec<SigningKey>,
    pub key_sets: Vec<KeySet>,
}

/// What a signing key checks signatures with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Material {
    /// An HS256 secret, sealed for the key's id.
    Sealed(Sealed),
    /// A public key: PEM, or a JWK where it starts with `{`.
    Public(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    pub id: KeyId,
    pub tenant: TenantId,
    /// What tokens name it by: its own id, or the `kid` of a key made elsewhere.
    pub kid: String,
    pub algorithm: Algorithm,
    pub material: Material,
    pub created_us: i64,
}

/// As it is stored, without what the store adds.
pub type NewSigningKey = SigningKey;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: KeyId,
    /// None: the platform's.
    pub tenant: Option<TenantId>,
    pub role: Role,
    pub name: String,
    pub prefix: String,
    pub hash: Hash,
    pub created_us: i64,
    pub last_used_us: Option<i64>,
}

/// A fence taken, not yet accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    pub fence: u64,
    /// The database's now less the stream's origin: how old its timeline is.
    pub since_origin_us: u64,
}

/// One line of the audit: who did or tried what. Holds no secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub at_us: i64,
    pub tenant: Option<TenantId>,
    /// A key's id, or `system`.
    pub actor: String,
    pub address: Option<IpAddr>,
    /// For instance `stream.create`.
    pub action: String,
    /// The id of what was changed.
    pub target: String,
    pub outcome: Outcome,
    pub before: Option<serde_json::Value>,
    pub after: Option<serde_json::Value>,
}

/// An entry as the audit lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct Audited {
    pub seq: i64,
    pub entry: Entry,
}

/// A part of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub limit: u32,
    /// The last one of the page before.
    pub after: Option<Position>,
}

/// A place in a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub created_us: i64,
    pub id: String,
}

/// Which streams to list; None: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamFilter {
    pub tenant: Option<TenantId>,
    pub name: Option<String>,
    pub policy: Option<Policy>,
    /// A part of the name, whatever the case of its letters from A to Z; or a whole id.
    pub search: Option<String>,
}
