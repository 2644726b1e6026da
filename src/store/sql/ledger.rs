use super::super::{Db, Own, Pool, Row, Tx, query};
use super::rows::{Reader, before, big, json};
use super::{Conflict, Entry, Error, Page, Result, StreamId, TenantId, Tried, audit, events, run};
use crate::id::{DeliveryId, EventId, WebhookId};
use crate::store::{
    Answer, Delivery, DeliveryState, Happened, Ledger, REPLAY_RUNNING_US, REPLAY_US, Replay, Settled, Usage,
    WEBHOOKS_MAX, Webhook,
};
use async_trait::async_trait;

#[async_trait]
impl Ledger for Own {
    async fn begin_replay(&self, id: &str, request: &str, now_us: i64) -> Result<Replay> {
        run(begin_replay(&self.pool, id, request, now_us)).await
    }

    async fn finish_replay(&self, id: &str, answer: Option<&Answer>) -> Result<()> {
        run(finish_replay(&self.pool, id, answer)).await
    }

    async fn create_webhook(&self, new: Webhook, audit: Entry) -> Result<Webhook> {
        run(create_webhook(&self.pool, new, audit)).await
    }

    async fn webhooks(&self, tenant: &TenantId) -> Result<Vec<Webhook>> {
        run(webhooks_of(self.pool.reader(), tenant)).await
    }

    async fn webhook(&self, id: &WebhookId) -> Result<Option<Webhook>> {
        run(webhook(&self.pool, id)).await
    }

    async fn update_webhook(&self, webhook: &Webhook, audit: Entry) -> Result<Webhook> {
        run(update_webhook(&self.pool, webhook, audit)).await
    }

    async fn delete_webhook(&self, id: &WebhookId, audit: Entry) -> Result<()> {
        run(delete_webhook(&self.pool, id, audit)).await
    }

    async fn record_event(&self, event: &Happened, fence: Option<u64>, ids: &[DeliveryId]) -> Result<()> {
        run(events::record(&self.pool, event, fence, ids)).await
    }

    async fn events_after(&self, tenant: Option<&TenantId>, after: &EventId, limit: u32) -> Result<Vec<Happened>> {
        run(events::after(&self.pool, tenant, after, limit)).await
    }

    async fn publish_events(&self, stream: &StreamId, page: &Page) -> Result<Vec<Happened>> {
        run(events::of_publishes(&self.pool, stream, page)).await
    }

    async fn enqueue(&self, new: &[Delivery]) -> Result<()> {
        run(enqueue(&self.pool, new)).await
    }

    async fn take_deliveries(&self, now_us: i64, until_us: i64, limit: u32) -> Result<Vec<Delivery>> {
        run(take(&self.pool, now_us, until_us, limit)).await
    }

    async fn settle_delivery(&self, id: &DeliveryId, settled: &Settled) -> Result<()> {
        run(settle(&self.pool, id, settled)).await
    }

    async fn deliveries(&self, webhook: &WebhookId, page: &Page) -> Result<Vec<Delivery>> {
        run(deliveries(&self.pool, webhook, page)).await
    }

    async fn redeliver(&self, webhook: &WebhookId, id: &DeliveryId, audit: Entry) -> Result<Delivery> {
        run(redeliver(&self.pool, webhook, id, audit)).await
    }

    async fn add_usage(&self, used: &[Usage]) -> Result<()> {
        run(add_usage(&self.pool, used)).await
    }

    async fn usage(&self, tenant: &TenantId, from_us: i64, to_us: i64, limit: u32) -> Result<Vec<Usage>> {
        run(usage(&self.pool, tenant, from_us, to_us, limit)).await
    }

    async fn forget_before(&self, replays_us: i64, events_us: i64) -> Result<()> {
        run(forget_before(&self.pool, replays_us, events_us)).await
    }
}

async fn begin_replay(pool: &Pool, id: &str, request: &str, now_us: i64) -> Tried<Replay> {
    // One statement takes the key: a new one, or one whose time is over.
    let take = query(
        "INSERT INTO replays (id, request, at_us) VALUES ($1, $2, $3)
         ON CONFLICT (id) DO UPDATE SET request = $2, status = NULL, body = NULL, at_us = $3
         WHERE replays.at_us <= $4 OR (replays.status IS NULL AND replays.at_us <= $5)",
    );
    let take = take.bind(id).bind(request).bind(now_us).bind(now_us - REPLAY_US).bind(now_us - REPLAY_RUNNING_US);
    if take.execute(pool.writer()).await?.rows_affected() > 0 {
        return Ok(Replay::New);
    }
    let select = query("SELECT request, status, body FROM replays WHERE id = $1").bind(id);
    // Given back just now.
    let Some(row) = select.fetch_optional(pool.reader()).await? else { return Ok(Replay::Running) };
    let mut row = Reader::new(&row);
    let (known, status, body) = (row.text()?, row.maybe_number()?, row.maybe_text()?);
    Ok(match (known == request, status, body) {
        (false, _, _) => Replay::Other,
        (true, Some(status), Some(body)) => Replay::Done(Answer { status: code(status), body }),
        (true, _, _) => Replay::Running,
    })
}

