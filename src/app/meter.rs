//! Counts each second what tenants use, for bills and quotas; who is over a bit rate is warned, then cut.

use super::surplus::{Candidate, newest};
use super::watcher::Teller;
use crate::clock::Clock;
use crate::cluster::seats::{Occupied, Seats};
use crate::cluster::{Nodes, Share};
use crate::id::{StreamId, TenantId};
use crate::store::{HOUR_US, Store, Usage};
use crate::stream::handle::{Command, Handle};
use crate::stream::packet::{Packet, Phase};
use crate::stream::publisher::{EndReason, Whose};
use crate::stream::registry::Registry;
use crate::stream::status::Live;
use crate::stream::subscriber::Viewer;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

const EVERY: Duration = Duration::from_secs(1);
/// Usage is written each minute.
const WRITE_EVERY: u32 = 60;
/// A tenant may be over a quota for this long: warned after the first, cut after the second.
const WARN_AFTER_S: u32 = 3;
const CUT_AFTER_S: u32 = 15;
/// A stream that does not tell its viewers within this is asked again later.
const ASK: Duration = Duration::from_secs(1);

pub(super) struct Meter {
    pub(super) store: Arc<dyn Store>,
    pub(super) registry: Arc<Registry>,
    pub(super) seats: Arc<Seats>,
    pub(super) nodes: Arc<Nodes>,
    pub(super) teller: Teller,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tenants: HashMap<TenantId, Measured>,
}

#[derive(Default)]
pub(super) struct Measured {
    ingest_bytes: u64,
    egress_bytes: u64,
    viewer_seconds: u64,
    ingest: Over,
    egress: Over,
    viewers: Over,
    full: Vec<&'static str>,
}

/// Seconds that a tenant has been over one of its quotas, without a break.
#[derive(Debug, Default)]
struct Over(u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Fine,
    Warn,
    Cut,
}

impl Over {
    /// After a cut, the time starts again.
    fn note(&mut self, is_over: bool) -> Verdict {
        self.0 = if is_over { self.0 + 1 } else { 0 };
        match self.0 {
            0..WARN_AFTER_S => Verdict::Fine,
            WARN_AFTER_S..CUT_AFTER_S => Verdict::Warn,
            _ => {
                self.0 = WARN_AFTER_S;
                Verdict::Cut
            }
        }
    }
}

/// What a tenant uses now, here and on all nodes.
struct Now {
    ingest_bps: u64,
    egress_bps: u64,
    viewers: u64,
    all_streams: u64,
    all_viewers: u64,
    all_ingest: u64,
    all_egress: u64,
}

impl Meter {
    /// For as long as the process lives.
    pub(super) async fn run(mut self) {
        for second in 1_u32.. {
            tokio::time::sleep(EVERY).await;
            let occupied = self.seats.occupied();
            for tenant in &occupied {
                let now = self.measure(tenant);
                self.enforce(tenant, &now).await;
            }
            if second.is_multiple_of(WRITE_EVERY) {
                self.write_usage().await;
            }
            self.forget_idle(&occupied);
        }
    }

    fn measure(&self, tenant: &Occupied) -> Now {
        let own = share(&self.registry, tenant);
        let elsewhere = self.nodes.elsewhere(&tenant.tenant);
        let all_egress = own.egress_bps + elsewhere.egress_bps;
        self.seats.set_egress(&tenant.tenant, all_egress);
        Now {
            ingest_bps: own.ingest_bps,
            egress_bps: own.egress_bps,
            viewers: own.viewers(),
            all_streams: own.publishing.union(&elsewhere.publishing).count() as u64,
            all_viewers: own.viewers() + elsewhere.viewers(),
            all_ingest: own.ingest_bps + elsewhere.ingest_bps,
            all_egress,
        }
    }

