use super::{Conflict, Entry, Error, Memory, Page, Result, TenantId, newest_first, paged, position};
use crate::id::{DeliveryId, EventId, StreamId, WebhookId};
use crate::store::ledger::{
    Answer, Delivery, DeliveryState, Happened, Ledger, PUBLISH_EVENTS, REPLAY_RUNNING_US, REPLAY_US, Replay, Settled,
    Usage, WEBHOOKS_MAX, Webhook,
};
use async_trait::async_trait;
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Tables {
    replays: BTreeMap<String, Row>,
    webhooks: BTreeMap<WebhookId, Webhook>,
    deliveries: BTreeMap<DeliveryId, Delivery>,
    events: BTreeMap<(i64, EventId), Happened>,
    usage: BTreeMap<(TenantId, i64), Usage>,
}

struct Row {
    request: String,
    answer: Option<Answer>,
    at_us: i64,
}

impl Tables {
    pub(super) fn forget_tenant(&mut self, tenant: &TenantId) {
        self.webhooks.retain(|_, webhook| webhook.tenant != *tenant);
        self.events.retain(|_, event| event.tenant != *tenant);
        let webhooks = &self.webhooks;
        self.deliveries.retain(|_, delivery| webhooks.contains_key(&delivery.webhook));
    }
}

#[async_trait]
impl Ledger for Memory {
    async fn begin_replay(&self, id: &str, request: &str, now_us: i64) -> Result<Replay> {
        let replays = &mut self.tables().ledger.replays;
        if let Some(row) = replays.get(id) {
            let kept_us = if row.answer.is_some() { REPLAY_US } else { REPLAY_RUNNING_US };
            if now_us - row.at_us < kept_us {
                let known = row.answer.clone().map_or(Replay::Running, Replay::Done);
                return Ok(if row.request == request { known } else { Replay::Other });
            }
        }
        replays.insert(id.to_owned(), Row { request: request.to_owned(), answer: None, at_us: now_us });
        Ok(Replay::New)
    }

    async fn finish_replay(&self, id: &str, answer: Option<&Answer>) -> Result<()> {
        let replays = &mut self.tables().ledger.replays;
        match (replays.get_mut(id), answer) {
            (Some(row), Some(answer)) => row.answer = Some(answer.clone()),
            _ => drop(replays.remove(id)),
        }
        Ok(())
    }

    async fn create_webhook(&self, new: Webhook, audit: Entry) -> Result<Webhook> {
        let mut tables = self.tables();
        tables.tenant(&new.tenant)?;
        let webhooks = &mut tables.ledger.webhooks;
        if webhooks.values().filter(|webhook| webhook.tenant == new.tenant).count() >= WEBHOOKS_MAX {
            return Err(Error::Conflict(Conflict::TooManyWebhooks));
        }
        webhooks.insert(new.id.clone(), new.clone());
        tables.log(audit);
        Ok(new)
    }

    async fn webhooks(&self, tenant: &TenantId) -> Result<Vec<Webhook>> {
        let tables = self.tables();
        let rows = tables.ledger.webhooks.values().filter(|webhook| webhook.tenant == *tenant).cloned().collect();
        Ok(newest_first(rows, |row: &Webhook| position(row.created_us, row.id.as_str())))
    }

    async fn webhook(&self, id: &WebhookId) -> Result<Option<Webhook>> {
        Ok(self.tables().ledger.webhooks.get(id).cloned())
    }

    async fn update_webhook(&self, webhook: &Webhook, audit: Entry) -> Result<Webhook> {
        let mut tables = self.tables();
        let row = tables.ledger.webhooks.get_mut(&webhook.id).ok_or(Error::NotFound("webhook"))?;
        if row.revision != webhook.revision {
            return Err(Error::Conflict(Conflict::Stale));
        }
        *row = Webhook {
            revision: row.revision + 1,
            updated_us: audit.at_us,
            created_us: row.created_us,
            sealed: row.sealed.clone(),
            ..webhook.clone()
        };
        let updated = row.clone();
        tables.log(audit);
        Ok(updated)
    }

    async fn delete_webhook(&self, id: &WebhookId, audit: Entry) -> Result<()> {
        let mut tables = self.tables();
        tables.ledger.webhooks.remove(id).ok_or(Error::NotFound("webhook"))?;
        tables.ledger.deliveries.retain(|_, delivery| delivery.webhook != *id);
        tables.log(audit);
        Ok(())
    }

    async fn record_event(&self, event: &Happened, fence: Option<u64>, ids: &[DeliveryId]) -> Result<()> {
        let mut tables = self.tables();
        tables.tenant(&event.tenant)?;
        let accepted = event.stream.as_ref().and_then(|stream| tables.streams.get(stream)).map(|row| row.fence);
        if fence.is_some_and(|fence| accepted.is_some_and(|accepted| accepted > fence)) {
            return Err(Error::Conflict(Conflict::Superseded));
        }
        let Tables { events, webhooks, deliveries, .. } = &mut tables.ledger;
        if events.keys().any(|(_, id)| *id == event.id) {
            return Err(Error::Conflict(Conflict::Exists));
        }
        events.insert((event.at_us, event.id.clone()), event.clone());
        let wanting = webhooks.values().filter(|hook| hook.tenant == event.tenant && hook.wants(&event.name));
        for (hook, id) in wanting.zip(ids) {
            deliveries.insert(id.clone(), event.delivery(id.clone(), hook.id.clone()));
        }
        Ok(())
    }

