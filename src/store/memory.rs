//! The store in memory, for tests: the same contract, gone with the process.

mod key_sets;
mod ledger;
mod people;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::*;
use crate::clock::Clock;

pub struct Memory {
    clock: Arc<dyn Clock>,
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    tenants: BTreeMap<TenantId, Tenant>,
    streams: BTreeMap<StreamId, Row>,
    stream_keys: BTreeMap<KeyId, (StreamKey, Hash)>,
    signing_keys: BTreeMap<KeyId, SigningKey>,
    key_sets: BTreeMap<KeyId, KeySet>,
    api_keys: BTreeMap<KeyId, ApiKey>,
    first_key: Option<KeyId>,
    root_check: Option<Hash>,
    audit: Vec<Audited>,
    ledger: ledger::Tables,
    people: people::Tables,
}

struct Row {
    stream: Stream,
    origin_us: Option<i64>,
    fence_next: u64,
    fence: u64,
}

impl Memory {
    /// `clock` stands for the database's.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, tables: Mutex::default() }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn log(&mut self, entry: Entry) {
        let seq = self.audit.len() as i64 + 1;
        self.audit.push(Audited { seq, entry });
    }

    fn insert_stream_key(&mut self, stream: &StreamId, new: NewStreamKey) -> Result<StreamKey> {
        let taken = self.stream_keys.values().any(|(key, hash)| key.id == new.id || *hash == new.hash);
        if taken {
            return Err(Error::Conflict(Conflict::Exists));
        }
        let NewStreamKey { id, prefix, hash, created_us } = new;
        let key = StreamKey { id, stream: stream.clone(), prefix, created_us, last_used_us: None };
        self.stream_keys.insert(key.id.clone(), (key.clone(), hash));
        Ok(key)
    }

    fn insert_signing_key(&mut self, new: NewSigningKey) -> Result<SigningKey> {
        let taken = |key: &SigningKey| key.id == new.id || (key.tenant == new.tenant && key.kid == new.kid);
        if self.signing_keys.values().any(taken) {
            return Err(Error::Conflict(Conflict::Exists));
        }
        self.signing_keys.insert(new.id.clone(), new.clone());
        Ok(new)
    }

    fn insert_api_key(&mut self, new: ApiKey) -> Result<ApiKey> {
        if self.api_keys.values().any(|key| key.id == new.id || key.hash == new.hash) {
            return Err(Error::Conflict(Conflict::Exists));
        }
        if new.tenant.as_ref().is_some_and(|tenant| !self.tenants.contains_key(tenant)) {
            return Err(Error::NotFound("tenant"));
        }
        self.api_keys.insert(new.id.clone(), new.clone());
        Ok(new)
    }

    fn remove_stream(&mut self, id: &StreamId) -> Option<Row> {
        self.stream_keys.retain(|_, (key, _)| key.stream != *id);
        self.streams.remove(id)
    }

    fn signing_keys(&self, tenant: &TenantId) -> Vec<SigningKey> {
        let keys = self.signing_keys.values().filter(|key| key.tenant == *tenant).cloned().collect();
        newest_first(keys, |key: &SigningKey| position(key.created_us, key.id.as_str()))
    }

    fn key_sets(&self, tenant: &TenantId) -> Vec<KeySet> {
        let sets = self.key_sets.values().filter(|set| set.tenant == *tenant).cloned().collect();
        newest_first(sets, |set: &KeySet| position(set.created_us, set.id.as_str()))
    }

    fn tenant(&self, id: &TenantId) -> Result<Tenant> {
        self.tenants.get(id).cloned().ok_or(Error::NotFound("tenant"))
    }
}

fn is_found(stream: &Stream, text: &str) -> bool {
    let is_named = stream.name.to_ascii_lowercase().contains(&text.to_ascii_lowercase());
    is_named || stream.id.as_str() == text || stream.playback_id.as_str() == text
}

fn position(created_us: i64, id: &str) -> Position {
    Position { created_us, id: id.to_owned() }
}

fn newest_first<T>(mut rows: Vec<T>, position: impl Fn(&T) -> Position) -> Vec<T> {
    rows.sort_by_key(|row| std::cmp::Reverse(position(row)));
    rows
}