fn code(status: i64) -> u16 {
    u16::try_from(status).unwrap_or(0)
}

async fn finish_replay(pool: &Pool, id: &str, answer: Option<&Answer>) -> Tried<()> {
    let finish = match answer {
        Some(Answer { status, body }) => query("UPDATE replays SET status = $2, body = $3 WHERE id = $1")
            .bind(id)
            .bind(i64::from(*status))
            .bind(body.as_str()),
        None => query("DELETE FROM replays WHERE id = $1").bind(id),
    };
    finish.execute(pool.writer()).await?;
    Ok(())
}

macro_rules! webhook_columns {
    () => {
        "id, tenant_id, url, events, sealed, disabled_us, failing_us, revision, created_us, updated_us"
    };
}

fn read_webhook(row: &Row) -> Tried<Webhook> {
    let mut row = Reader::new(row);
    Ok(Webhook {
        id: row.id(WebhookId::parse)?,
        tenant: row.id(TenantId::parse)?,
        url: row.text()?,
        events: json(&row.text()?)?,
        sealed: row.maybe_sealed()?.ok_or_else(|| Error::Broken("a webhook has no secret".to_owned()))?,
        disabled_us: row.maybe_number()?,
        failing_us: row.maybe_number()?,
        revision: row.number()?,
        created_us: row.number()?,
        updated_us: row.number()?,
    })
}

fn names(events: &[String]) -> String {
    serde_json::Value::from(events.to_vec()).to_string()
}

