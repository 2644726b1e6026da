//! What outlives a process: tenants, streams, keys, fences, the audit.
//!
//! One trait, three implementations under one contract suite (`tests/store.rs`).

#[cfg(feature = "node")]
mod copy;
mod key_set;
mod ledger;
mod memory;
mod people;
#[cfg(feature = "node")]
mod postgres;
mod record;
#[cfg(feature = "node")]
mod sqlite;

use async_trait::async_trait;

use crate::auth::secret::Hash;
use crate::id::{KeyId, PlaybackId, StreamId, TenantId};

#[cfg(feature = "node")]
pub use copy::Source;
pub use key_set::*;
pub use ledger::*;
pub use memory::Memory;
pub use people::*;
#[cfg(feature = "node")]
pub use postgres::Postgres;
pub use record::*;
#[cfg(feature = "node")]
pub use sqlite::Sqlite;

/// Keys that a stream can have at once: the one in use, and the one it is changed for.
pub const STREAM_KEYS_MAX: usize = 2;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Try again: away, too slow, full, or busy.
    #[error("the database does not answer: {0}")]
    Unavailable(String),
    #[error("no such {0}")]
    NotFound(&'static str),
    #[error("{0}")]
    Conflict(Conflict),
    /// One process per database file.
    #[error("the database {0} is in use by another process")]
    InUse(String),
    #[error("the database: {0}")]
    Broken(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    #[error("it exists already")]
    Exists,
    #[error("it was changed meanwhile")]
    Stale,
    #[error("a newer publish of the stream was accepted")]
    Superseded,
    #[error("a stream has at most {STREAM_KEYS_MAX} keys at once")]
    TooManyKeys,
    #[error("a tenant has at most {WEBHOOKS_MAX} webhooks")]
    TooManyWebhooks,
    #[error("a tenant has at most {KEY_SETS_MAX} key sets")]
    TooManyKeySets,
}

/// Every change takes the audit's entry for it and stores both or neither.
#[async_trait]
pub trait Store: Ledger + KeySets + People {
    /// Whether it answers.
    async fn ping(&self) -> Result<()>;
    /// Waits for what is under way, and answers nothing from then on: a connection can't be given back without a runtime.
    async fn close(&self) -> Result<()>;

    /// By which a start knows whether its root secret is the one that the keys in here were made with.
    async fn root_check(&self) -> Result<Option<Hash>>;
    /// Keeps it if there is none yet; tells which one is kept.
    async fn keep_root_check(&self, check: &Hash) -> Result<Hash>;
    async fn forget_root_check(&self) -> Result<()>;

    async fn create_tenant(&self, new: NewTenant, audit: Entry) -> Result<Tenant>;
    async fn tenant(&self, id: &TenantId) -> Result<Option<Tenant>>;
    async fn tenants(&self, page: &Page) -> Result<Vec<Tenant>>;
    /// Writes name, quotas and `disabled_us` if the stored revision is still `tenant.revision`.
    async fn update_tenant(&self, tenant: &Tenant, audit: Entry) -> Result<Tenant>;
    /// With everything that is the tenant's, except for its audit.
    async fn delete_tenant(&self, id: &TenantId, audit: Entry) -> Result<()>;

    /// With its first key.
    async fn create_stream(&self, new: NewStream, audit: Entry) -> Result<Stream>;
    async fn stream(&self, id: &StreamId) -> Result<Option<Stream>>;
    async fn streams(&self, filter: &StreamFilter, page: &Page) -> Result<Vec<Stream>>;
    /// Writes name and settings if the stored revision is still `stream.revision`.
    async fn update_stream(&self, stream: &Stream, audit: Entry) -> Result<Stream>;
    async fn delete_stream(&self, id: &StreamId, audit: Entry) -> Result<()>;

    /// For a publisher.
    async fn stream_by_key_hash(&self, hash: &Hash) -> Result<Option<Publish>>;
    /// For a viewer.
    async fn play(&self, id: &PlaybackId) -> Result<Option<Play>>;

    async fn create_stream_key(&self, stream: &StreamId, new: NewStreamKey, audit: Entry) -> Result<StreamKey>;
    async fn stream_keys(&self, stream: &StreamId) -> Result<Vec<StreamKey>>;
    async fn delete_stream_key(&self, stream: &StreamId, id: &KeyId, audit: Entry) -> Result<()>;
    async fn touch_stream_key(&self, id: &KeyId, used_us: i64) -> Result<()>;

    async fn create_signing_key(&self, new: NewSigningKey, audit: Entry) -> Result<SigningKey>;
    /// Newest first.
    async fn signing_keys(&self, tenant: &TenantId) -> Result<Vec<SigningKey>>;
    /// Of either kind: a key, or a set of them.
    async fn delete_signing_key(&self, tenant: &TenantId, id: &KeyId, audit: Entry) -> Result<()>;

    async fn create_api_key(&self, new: ApiKey, audit: Entry) -> Result<ApiKey>;
    /// Stores the key if this database has never had a first one; tells whether it did.
    async fn create_first_api_key(&self, new: ApiKey, audit: Entry) -> Result<bool>;
    async fn api_key_by_hash(&self, hash: &Hash) -> Result<Option<ApiKey>>;
    /// `tenant` None: the platform's own.
    async fn api_keys(&self, tenant: Option<&TenantId>, page: &Page) -> Result<Vec<ApiKey>>;
    async fn delete_api_key(&self, tenant: Option<&TenantId>, id: &KeyId, audit: Entry) -> Result<()>;
    async fn touch_api_key(&self, id: &KeyId, used_us: i64) -> Result<()>;

    /// Hands out the stream's next fence and sets its origin at the first.
    async fn take_fence(&self, stream: &StreamId) -> Result<Fence>;
    /// Makes `fence` the accepted one; false where that or a higher one was accepted already.
    async fn accept_fence(&self, stream: &StreamId, fence: u64) -> Result<bool>;

    /// 0 before the first.
    async fn accepted_fence(&self, stream: &StreamId) -> Result<u64>;

    async fn record(&self, audit: Entry) -> Result<()>;
    /// Newest first; `tenant` None: all; `before`: the `seq` of the last one of the page before.
    async fn audit(&self, tenant: Option<&TenantId>, limit: u32, before: Option<i64>) -> Result<Vec<Audited>>;
}
