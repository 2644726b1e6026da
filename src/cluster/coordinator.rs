//! Ownership over a table of leases and the fences of the store: asks what the machines want to know.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::claim::{self, Claiming};
use super::lease::{self, Lease, Standing};
use super::{Claim, Error, Myself, Owner, Ownership, Result};
use crate::clock::Clock;
use crate::id::StreamId;
use crate::store::{Fence, Store};

/// A lease as it stands after it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Ours,
    Others(Owner),
    Nobodys,
}

/// Where leases are kept; each call is one step that no other comes between.
#[async_trait]
pub trait Table: Send + Sync {
    /// Where it is free, or held with the fence `over`.
    async fn take(&self, stream: &StreamId, owner: &Owner, over: Option<u64>) -> Result<Found>;
    async fn renew(&self, stream: &StreamId, owner: &Owner) -> Result<Found>;
    /// Where it is free, or held with a lower fence.
    async fn register(&self, stream: &StreamId, owner: &Owner) -> Result<Found>;
    async fn release(&self, stream: &StreamId, owner: &Owner) -> Result<()>;
    async fn find(&self, stream: &StreamId) -> Result<Option<Owner>>;
}

/// Where fences are counted and accepted.
#[async_trait]
pub trait Fences: Send + Sync {
    async fn take(&self, stream: &StreamId) -> Result<Fence>;
    /// False where that or a higher one was accepted already.
    async fn accept(&self, stream: &StreamId, fence: u64) -> Result<bool>;
    async fn accepted(&self, stream: &StreamId) -> Result<u64>;
}

#[async_trait]
impl Fences for Arc<dyn Store> {
    async fn take(&self, stream: &StreamId) -> Result<Fence> {
        Ok(self.take_fence(stream).await?)
    }

    async fn accept(&self, stream: &StreamId, fence: u64) -> Result<bool> {
        Ok(self.accept_fence(stream, fence).await?)
    }

    async fn accepted(&self, stream: &StreamId) -> Result<u64> {
        Ok(self.accepted_fence(stream).await?)
    }
}

pub struct Coordinator {
    table: Arc<dyn Table>,
    fences: Arc<dyn Fences>,
    clock: Arc<dyn Clock>,
    myself: Myself,
    leases: Mutex<HashMap<StreamId, Lease>>,
}

impl Coordinator {
    pub fn new(table: Arc<dyn Table>, fences: Arc<dyn Fences>, clock: Arc<dyn Clock>, myself: Myself) -> Self {
        Self { table, fences, clock, myself, leases: Mutex::default() }
    }

    fn leases(&self) -> MutexGuard<'_, HashMap<StreamId, Lease>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lease with this fence, while it is kept here.
    fn with<R>(&self, stream: &StreamId, fence: u64, act: impl FnOnce(&mut Lease) -> R) -> Option<R> {
        self.leases().get_mut(stream).filter(|lease| lease.fence() == fence).map(act)
    }

    async fn ask(&self, stream: &StreamId, fence: u64, ask: lease::Ask) -> Result<lease::Answer> {
        let owner = self.myself.owner(fence);
        let found = match ask {
            lease::Ask::Renew => self.table.renew(stream, &owner).await?,
            lease::Ask::Register => self.table.register(stream, &owner).await?,
            lease::Ask::ReadToRegister | lease::Ask::ReadAlone => {
                return Ok(lease::Answer::Accepted(self.fences.accepted(stream).await?));
            }
        };
        Ok(match found {
            Found::Ours => lease::Answer::Kept,
            Found::Others(owner) => lease::Answer::HeldBy(Some(owner.fence)),
            Found::Nobodys => lease::Answer::HeldBy(None),
        })
    }

    fn forget(&self, stream: &StreamId, fence: u64) {
        let mut leases = self.leases();
        if leases.get(stream).is_some_and(|lease| lease.fence() == fence) {
            leases.remove(stream);
        }
    }