fn paged<T>(rows: Vec<T>, page: &Page, position: impl Fn(&T) -> Position) -> Vec<T> {
    let after = |row: &T| page.after.as_ref().is_none_or(|after| position(row) < *after);
    let rows = rows.into_iter().filter(after).collect();
    newest_first(rows, position).into_iter().take(page.limit as usize).collect()
}

#[async_trait]
impl Store for Memory {
    async fn ping(&self) -> Result<()> {
        Ok(())
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }

    async fn root_check(&self) -> Result<Option<Hash>> {
        Ok(self.tables().root_check)
    }

    async fn keep_root_check(&self, check: &Hash) -> Result<Hash> {
        Ok(*self.tables().root_check.get_or_insert(*check))
    }

    async fn forget_root_check(&self) -> Result<()> {
        self.tables().root_check = None;
        Ok(())
    }

    async fn create_tenant(&self, new: NewTenant, audit: Entry) -> Result<Tenant> {
        let mut tables = self.tables();
        if tables.tenants.contains_key(&new.id) {
            return Err(Error::Conflict(Conflict::Exists));
        }
        let NewTenant { id, name, quotas, created_us, signing_key } = new;
        let tenant = Tenant { id, name, quotas, disabled_us: None, revision: 1, created_us, updated_us: created_us };
        tables.insert_signing_key(signing_key)?;
        tables.tenants.insert(tenant.id.clone(), tenant.clone());
        tables.log(audit);
        Ok(tenant)
    }

    async fn tenant(&self, id: &TenantId) -> Result<Option<Tenant>> {
        Ok(self.tables().tenants.get(id).cloned())
    }

    async fn tenants(&self, page: &Page) -> Result<Vec<Tenant>> {
        let rows = self.tables().tenants.values().cloned().collect();
        Ok(paged(rows, page, |row: &Tenant| position(row.created_us, row.id.as_str())))
    }

    async fn update_tenant(&self, tenant: &Tenant, audit: Entry) -> Result<Tenant> {
        let mut tables = self.tables();
        let row = tables.tenants.get_mut(&tenant.id).ok_or(Error::NotFound("tenant"))?;
        if row.revision != tenant.revision {
            return Err(Error::Conflict(Conflict::Stale));
        }
        *row = Tenant {
            revision: row.revision + 1,
            updated_us: audit.at_us,
            created_us: row.created_us,
            ..tenant.clone()
        };
        let updated = row.clone();
        tables.log(audit);
        Ok(updated)
    }

    async fn delete_tenant(&self, id: &TenantId, audit: Entry) -> Result<()> {
        let mut tables = self.tables();
        tables.tenants.remove(id).ok_or(Error::NotFound("tenant"))?;
        let of_tenant = |row: &Row| row.stream.tenant == *id;
        let streams: Vec<_> =
            tables.streams.values().filter(|row| of_tenant(row)).map(|row| row.stream.id.clone()).collect();
        for stream in streams {
            tables.remove_stream(&stream);
        }
        tables.signing_keys.retain(|_, key| key.tenant != *id);
        tables.key_sets.retain(|_, set| set.tenant != *id);
        tables.api_keys.retain(|_, key| key.tenant.as_ref() != Some(id));
        tables.ledger.forget_tenant(id);
        tables.people.forget_tenant(id);
        tables.log(audit);
        Ok(())
    }

    async fn create_stream(&self, new: NewStream, audit: Entry) -> Result<Stream> {
        let mut tables = self.tables();
        tables.tenant(&new.tenant)?;
        let taken = |row: &Row| row.stream.id == new.id || row.stream.playback_id == new.playback_id;
        if tables.streams.values().any(taken) {
            return Err(Error::Conflict(Conflict::Exists));
        }
        let NewStream { id, tenant, playback_id, name, settings, created_us, key } = new;
        let stream =
            Stream { id, tenant, playback_id, name, settings, revision: 1, created_us, updated_us: created_us };
        tables.insert_stream_key(&stream.id, key)?;
        let row = Row { stream: stream.clone(), origin_us: None, fence_next: 0, fence: 0 };
        tables.streams.insert(stream.id.clone(), row);
        tables.log(audit);
        Ok(stream)
    }

    async fn stream(&self, id: &StreamId) -> Result<Option<Stream>> {
        Ok(self.tables().streams.get(id).map(|row| row.stream.clone()))
    }