    async fn enforce(&mut self, tenant: &Occupied, now: &Now) {
        let (id, quotas) = (&tenant.tenant, tenant.quotas);
        let over = |total: u64, most: Option<u64>| most.map_or(0, |most| total.saturating_sub(most));
        let over_ingest = over(now.all_ingest, quotas.ingest_bps);
        let over_egress = over(now.all_egress, quotas.egress_bps);
        let over_viewers = over(now.all_viewers, quotas.viewers.map(u64::from));

        let measured = self.tenants.entry(id.clone()).or_default();
        measured.ingest_bytes += now.ingest_bps / 8;
        measured.egress_bytes += now.egress_bps / 8;
        measured.viewer_seconds += now.viewers;
        let ingest = measured.ingest.note(over_ingest > 0);
        let egress = measured.egress.note(over_egress > 0);
        let viewers = measured.viewers.note(over_viewers > 0);
        let at = |total: u64, most: Option<u64>| most.is_some_and(|most| total >= most);
        let reached = [
            ("streams", at(now.all_streams, quotas.streams.map(u64::from))),
            ("viewers", at(now.all_viewers, quotas.viewers.map(u64::from))),
            ("ingest_bps", ingest != Verdict::Fine),
            ("egress_bps", at(now.all_egress, quotas.egress_bps)),
        ];
        let full: Vec<_> = reached.into_iter().filter(|(_, reached)| *reached).map(|(quota, _)| quota).collect();
        for quota in full.iter().filter(|quota| !measured.full.contains(quota)) {
            self.teller.tell("quota.reached", id, json!({ "quota": quota }));
        }
        measured.full = full;

        if ingest == Verdict::Cut {
            self.cut_largest(tenant);
        }
        if egress == Verdict::Cut {
            let part = part(over_egress, now.egress_bps, now.all_egress);
            let cost = |stream: &StreamId| rate(&self.registry, stream);
            self.cut_newest(tenant, part, cost, "the tenant's viewers take more than they may").await;
        }
        if viewers == Verdict::Cut {
            let part = part(over_viewers, now.viewers, now.all_viewers);
            self.cut_newest(tenant, part, |_| 1, "more watch than the tenant may have viewers").await;
        }
    }

    fn cut_largest(&self, tenant: &Occupied) {
        let largest = tenant.publishing.iter().max_by_key(|stream| rate(&self.registry, stream));
        if let Some(handle) = largest.and_then(|stream| self.registry.get(stream)) {
            tracing::info!(tenant = %tenant.tenant, stream = %handle.id(), "over the ingest bit rate: a stream is cut");
            let command = Command::EndPublisher(EndReason::Quota, Whose::Anyones, Box::new(|_| {}));
            tokio::spawn(async move { handle.send(command).await });
        }
    }

    /// Who came last goes first, until `surplus` is made up for.
    async fn cut_newest(&self, tenant: &Occupied, surplus: u64, cost: impl Fn(&StreamId) -> u64, reason: &str) {
        let mut found = Vec::new();
        for handle in tenant.watched.iter().filter_map(|(stream, _)| self.registry.get(stream)) {
            let cost = cost(handle.id());
            let viewers = viewers(&handle).await;
            let candidate = |viewer: Viewer| Candidate {
                since_us: viewer.since_us,
                session: viewer.session,
                cost,
                stream: handle.clone(),
            };
            found.extend(viewers.into_iter().map(candidate));
        }
        let cut = newest(found, surplus);
        tracing::info!(tenant = %tenant.tenant, viewers = cut.len(), reason, "over a quota: viewers are cut");
        for Candidate { session, stream, .. } in cut {
            let order = Packet::Kick { session, code: 4429, reason: reason.to_owned() };
            tokio::spawn(async move { stream.send(Command::Order(order)).await });
        }
    }