    fn hold(&self, stream: &StreamId, lease: Lease) {
        let mut leases = self.leases();
        if leases.get(stream).is_none_or(|held| held.fence() < lease.fence()) {
            leases.insert(stream.clone(), lease);
        }
    }
}

#[async_trait]
impl Ownership for Coordinator {
    async fn claim(&self, stream: &StreamId, over: Option<u64>) -> Result<Claim> {
        let (mut claiming, mut ask) = (Claiming::new(over), claim::Ask::TakeFence);
        let (mut start_us, mut holder) = (0, None);
        let mut failed = Error::Unavailable("higher fences keep being accepted".to_owned());
        loop {
            let sent = self.clock.monotonic();
            let asked = match ask {
                claim::Ask::TakeFence => self.fences.take(stream).await.map(|taken| {
                    start_us = taken.since_origin_us;
                    claim::Answer::Fence(taken.fence)
                }),
                claim::Ask::TakeLease { fence, over } => {
                    self.table.take(stream, &self.myself.owner(fence), over).await.map(|found| match found {
                        Found::Others(owner) => {
                            holder = Some(owner);
                            claim::Answer::HeldByAnother
                        }
                        Found::Ours | Found::Nobodys => claim::Answer::Taken,
                    })
                }
                claim::Ask::AcceptFence { fence } => {
                    let accepted = self.fences.accept(stream, fence).await;
                    accepted.map(|is| if is { claim::Answer::Accepted } else { claim::Answer::NotAccepted })
                }
                claim::Ask::Release { fence } => {
                    let released = self.table.release(stream, &self.myself.owner(fence)).await;
                    released.map(|()| claim::Answer::Released)
                }
            };
            let answer = asked.unwrap_or_else(|error| {
                failed = error;
                claim::Answer::None
            });
            match claiming.handle(ask, answer, sent) {
                claim::Next::Ask(next) => ask = next,
                claim::Next::Done(claim::Verdict::Owned { fence, asked }) => {
                    self.hold(stream, Lease::new(fence, asked));
                    return Ok(Claim { fence, start_us });
                }
                claim::Next::Done(_) => return Err(holder.map_or(failed, Error::Owned)),
            }
        }
    }

    async fn renew(&self, stream: &StreamId, fence: u64) -> Result<()> {
        let mut ask = lease::Ask::Renew;
        let mut failed = Error::Unavailable("another node has the lease for now".to_owned());
        loop {
            let sent = self.clock.monotonic();
            let answer = self.ask(stream, fence, ask).await.unwrap_or_else(|error| {
                failed = error;
                lease::Answer::None
            });
            let now = self.clock.monotonic();
            let next = self.with(stream, fence, |lease| lease.handle(ask, answer, sent, now));
            match next {
                Some(lease::Next::Ask(next)) => ask = next,
                Some(lease::Next::Done(lease::Verdict::Granted)) => return Ok(()),
                Some(lease::Next::Done(lease::Verdict::Unknown)) => return Err(failed),
                Some(lease::Next::Done(lease::Verdict::Lost)) | None => return Err(Error::Lost(fence)),
            }
        }
    }

    fn standing(&self, stream: &StreamId, fence: u64) -> Standing {
        let now = self.clock.monotonic();
        self.with(stream, fence, |lease| lease.standing(now)).unwrap_or(Standing::Lost)
    }

    fn held(&self, stream: &StreamId) -> Option<(u64, Standing)> {
        let now = self.clock.monotonic();
        self.leases().get_mut(stream).map(|lease| (lease.fence(), lease.standing(now)))
    }

    async fn release(&self, stream: &StreamId, fence: u64) -> Result<()> {
        self.forget(stream, fence);
        self.table.release(stream, &self.myself.owner(fence)).await
    }

    async fn locate(&self, stream: &StreamId) -> Result<Option<Owner>> {
        self.table.find(stream).await
    }
}
