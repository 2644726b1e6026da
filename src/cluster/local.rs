//! The traits for one node: leases in memory, fences in the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Bus, Claim, Counters, Error, Listener, Measure, Message, Owner, Ownership, Result};
use crate::id::{StreamId, TenantId};
use crate::store::Store;

/// Tries to take a fence that stays the highest until it is accepted, against others of the same database.
const CLAIM_TRIES: u32 = 3;

pub struct LocalOwnership {
    store: Arc<dyn Store>,
    node: String,
    url: String,
    leases: Mutex<HashMap<StreamId, u64>>,
}

impl LocalOwnership {
    /// `url` is the base of this node's internal listener.
    pub fn new(store: Arc<dyn Store>, node: String, url: String) -> Self {
        Self { store, node, url, leases: Mutex::default() }
    }

    fn leases(&self) -> MutexGuard<'_, HashMap<StreamId, u64>> {
        lock(&self.leases)
    }

    fn owner(&self, fence: u64) -> Owner {
        Owner { node: self.node.clone(), url: self.url.clone(), fence }
    }

    /// As Redis would: the lease is free, or held by the one that may be replaced.
    fn take_lease(&self, stream: &StreamId, fence: u64, over: Option<u64>) -> Result<()> {
        let mut leases = self.leases();
        match leases.get(stream) {
            Some(&held) if over != Some(held) => Err(Error::Owned(self.owner(held))),
            _ => {
                leases.insert(stream.clone(), fence);
                Ok(())
            }
        }
    }

    fn drop_lease(&self, stream: &StreamId, fence: u64) {
        let mut leases = self.leases();
        if leases.get(stream) == Some(&fence) {
            leases.remove(stream);
        }
    }
}

#[async_trait]
impl Ownership for LocalOwnership {
    async fn claim(&self, stream: &StreamId, over: Option<u64>) -> Result<Claim> {
        for _ in 0..CLAIM_TRIES {
            let taken = self.store.take_fence(stream).await?;
            self.take_lease(stream, taken.fence, over)?;
            let lease = Lease { of: self, stream, fence: taken.fence };
            if self.store.accept_fence(stream, taken.fence).await? {
                std::mem::forget(lease);
                return Ok(Claim { fence: taken.fence, start_us: taken.since_origin_us });
            }
        }
        Err(Error::Unavailable("higher fences keep being accepted".to_owned()))
    }

    async fn renew(&self, stream: &StreamId, fence: u64) -> Result<()> {
        if self.leases().get(stream) == Some(&fence) { Ok(()) } else { Err(Error::Lost(fence)) }
    }

    async fn release(&self, stream: &StreamId, fence: u64) -> Result<()> {
        self.drop_lease(stream, fence);
        Ok(())
    }

    async fn locate(&self, stream: &StreamId) -> Result<Option<Owner>> {
        Ok(self.leases().get(stream).map(|&fence| self.owner(fence)))
    }
}

/// Gives the lease back unless the claim went through, also where its caller went away meanwhile.
struct Lease<'a> {
    of: &'a LocalOwnership,
    stream: &'a StreamId,
    fence: u64,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.of.drop_lease(self.stream, self.fence);
    }
}

#[derive(Default)]
pub struct LocalCounters {
    values: Mutex<HashMap<(TenantId, Measure), u64>>,
}

#[async_trait]
impl Counters for LocalCounters {
    async fn report(&self, tenant: &TenantId, measure: Measure, value: u64) -> Result<()> {
        let mut values = lock(&self.values);
        let key = (tenant.clone(), measure);
        if value == 0 {
            values.remove(&key);
        } else {
            values.insert(key, value);
        }
        Ok(())
    }

    async fn total(&self, tenant: &TenantId, measure: Measure) -> Result<u64> {
        Ok(lock(&self.values).get(&(tenant.clone(), measure)).copied().unwrap_or(0))
    }
}

#[derive(Default)]
pub struct LocalBus {
    listeners: Mutex<Vec<Arc<dyn Listener>>>,
}

#[async_trait]
impl Bus for LocalBus {
    async fn publish(&self, message: Message) -> Result<()> {
        let listeners = lock(&self.listeners).clone();
        for listener in listeners {
            listener.handle(&message);
        }
        Ok(())
    }

    fn subscribe(&self, listener: Arc<dyn Listener>) {
        lock(&self.listeners).push(listener);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