    async fn write_usage(&mut self) {
        let hour_us = self.clock.unix_us() / HOUR_US * HOUR_US;
        let used: Vec<Usage> = self
            .tenants
            .iter()
            .filter(|(_, measured)| measured.is_used())
            .map(|(tenant, measured)| Usage {
                tenant: tenant.clone(),
                hour_us,
                ingest_bytes: measured.ingest_bytes,
                egress_bytes: measured.egress_bytes,
                viewer_seconds: measured.viewer_seconds,
            })
            .collect();
        if used.is_empty() {
            return;
        }
        match self.store.add_usage(&used).await {
            Ok(()) => self.tenants.values_mut().for_each(Measured::clear_usage),
            Err(error) => tracing::warn!(%error, "usage is written later"),
        }
    }

    /// Those who have nobody here any more, once their usage is written.
    fn forget_idle(&mut self, occupied: &[Occupied]) {
        let is_idle = |id: &TenantId| !occupied.iter().any(|tenant| tenant.tenant == *id);
        self.tenants.retain(|id, measured| !is_idle(id) || measured.is_used());
    }
}

impl Measured {
    fn is_used(&self) -> bool {
        self.ingest_bytes + self.egress_bytes + self.viewer_seconds > 0
    }

    fn clear_usage(&mut self) {
        (self.ingest_bytes, self.egress_bytes, self.viewer_seconds) = (0, 0, 0);
    }
}

/// What a tenant has on this node.
pub(super) fn share(registry: &Registry, tenant: &Occupied) -> Share {
    let watched = tenant.watched.iter().map(|(stream, viewers)| rate(registry, stream) * u64::from(*viewers));
    Share {
        ingest_bps: tenant.publishing.iter().map(|stream| rate(registry, stream)).sum(),
        egress_bps: watched.sum(),
        publishing: tenant.publishing.iter().cloned().collect(),
        watched: tenant.watched.iter().cloned().collect(),
    }
}

/// Bits per second that a stream has.
fn rate(registry: &Registry, stream: &StreamId) -> u64 {
    let live = registry.get(stream).map(|handle| handle.live()).filter(is_published);
    live.map_or(0, |live| live.video_bps + live.audio_bps)
}

fn is_published(live: &Live) -> bool {
    matches!(live.phase, Phase::Live | Phase::Stalled)
}

/// This node's part of what is too much on all of them.
fn part(surplus: u64, own: u64, all: u64) -> u64 {
    let parts = u128::from(surplus) * u128::from(own);
    u64::try_from(parts.div_ceil(u128::from(all.max(1)))).unwrap_or(u64::MAX)
}

async fn viewers(stream: &Handle) -> Vec<Viewer> {
    let (sender, receiver) = oneshot::channel();
    // Nobody waits for the answer any more.
    let reply = Box::new(move |viewers| drop(sender.send(viewers)));
    let asked = async {
        stream.send(Command::Sessions(reply)).await.ok()?;
        receiver.await.ok()
    };
    tokio::time::timeout(ASK, asked).await.ok().flatten().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_over_a_quota_is_warned_then_cut_and_forgiven_once_within_it() {
        let mut over = Over::default();
        let verdicts: Vec<_> = (1..=CUT_AFTER_S).map(|_| over.note(true)).collect();
        let count = |wanted| verdicts.iter().filter(|verdict| **verdict == wanted).count();
        assert_eq!((count(Verdict::Fine), count(Verdict::Warn), count(Verdict::Cut)), (2, 12, 1));
        assert_eq!(verdicts.last(), Some(&Verdict::Cut));
        assert_eq!(over.note(true), Verdict::Warn, "who is still over has been warned");
        assert_eq!(over.note(false), Verdict::Fine);
        assert_eq!(over.note(true), Verdict::Fine);
    }

    #[test]
    fn nodes_share_what_is_too_much_by_what_they_serve() {
        assert_eq!(part(100, 1_000, 1_000), 100);
        assert_eq!((part(100, 750, 1_000), part(100, 250, 1_000)), (75, 25));
        assert_eq!((part(1, 1, 3), part(0, 1, 3), part(5, 0, 0)), (1, 0, 0));
        assert_eq!(part(u64::MAX, u64::MAX, u64::MAX), u64::MAX);
    }
}
