//! Looks at what runs here each second: counts it for quotas and bills, and tells what changed.

use crate::api::warnings;
use crate::clock::Clock;
use crate::cluster::seats::{Elsewhere, Occupied, Seats};
use crate::cluster::{Counters, Measure};
use crate::hooks::{Event, Feed, event};
use crate::id::{EventId, StreamId, TenantId};
use crate::store::{HOUR_US, Store, Usage};
use crate::stream::handle::Command;
use crate::stream::packet::Phase;
use crate::stream::publisher::EndReason;
use crate::stream::registry::Registry;
use crate::stream::status::Live;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(1);
/// Usage is written each minute.
const WRITE_EVERY: u32 = 60;
/// A tenant may be over its ingest bit rate for this long: warned after the first, cut after the second.
const WARN_AFTER_S: u32 = 3;
const CUT_AFTER_S: u32 = 15;

pub(super) struct Watcher {
    pub(super) store: Arc<dyn Store>,
    pub(super) registry: Arc<Registry>,
    pub(super) seats: Arc<Seats>,
    pub(super) counters: Arc<dyn Counters>,
    pub(super) feed: Arc<Feed>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: fn(&mut [u8]),
    pub(super) known: HashMap<StreamId, Known>,
    pub(super) tenants: HashMap<TenantId, Measured>,
}

/// A stream as it was told last.
pub(super) struct Known {
    tenant: TenantId,
    phase: Phase,
    viewers: usize,
    warnings: Vec<&'static str>,
}

#[derive(Default)]
pub(super) struct Measured {
    ingest_bytes: u64,
    egress_bytes: u64,
    viewer_seconds: u64,
    over_s: u32,
    full: Vec<&'static str>,
}

impl Watcher {
    /// For as long as the process lives.
    pub(super) async fn run(mut self) {
        for second in 1_u32.. {
            tokio::time::sleep(EVERY).await;
            let occupied = self.seats.occupied();
            for tenant in &occupied {
                self.measure(tenant).await;
            }
            self.tell_changes(&occupied);
            if second.is_multiple_of(WRITE_EVERY) {
                self.write_usage().await;
            }
            self.forget_idle(&occupied).await;
        }
    }

    async fn measure(&mut self, tenant: &Occupied) {
        let rate = |stream: &StreamId| {
            let live = self.registry.get(stream).map(|handle| handle.live()).filter(is_published);
            live.map_or(0, |live| live.video_bps + live.audio_bps)
        };
        let ingest: Vec<(u64, &StreamId)> = tenant.publishing.iter().map(|stream| (rate(stream), stream)).collect();
        let ingest_bps = ingest.iter().map(|(bps, _)| bps).sum();
        let egress_bps = tenant.watched.iter().map(|(stream, viewers)| rate(stream) * u64::from(*viewers)).sum();
        let viewers = tenant.watched.iter().map(|(_, viewers)| u64::from(*viewers)).sum();
        let largest = ingest.iter().max().map(|(_, stream)| (*stream).clone());
        let streams = tenant.publishing.len() as u64;

        let id = &tenant.tenant;
        let all_streams = self.total(id, Measure::Streams, streams).await;
        let all_viewers = self.total(id, Measure::Viewers, viewers).await;
        let all_ingest = self.total(id, Measure::IngestBps, ingest_bps).await;
        let all_egress = self.total(id, Measure::EgressBps, egress_bps).await;
        let elsewhere = Elsewhere { streams: all_streams - streams, viewers: all_viewers - viewers };
        self.seats.set_measured(id, elsewhere, all_egress);

        let quotas = tenant.quotas;
        let measured = self.tenants.entry(id.clone()).or_default();
        measured.ingest_bytes += ingest_bps / 8;
        measured.egress_bytes += egress_bps / 8;
        measured.viewer_seconds += viewers;
        let is_over = quotas.ingest_bps.is_some_and(|most| all_ingest > most);
        measured.over_s = if is_over { measured.over_s + 1 } else { 0 };
        let (over_s, before) = (measured.over_s, std::mem::take(&mut measured.full));
        let at = |total: u64, most: Option<u64>| most.is_some_and(|most| total >= most);
        let reached = [
            ("streams", at(all_streams, quotas.streams.map(u64::from))),
            ("viewers", at(all_viewers, quotas.viewers.map(u64::from))),
            ("ingest_bps", over_s >= WARN_AFTER_S),
            ("egress_bps", at(all_egress, quotas.egress_bps)),
        ];
        let full: Vec<_> = reached.into_iter().filter(|(_, reached)| *reached).map(|(quota, _)| quota).collect();
        for quota in full.iter().filter(|quota| !before.contains(quota)) {
            self.tell("quota.reached", id, None, json!({ "quota": quota }));
        }
        if over_s >= CUT_AFTER_S
            && let Some(stream) = largest
        {
            tracing::info!(tenant = %id, %stream, ingest_bps, "the tenant is over its ingest bit rate: a stream is cut");
            self.cut(&stream);
        }
        if let Some(measured) = self.tenants.get_mut(id) {
            measured.full = full;
            measured.over_s = if over_s >= CUT_AFTER_S { 0 } else { over_s };
        }
    }

