//! The statements, the same for both databases: compiled once within `sqlite` and once within `postgres`, which say what
//! `Own`, `Db`, `Row` and `Cause` are, and the few statements in which the two differ.

mod audit;
mod copy;
mod events;
mod key_sets;
mod keys;
mod ledger;
mod people;
mod root;
mod rows;
mod streams;
mod tenants;

use super::{Cause, Own, explain, query, within_limit};
use crate::auth::secret::Hash;
use crate::id::{KeyId, PlaybackId, StreamId, TenantId};
use crate::store::*;
use async_trait::async_trait;

/// What ends a statement, before it is told to the caller.
pub(super) enum Failed {
    Sql(Cause),
    Own(Error),
}

impl From<Cause> for Failed {
    fn from(cause: Cause) -> Self {
        Self::Sql(cause)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

type Tried<T> = std::result::Result<T, Failed>;

/// Runs one call of the contract: in time, or not at all.
async fn run<T>(call: impl Future<Output = Tried<T>> + Send) -> Result<T> {
    match within_limit(call).await {
        Some(tried) => told(tried),
        None => Err(Error::Unavailable("no answer in time".to_owned())),
    }
}

fn told<T>(tried: Tried<T>) -> Result<T> {
    tried.map_err(|failed| match failed {
        Failed::Own(error) => error,
        Failed::Sql(cause) => match cause.as_database_error() {
            Some(error) if error.is_unique_violation() => Error::Conflict(Conflict::Exists),
            // The one foreign key that a caller's id can miss; those of keys to streams are looked up first.
            Some(error) if error.is_foreign_key_violation() => Error::NotFound("tenant"),
            _ => explain(&cause),
        },
    })
}

#[async_trait]
impl Store for Own {
    async fn ping(&self) -> Result<()> {
        run(async {
            query("SELECT 1").execute(self.pool.reader()).await?;
            Ok(())
        })
        .await
    }

    async fn close(&self) -> Result<()> {
        run(async {
            Own::close(self).await;
            Ok(())
        })
        .await
    }

    async fn root_check(&self) -> Result<Option<Hash>> {
        run(root::check(&self.pool)).await
    }

    async fn keep_root_check(&self, check: &Hash) -> Result<Hash> {
        run(root::keep(&self.pool, check)).await
    }

    async fn forget_root_check(&self) -> Result<()> {
        run(root::forget(&self.pool)).await
    }

    async fn create_tenant(&self, new: NewTenant, audit: Entry) -> Result<Tenant> {
        run(tenants::create(&self.pool, new, audit)).await
    }

    async fn tenant(&self, id: &TenantId) -> Result<Option<Tenant>> {
        run(tenants::get(&self.pool, id)).await
    }

    async fn tenants(&self, page: &Page) -> Result<Vec<Tenant>> {
        run(tenants::list(&self.pool, page)).await
    }

    async fn update_tenant(&self, tenant: &Tenant, audit: Entry) -> Result<Tenant> {
        run(tenants::update(&self.pool, tenant, audit)).await
    }

    async fn delete_tenant(&self, id: &TenantId, audit: Entry) -> Result<()> {
        run(tenants::delete(&self.pool, id, audit)).await
    }

    async fn create_stream(&self, new: NewStream, audit: Entry) -> Result<Stream> {
        run(streams::create(&self.pool, new, audit)).await
    }

    async fn stream(&self, id: &StreamId) -> Result<Option<Stream>> {
        run(streams::get(&self.pool, id)).await
    }

    async fn streams(&self, filter: &StreamFilter, page: &Page) -> Result<Vec<Stream>> {
        run(streams::list(&self.pool, filter, page)).await
    }

    async fn update_stream(&self, stream: &Stream, audit: Entry) -> Result<Stream> {
        run(streams::update(&self.pool, stream, audit)).await
    }

    async fn delete_stream(&self, id: &StreamId, audit: Entry) -> Result<()> {
        run(streams::delete(&self.pool, id, audit)).await
    }

    async fn stream_by_key_hash(&self, hash: &Hash) -> Result<Option<Publish>> {
        run(streams::by_key_hash(&self.pool, hash)).await
    }

    async fn play(&self, id: &PlaybackId) -> Result<Option<Play>> {
        run(streams::play(&self.pool, id)).await
    }

    async fn create_stream_key(&self, stream: &StreamId, new: NewStreamKey, audit: Entry) -> Result<StreamKey> {
        run(keys::create_of_stream(&self.pool, stream, new, audit)).await
    }

    async fn stream_keys(&self, stream: &StreamId) -> Result<Vec<StreamKey>> {
        run(keys::of_stream(&self.pool, stream)).await
    }

    async fn delete_stream_key(&self, stream: &StreamId, id: &KeyId, audit: Entry) -> Result<()> {
        run(keys::delete_of_stream(&self.pool, stream, id, audit)).await
    }

    async fn touch_stream_key(&self, id: &KeyId, used_us: i64) -> Result<()> {
        run(keys::touch_of_stream(&self.pool, id, used_us)).await
    }

    async fn create_signing_key(&self, new: NewSigningKey, audit: Entry) -> Result<SigningKey> {
        run(keys::create_signing(&self.pool, new, audit)).await
    }

    async fn signing_keys(&self, tenant: &TenantId) -> Result<Vec<SigningKey>> {
        run(keys::signing(&self.pool, tenant)).await
    }

    async fn delete_signing_key(&self, tenant: &TenantId, id: &KeyId, audit: Entry) -> Result<()> {
        run(keys::delete_signing(&self.pool, tenant, id, audit)).await
    }

    async fn create_api_key(&self, new: ApiKey, audit: Entry) -> Result<ApiKey> {
        run(keys::create_api(&self.pool, new, audit)).await
    }

    async fn create_first_api_key(&self, new: ApiKey, audit: Entry) -> Result<bool> {
        run(keys::create_first_api(&self.pool, new, audit)).await
    }

    async fn api_key_by_hash(&self, hash: &Hash) -> Result<Option<ApiKey>> {
        run(keys::api_by_hash(&self.pool, hash)).await
    }

    async fn api_keys(&self, tenant: Option<&TenantId>, page: &Page) -> Result<Vec<ApiKey>> {
        run(keys::api(&self.pool, tenant, page)).await
    }

    async fn delete_api_key(&self, tenant: Option<&TenantId>, id: &KeyId, audit: Entry) -> Result<()> {
        run(keys::delete_api(&self.pool, tenant, id, audit)).await
    }

    async fn touch_api_key(&self, id: &KeyId, used_us: i64) -> Result<()> {
        run(keys::touch_api(&self.pool, id, used_us)).await
    }

    async fn take_fence(&self, stream: &StreamId) -> Result<Fence> {
        run(streams::take_fence(&self.pool, stream)).await
    }

    async fn accept_fence(&self, stream: &StreamId, fence: u64) -> Result<bool> {
        run(streams::accept_fence(&self.pool, stream, fence)).await
    }

    async fn accepted_fence(&self, stream: &StreamId) -> Result<u64> {
        run(streams::accepted_fence(&self.pool, stream)).await
    }

    async fn record(&self, audit: Entry) -> Result<()> {
        run(audit::record(&self.pool, audit)).await
    }

    async fn audit(&self, tenant: Option<&TenantId>, limit: u32, before: Option<i64>) -> Result<Vec<Audited>> {
        run(audit::list(&self.pool, tenant, limit, before)).await
    }
}