    async fn streams(&self, filter: &StreamFilter, page: &Page) -> Result<Vec<Stream>> {
        let wanted = |stream: &Stream| {
            filter.tenant.as_ref().is_none_or(|tenant| stream.tenant == *tenant)
                && filter.name.as_ref().is_none_or(|name| stream.name == *name)
                && filter.policy.is_none_or(|policy| stream.settings.policy == policy)
                && filter.search.as_deref().is_none_or(|text| is_found(stream, text))
        };
        let tables = self.tables();
        let rows = tables.streams.values().map(|row| row.stream.clone()).filter(wanted).collect();
        Ok(paged(rows, page, |row: &Stream| position(row.created_us, row.id.as_str())))
    }

    async fn update_stream(&self, stream: &Stream, audit: Entry) -> Result<Stream> {
        let mut tables = self.tables();
        let row = &mut tables.streams.get_mut(&stream.id).ok_or(Error::NotFound("stream"))?.stream;
        if row.revision != stream.revision {
            return Err(Error::Conflict(Conflict::Stale));
        }
        row.name.clone_from(&stream.name);
        row.settings.clone_from(&stream.settings);
        row.revision += 1;
        row.updated_us = audit.at_us;
        let updated = row.clone();
        tables.log(audit);
        Ok(updated)
    }

    async fn delete_stream(&self, id: &StreamId, audit: Entry) -> Result<()> {
        let mut tables = self.tables();
        tables.remove_stream(id).ok_or(Error::NotFound("stream"))?;
        tables.log(audit);
        Ok(())
    }

    async fn stream_by_key_hash(&self, hash: &Hash) -> Result<Option<Publish>> {
        let tables = self.tables();
        let Some((key, _)) = tables.stream_keys.values().find(|(_, known)| known == hash) else { return Ok(None) };
        let Some(row) = tables.streams.get(&key.stream) else { return Ok(None) };
        let tenant = tables.tenant(&row.stream.tenant)?;
        Ok(Some(Publish { key: key.id.clone(), stream: row.stream.clone(), tenant }))
    }

    async fn play(&self, id: &PlaybackId) -> Result<Option<Play>> {
        let tables = self.tables();
        let Some(row) = tables.streams.values().find(|row| row.stream.playback_id == *id) else { return Ok(None) };
        let tenant = tables.tenant(&row.stream.tenant)?;
        let (signing_keys, key_sets) = (tables.signing_keys(&tenant.id), tables.key_sets(&tenant.id));
        Ok(Some(Play { stream: row.stream.clone(), tenant, signing_keys, key_sets }))
    }

    async fn create_stream_key(&self, stream: &StreamId, new: NewStreamKey, audit: Entry) -> Result<StreamKey> {
        let mut tables = self.tables();
        if !tables.streams.contains_key(stream) {
            return Err(Error::NotFound("stream"));
        }
        if tables.stream_keys.values().filter(|(key, _)| key.stream == *stream).count() >= STREAM_KEYS_MAX {
            return Err(Error::Conflict(Conflict::TooManyKeys));
        }
        let key = tables.insert_stream_key(stream, new)?;
        tables.log(audit);
        Ok(key)
    }

    async fn stream_keys(&self, stream: &StreamId) -> Result<Vec<StreamKey>> {
        let tables = self.tables();
        let keys =
            tables.stream_keys.values().map(|(key, _)| key).filter(|key| key.stream == *stream).cloned().collect();
        Ok(newest_first(keys, |key: &StreamKey| position(key.created_us, key.id.as_str())))
    }

    async fn delete_stream_key(&self, stream: &StreamId, id: &KeyId, audit: Entry) -> Result<()> {
        let mut tables = self.tables();
        let known = tables.stream_keys.get(id).is_some_and(|(key, _)| key.stream == *stream);
        if !known {
            return Err(Error::NotFound("stream key"));
        }
        tables.stream_keys.remove(id);
        tables.log(audit);
        Ok(())
    }

    async fn touch_stream_key(&self, id: &KeyId, used_us: i64) -> Result<()> {
        if let Some((key, _)) = self.tables().stream_keys.get_mut(id) {
            key.last_used_us = key.last_used_us.max(Some(used_us));
        }
        Ok(())
    }