    fn cut(&self, stream: &StreamId) {
        if let Some(handle) = self.registry.get(stream) {
            let command = Command::EndPublisher(EndReason::Quota, None, Box::new(|_| {}));
            tokio::spawn(async move { handle.send(command).await });
        }
    }

    /// Of all nodes, as far as the others can be asked.
    async fn total(&self, tenant: &TenantId, measure: Measure, own: u64) -> u64 {
        // Where the cluster does not answer, this node counts for itself.
        let _unreported = self.counters.report(tenant, measure, own).await;
        self.counters.total(tenant, measure).await.map_or(own, |total| total.max(own))
    }

    fn tell_changes(&mut self, occupied: &[Occupied]) {
        for tenant in occupied {
            let streams = tenant.publishing.iter().chain(tenant.watched.iter().map(|(stream, _)| stream));
            for stream in streams {
                self.known.entry(stream.clone()).or_insert_with(|| Known {
                    tenant: tenant.tenant.clone(),
                    phase: Phase::Waiting,
                    viewers: 0,
                    warnings: Vec::new(),
                });
            }
        }
        let mut events = Vec::new();
        self.known.retain(|stream, known| {
            let live = self.registry.get(stream).map(|handle| handle.live());
            events.extend(
                changes(known, live.as_ref()).map(|(name, data)| (name, known.tenant.clone(), stream.clone(), data)),
            );
            live.is_some()
        });
        for (name, tenant, stream, data) in events {
            self.tell(name, &tenant, Some(stream), data);
        }
    }

    fn tell(&self, name: &'static str, tenant: &TenantId, stream: Option<StreamId>, data: Value) {
        let mut bytes = [0; 16];
        (self.random)(&mut bytes);
        let (id, at_us) = (EventId::from_random(bytes), self.clock.unix_us());
        self.feed.tell(Event { id, name, tenant: tenant.clone(), stream, at_us, data });
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
    async fn forget_idle(&mut self, occupied: &[Occupied]) {
        let is_idle = |id: &TenantId| !occupied.iter().any(|tenant| tenant.tenant == *id);
        for id in self.tenants.keys().filter(|id| is_idle(id)) {
            for measure in [Measure::Streams, Measure::Viewers, Measure::IngestBps, Measure::EgressBps] {
                // It drops out by itself where this fails.
                let _unreported = self.counters.report(id, measure, 0).await;
            }
        }
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

fn is_published(live: &Live) -> bool {
    matches!(live.phase, Phase::Live | Phase::Stalled)
}

/// What is to be told of a stream; None: it has stopped.
fn changes(known: &mut Known, live: Option<&Live>) -> impl Iterator<Item = (&'static str, Value)> + use<> {
    let mut told = Vec::new();
    let phase = live.map_or(Phase::Ended, |live| live.phase);
    let name = match (known.phase, phase) {
        (before, after) if before == after => None,
        (_, Phase::Live) if known.phase != Phase::Stalled => Some("stream.live"),
        (_, Phase::Interrupted) => Some("stream.interrupted"),
        (Phase::Waiting, _) => None,
        (_, Phase::Ended) => Some("stream.ended"),
        _ => None,
    };
    told.extend(name.map(|name| (name, json!({ "state": phase.as_str() }))));
    known.phase = phase;
    let viewers = live.map_or(0, |live| live.viewers);
    if viewers != known.viewers {
        known.viewers = viewers;
        told.push((event::VIEWERS, json!({ "viewers": viewers })));
    }
    let found = live.filter(|live| live.phase == Phase::Live).map(warnings).unwrap_or_default();
    for warning in found.iter().filter(|warning| !known.warnings.contains(&warning.code)) {
        told.push(("stream.warning", json!({ "code": warning.code, "message": warning.message })));
    }
    if phase == Phase::Live {
        known.warnings = found.iter().map(|warning| warning.code).collect();
    }
    told.into_iter()
}