    async fn events_after(&self, tenant: Option<&TenantId>, after: &EventId, limit: u32) -> Result<Vec<Happened>> {
        let tables = self.tables();
        let events = &tables.ledger.events;
        let later = events.values().skip_while(|event| event.id != *after).skip(1);
        let wanted = later.filter(|event| tenant.is_none_or(|tenant| event.tenant == *tenant));
        Ok(wanted.take(limit as usize).cloned().collect())
    }

    async fn publish_events(&self, stream: &StreamId, page: &Page) -> Result<Vec<Happened>> {
        let tables = self.tables();
        let is_wanted =
            |event: &&Happened| event.stream.as_ref() == Some(stream) && PUBLISH_EVENTS.contains(&event.name.as_str());
        let rows = tables.ledger.events.values().filter(is_wanted).cloned().collect();
        Ok(paged(rows, page, |event: &Happened| position(event.at_us, event.id.as_str())))
    }

    async fn enqueue(&self, new: &[Delivery]) -> Result<()> {
        let ledger = &mut self.tables().ledger;
        if new.iter().any(|delivery| !ledger.webhooks.contains_key(&delivery.webhook)) {
            return Err(Error::NotFound("webhook"));
        }
        ledger.deliveries.extend(new.iter().map(|delivery| (delivery.id.clone(), delivery.clone())));
        Ok(())
    }

    async fn take_deliveries(&self, now_us: i64, until_us: i64, limit: u32) -> Result<Vec<Delivery>> {
        let mut tables = self.tables();
        let super::Tables { ledger: Tables { webhooks, deliveries, .. }, .. } = &mut *tables;
        let is_enabled = |id: &WebhookId| webhooks.get(id).is_some_and(|webhook| webhook.disabled_us.is_none());
        let is_due = |row: &Delivery| row.state == DeliveryState::Pending && row.next_us <= now_us;
        let mut due: Vec<&mut Delivery> =
            deliveries.values_mut().filter(|row| is_due(row) && is_enabled(&row.webhook)).collect();
        due.sort_by_key(|row| row.next_us);
        let taken = due.into_iter().take(limit as usize).map(|row| {
            row.next_us = until_us;
            row.clone()
        });
        Ok(taken.collect())
    }

    async fn settle_delivery(&self, id: &DeliveryId, settled: &Settled) -> Result<()> {
        let mut tables = self.tables();
        let Some(row) = tables.ledger.deliveries.get_mut(id) else { return Ok(()) };
        let Settled { state, attempts, next_us, status, error, at_us, disable_before_us } = settled.clone();
        *row = Delivery { state, attempts, next_us, status, error, updated_us: at_us, ..row.clone() };
        let webhook = row.webhook.clone();
        if let Some(webhook) = tables.ledger.webhooks.get_mut(&webhook) {
            webhook.failing_us =
                if state == DeliveryState::Delivered { None } else { webhook.failing_us.or(Some(at_us)) };
            if webhook.failing_us.is_some_and(|since| since < disable_before_us) {
                webhook.disabled_us = webhook.disabled_us.or(Some(at_us));
            }
        }
        Ok(())
    }

    async fn deliveries(&self, webhook: &WebhookId, page: &Page) -> Result<Vec<Delivery>> {
        let tables = self.tables();
        let rows = tables.ledger.deliveries.values().filter(|row| row.webhook == *webhook).cloned().collect();
        Ok(paged(rows, page, |row: &Delivery| position(row.created_us, row.id.as_str())))
    }

    async fn redeliver(&self, webhook: &WebhookId, id: &DeliveryId, audit: Entry) -> Result<Delivery> {
        let mut tables = self.tables();
        let row = tables.ledger.deliveries.get_mut(id).filter(|row| row.webhook == *webhook);
        let row = row.ok_or(Error::NotFound("delivery"))?;
        let at_us = audit.at_us;
        *row =
            Delivery { state: DeliveryState::Pending, attempts: 0, next_us: at_us, updated_us: at_us, ..row.clone() };
        let again = row.clone();
        tables.log(audit);
        Ok(again)
    }

    async fn add_usage(&self, used: &[Usage]) -> Result<()> {
        let usage = &mut self.tables().ledger.usage;
        for used in used {
            let none = Usage { ingest_bytes: 0, egress_bytes: 0, viewer_seconds: 0, ..used.clone() };
            let row = usage.entry((used.tenant.clone(), used.hour_us)).or_insert(none);
            row.ingest_bytes += used.ingest_bytes;
            row.egress_bytes += used.egress_bytes;
            row.viewer_seconds += used.viewer_seconds;
        }
        Ok(())
    }

    async fn usage(&self, tenant: &TenantId, from_us: i64, to_us: i64, limit: u32) -> Result<Vec<Usage>> {
        let tables = self.tables();
        let rows = tables.ledger.usage.range((tenant.clone(), from_us)..(tenant.clone(), to_us.max(from_us)));
        Ok(rows.map(|(_, row)| row.clone()).take(limit as usize).collect())
    }

    async fn forget_before(&self, replays_us: i64, events_us: i64) -> Result<()> {
        let ledger = &mut self.tables().ledger;
        ledger.replays.retain(|_, row| row.at_us >= replays_us);
        ledger.deliveries.retain(|_, row| row.state == DeliveryState::Pending || row.updated_us >= events_us);
        ledger.events.retain(|(at_us, _), _| *at_us >= events_us);
        Ok(())
    }
}