    async fn create_signing_key(&self, new: NewSigningKey, audit: Entry) -> Result<SigningKey> {
        let mut tables = self.tables();
        tables.tenant(&new.tenant)?;
        let key = tables.insert_signing_key(new)?;
        tables.log(audit);
        Ok(key)
    }

    async fn signing_keys(&self, tenant: &TenantId) -> Result<Vec<SigningKey>> {
        Ok(self.tables().signing_keys(tenant))
    }

    async fn delete_signing_key(&self, tenant: &TenantId, id: &KeyId, audit: Entry) -> Result<()> {
        let mut tables = self.tables();
        let is_key = tables.signing_keys.get(id).is_some_and(|key| key.tenant == *tenant);
        let is_set = tables.key_sets.get(id).is_some_and(|set| set.tenant == *tenant);
        if !is_key && !is_set {
            return Err(Error::NotFound("signing key"));
        }
        tables.signing_keys.remove(id);
        tables.key_sets.remove(id);
        tables.log(audit);
        Ok(())
    }

    async fn create_api_key(&self, new: ApiKey, audit: Entry) -> Result<ApiKey> {
        let mut tables = self.tables();
        let key = tables.insert_api_key(new)?;
        tables.log(audit);
        Ok(key)
    }

    async fn create_first_api_key(&self, new: ApiKey, audit: Entry) -> Result<bool> {
        let mut tables = self.tables();
        if tables.first_key.is_some() {
            return Ok(false);
        }
        let key = tables.insert_api_key(new)?;
        tables.first_key = Some(key.id);
        tables.log(audit);
        Ok(true)
    }

    async fn api_key_by_hash(&self, hash: &Hash) -> Result<Option<ApiKey>> {
        Ok(self.tables().api_keys.values().find(|key| key.hash == *hash).cloned())
    }

    async fn api_keys(&self, tenant: Option<&TenantId>, page: &Page) -> Result<Vec<ApiKey>> {
        let rows = self.tables().api_keys.values().filter(|key| key.tenant.as_ref() == tenant).cloned().collect();
        Ok(paged(rows, page, |row: &ApiKey| position(row.created_us, row.id.as_str())))
    }

    async fn delete_api_key(&self, tenant: Option<&TenantId>, id: &KeyId, audit: Entry) -> Result<()> {
        let mut tables = self.tables();
        if tables.api_keys.get(id).is_none_or(|key| key.tenant.as_ref() != tenant) {
            return Err(Error::NotFound("API key"));
        }
        tables.api_keys.remove(id);
        tables.log(audit);
        Ok(())
    }

    async fn touch_api_key(&self, id: &KeyId, used_us: i64) -> Result<()> {
        if let Some(key) = self.tables().api_keys.get_mut(id) {
            key.last_used_us = key.last_used_us.max(Some(used_us));
        }
        Ok(())
    }

    async fn take_fence(&self, stream: &StreamId) -> Result<Fence> {
        let now_us = self.clock.unix_us();
        let mut tables = self.tables();
        let row = tables.streams.get_mut(stream).ok_or(Error::NotFound("stream"))?;
        row.fence_next += 1;
        let since_us = now_us - *row.origin_us.get_or_insert(now_us);
        Ok(Fence { fence: row.fence_next, since_origin_us: u64::try_from(since_us).unwrap_or(0) })
    }

    async fn accept_fence(&self, stream: &StreamId, fence: u64) -> Result<bool> {
        let mut tables = self.tables();
        let row = tables.streams.get_mut(stream).ok_or(Error::NotFound("stream"))?;
        let higher = row.fence < fence;
        row.fence = row.fence.max(fence);
        Ok(higher)
    }

    async fn accepted_fence(&self, stream: &StreamId) -> Result<u64> {
        self.tables().streams.get(stream).map(|row| row.fence).ok_or(Error::NotFound("stream"))
    }

    async fn record(&self, audit: Entry) -> Result<()> {
        self.tables().log(audit);
        Ok(())
    }

    async fn audit(&self, tenant: Option<&TenantId>, limit: u32, before: Option<i64>) -> Result<Vec<Audited>> {
        let wanted = |audited: &&Audited| {
            tenant.is_none_or(|tenant| audited.entry.tenant.as_ref() == Some(tenant))
                && before.is_none_or(|before| audited.seq < before)
        };
        Ok(self.tables().audit.iter().rev().filter(wanted).take(limit as usize).cloned().collect())
    }
}
