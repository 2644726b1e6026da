//! Public keys that a tenant serves itself (RFC 7517 5): what was fetched last, and when they are fetched again.

use super::{Entry, Result};
use crate::id::{KeyId, TenantId};
use async_trait::async_trait;

/// Key sets of one tenant.
pub const KEY_SETS_MAX: usize = 4;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet {
    pub id: KeyId,
    pub tenant: TenantId,
    pub url: String,
    /// The last good ones, each a JWK.
    pub keys: Vec<String>,
    /// When they came.
    pub fetched_us: Option<i64>,
    /// Why the last fetch failed.
    pub error: Option<String>,
    pub next_us: i64,
    pub created_us: i64,
}

/// What came of one fetch: the keys, or why there are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub outcome: std::result::Result<Vec<String>, String>,
    pub at_us: i64,
    pub next_us: i64,
}

#[async_trait]
pub trait KeySets: Send + Sync {
    async fn create_key_set(&self, new: KeySet, audit: Entry) -> Result<KeySet>;
    /// Newest first.
    async fn key_sets(&self, tenant: &TenantId) -> Result<Vec<KeySet>>;
    /// Those whose time has come; they are nobody else's before `until_us`.
    async fn take_key_sets(&self, now_us: i64, until_us: i64, limit: u32) -> Result<Vec<KeySet>>;
    /// A failed fetch leaves the keys as they were.
    async fn settle_key_set(&self, id: &KeyId, fetched: &Fetched) -> Result<()>;
}