async fn create_webhook(pool: &Pool, new: Webhook, entry: Entry) -> Tried<Webhook> {
    let mut tx = pool.begin().await?;
    // Locks the tenant, so that two at once don't both find room.
    let lock = query("UPDATE tenants SET revision = revision WHERE id = $1").bind(new.tenant.as_str());
    if lock.execute(&mut *tx).await?.rows_affected() == 0 {
        return Err(Error::NotFound("tenant").into());
    }
    let count = query("SELECT COUNT(*) FROM webhooks WHERE tenant_id = $1").bind(new.tenant.as_str());
    if Reader::new(&count.fetch_one(&mut *tx).await?).number()? >= WEBHOOKS_MAX as i64 {
        return Err(Error::Conflict(Conflict::TooManyWebhooks).into());
    }
    query(concat!("INSERT INTO webhooks (", webhook_columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"))
        .bind(new.id.as_str())
        .bind(new.tenant.as_str())
        .bind(new.url.as_str())
        .bind(names(&new.events))
        .bind(new.sealed.as_bytes())
        .bind(new.disabled_us)
        .bind(new.failing_us)
        .bind(new.revision)
        .bind(new.created_us)
        .bind(new.updated_us)
        .execute(&mut *tx)
        .await?;
    audit::log(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(new)
}

pub(super) async fn webhooks_of(
    from: impl sqlx::Executor<'_, Database = Db>,
    tenant: &TenantId,
) -> Tried<Vec<Webhook>> {
    let select = query(concat!(
        "SELECT ",
        webhook_columns!(),
        " FROM webhooks WHERE tenant_id = $1 ORDER BY created_us DESC, id DESC"
    ));
    select.bind(tenant.as_str()).fetch_all(from).await?.iter().map(read_webhook).collect()
}

async fn webhook(pool: &Pool, id: &WebhookId) -> Tried<Option<Webhook>> {
    let select = query(concat!("SELECT ", webhook_columns!(), " FROM webhooks WHERE id = $1"));
    select.bind(id.as_str()).fetch_optional(pool.reader()).await?.as_ref().map(read_webhook).transpose()
}

async fn update_webhook(pool: &Pool, webhook: &Webhook, entry: Entry) -> Tried<Webhook> {
    let mut tx = pool.begin().await?;
    let update = query(concat!(
        "UPDATE webhooks SET url = $3, events = $4, disabled_us = $5, failing_us = $6, updated_us = $7,
         revision = revision + 1 WHERE id = $1 AND revision = $2 RETURNING ",
        webhook_columns!()
    ));
    let update = update
        .bind(webhook.id.as_str())
        .bind(webhook.revision)
        .bind(webhook.url.as_str())
        .bind(names(&webhook.events))
        .bind(webhook.disabled_us)
        .bind(webhook.failing_us)
        .bind(entry.at_us);
    let Some(row) = update.fetch_optional(&mut *tx).await? else {
        let known = query("SELECT 1 FROM webhooks WHERE id = $1").bind(webhook.id.as_str());
        let known = known.fetch_optional(&mut *tx).await?.is_some();
        return Err(if known { Error::Conflict(Conflict::Stale) } else { Error::NotFound("webhook") }.into());
    };
    let updated = read_webhook(&row)?;
    audit::log(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(updated)
}

async fn delete_webhook(pool: &Pool, id: &WebhookId, entry: Entry) -> Tried<()> {
    let mut tx = pool.begin().await?;
    let done = query("DELETE FROM webhooks WHERE id = $1").bind(id.as_str()).execute(&mut *tx).await?;
    if done.rows_affected() == 0 {
        return Err(Error::NotFound("webhook").into());
    }
    audit::log(&mut tx, entry).await?;
    Ok(tx.commit().await?)
}

macro_rules! delivery_columns {
    () => {
        "id, webhook_id, event_id, event, payload, state, attempts, next_us, status, error, created_us, updated_us"
    };
}

fn read_delivery(row: &Row) -> Tried<Delivery> {
    let mut row = Reader::new(row);
    Ok(Delivery {
        id: row.id(DeliveryId::parse)?,
        webhook: row.id(WebhookId::parse)?,
        event_id: row.id(EventId::parse)?,
        event: row.text()?,
        payload: row.text()?,
        state: row.named(DeliveryState::parse)?,
        attempts: row.small()?,
        next_us: row.number()?,
        status: row.maybe_number()?.map(code),
        error: row.maybe_text()?,
        created_us: row.number()?,
        updated_us: row.number()?,
    })
}

async fn enqueue(pool: &Pool, new: &[Delivery]) -> Tried<()> {
    let mut tx = pool.begin().await?;
    for delivery in new {
        let known = query("SELECT 1 FROM webhooks WHERE id = $1").bind(delivery.webhook.as_str());
        if known.fetch_optional(&mut *tx).await?.is_none() {
            return Err(Error::NotFound("webhook").into());
        }
        insert_delivery(&mut tx, delivery).await?;
    }
    Ok(tx.commit().await?)
}

pub(super) async fn insert_delivery(tx: &mut Tx, new: &Delivery) -> Tried<()> {
    query(concat!(
        "INSERT INTO deliveries (",
        delivery_columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
    ))
    .bind(new.id.as_str())
    .bind(new.webhook.as_str())
    .bind(new.event_id.as_str())
    .bind(new.event.as_str())
    .bind(new.payload.as_str())
    .bind(new.state.name())
    .bind(i64::from(new.attempts))
    .bind(new.next_us)
    .bind(new.status.map(i64::from))
    .bind(new.error.as_deref())
    .bind(new.created_us)
    .bind(new.updated_us)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn take(pool: &Pool, now_us: i64, until_us: i64, limit: u32) -> Tried<Vec<Delivery>> {
    // Said twice, so that of two at once the second finds the time moved on.
    let update = query(concat!(
        "UPDATE deliveries SET next_us = $2 WHERE state = 'pending' AND next_us <= $1 AND id IN (
            SELECT d.id FROM deliveries AS d JOIN webhooks AS w ON w.id = d.webhook_id
            WHERE d.state = 'pending' AND d.next_us <= $1 AND w.disabled_us IS NULL ORDER BY d.next_us LIMIT $3
         ) RETURNING ",
        delivery_columns!()
    ));
    let rows = update.bind(now_us).bind(until_us).bind(i64::from(limit)).fetch_all(pool.writer()).await?;
    rows.iter().map(read_delivery).collect()
}

async fn settle(pool: &Pool, id: &DeliveryId, settled: &Settled) -> Tried<()> {
    let mut tx = pool.begin().await?;
    let update = query(
        "UPDATE deliveries SET state = $2, attempts = $3, next_us = $4, status = $5, error = $6, updated_us = $7
         WHERE id = $1",
    );
    update
        .bind(id.as_str())
        .bind(settled.state.name())
        .bind(i64::from(settled.attempts))
        .bind(settled.next_us)
        .bind(settled.status.map(i64::from))
        .bind(settled.error.as_deref())
        .bind(settled.at_us)
        .execute(&mut *tx)
        .await?;
    let health = if settled.state == DeliveryState::Delivered {
        query(
            "UPDATE webhooks SET failing_us = NULL
             WHERE failing_us IS NOT NULL AND id = (SELECT webhook_id FROM deliveries WHERE id = $1)",
        )
        .bind(id.as_str())
    } else {
        query(
            "UPDATE webhooks SET failing_us = COALESCE(failing_us, $2),
                disabled_us = CASE WHEN failing_us < $3 THEN COALESCE(disabled_us, $2) ELSE disabled_us END
             WHERE id = (SELECT webhook_id FROM deliveries WHERE id = $1)",
        )
        .bind(id.as_str())
        .bind(settled.at_us)
        .bind(settled.disable_before_us)
    };
    health.execute(&mut *tx).await?;
    Ok(tx.commit().await?)
}

async fn deliveries(pool: &Pool, webhook: &WebhookId, page: &Page) -> Tried<Vec<Delivery>> {
    let (created_us, id) = before(page);
    let select = query(concat!(
        "SELECT ",
        delivery_columns!(),
        " FROM deliveries WHERE webhook_id = $1 AND (created_us, id) < ($2, $3)
         ORDER BY created_us DESC, id DESC LIMIT $4"
    ));
    let select = select.bind(webhook.as_str()).bind(created_us).bind(id).bind(i64::from(page.limit));
    select.fetch_all(pool.reader()).await?.iter().map(read_delivery).collect()
}

async fn redeliver(pool: &Pool, webhook: &WebhookId, id: &DeliveryId, entry: Entry) -> Tried<Delivery> {
    let mut tx = pool.begin().await?;
    let update = query(concat!(
        "UPDATE deliveries SET state = 'pending', attempts = 0, next_us = $3, updated_us = $3
         WHERE id = $1 AND webhook_id = $2 RETURNING ",
        delivery_columns!()
    ));
    let row = update.bind(id.as_str()).bind(webhook.as_str()).bind(entry.at_us).fetch_optional(&mut *tx).await?;
    let again = read_delivery(&row.ok_or(Error::NotFound("delivery"))?)?;
    audit::log(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(again)
}

async fn add_usage(pool: &Pool, used: &[Usage]) -> Tried<()> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let mut tx = pool.begin().await?;
    for used in used {
        query(
            "INSERT INTO usage (id, tenant_id, hour_us, ingest_bytes, egress_bytes, viewer_seconds)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (id) DO UPDATE SET
                ingest_bytes = usage.ingest_bytes + excluded.ingest_bytes,
                egress_bytes = usage.egress_bytes + excluded.egress_bytes,
                viewer_seconds = usage.viewer_seconds + excluded.viewer_seconds",
        )
        .bind(format!("{}.{}", used.tenant, used.hour_us))
        .bind(used.tenant.as_str())
        .bind(used.hour_us)
        .bind(number(used.ingest_bytes))
        .bind(number(used.egress_bytes))
        .bind(number(used.viewer_seconds))
        .execute(&mut *tx)
        .await?;
    }
    Ok(tx.commit().await?)
}

async fn usage(pool: &Pool, tenant: &TenantId, from_us: i64, to_us: i64, limit: u32) -> Tried<Vec<Usage>> {
    let select = query(
        "SELECT tenant_id, hour_us, ingest_bytes, egress_bytes, viewer_seconds FROM usage
         WHERE tenant_id = $1 AND hour_us >= $2 AND hour_us < $3 ORDER BY hour_us LIMIT $4",
    );
    let rows =
        select.bind(tenant.as_str()).bind(from_us).bind(to_us).bind(i64::from(limit)).fetch_all(pool.reader()).await?;
    let read = |row| {
        let mut row = Reader::new(row);
        Ok(Usage {
            tenant: row.id(TenantId::parse)?,
            hour_us: row.number()?,
            ingest_bytes: big(row.number()?)?,
            egress_bytes: big(row.number()?)?,
            viewer_seconds: big(row.number()?)?,
        })
    };
    rows.iter().map(read).collect()
}

async fn forget_before(pool: &Pool, replays_us: i64, events_us: i64) -> Tried<()> {
    query("DELETE FROM replays WHERE at_us < $1").bind(replays_us).execute(pool.writer()).await?;
    let old = query("DELETE FROM deliveries WHERE state <> 'pending' AND updated_us < $1");
    old.bind(events_us).execute(pool.writer()).await?;
    query("DELETE FROM events WHERE at_us < $1").bind(events_us).execute(pool.writer()).await?;
    Ok(())
}
