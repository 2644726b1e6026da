use super::super::{Pool, Row, query};
use super::ledger::{insert_delivery, webhooks_of};
use super::rows::{Reader, before, big};
use super::{Page, StreamId, TenantId, Tried};
use crate::id::{DeliveryId, EventId};
use crate::store::{Conflict, Error, Happened, PUBLISH_EVENTS};

pub(super) async fn record(pool: &Pool, event: &Happened, fence: Option<u64>, ids: &[DeliveryId]) -> Tried<()> {
    let mut tx = pool.begin().await?;
    if let (Some(fence), Some(stream)) = (fence, &event.stream) {
        let select = query("SELECT fence FROM streams WHERE id = $1").bind(stream.as_str());
        let row = select.fetch_optional(&mut *tx).await?;
        let accepted = row.map(|row| Reader::new(&row).number()).transpose()?;
        if accepted.map(big).transpose()?.is_some_and(|accepted| accepted > fence) {
            return Err(Error::Conflict(Conflict::Superseded).into());
        }
    }
    query("INSERT INTO events (id, tenant_id, stream_id, name, payload, at_us) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(event.id.as_str())
        .bind(event.tenant.as_str())
        .bind(event.stream.as_ref().map(StreamId::as_str))
        .bind(event.name.as_str())
        .bind(event.payload.as_str())
        .bind(event.at_us)
        .execute(&mut *tx)
        .await?;
    let hooks = webhooks_of(&mut *tx, &event.tenant).await?;
    for (hook, id) in hooks.into_iter().filter(|hook| hook.wants(&event.name)).zip(ids) {
        insert_delivery(&mut tx, &event.delivery(id.clone(), hook.id)).await?;
    }
    Ok(tx.commit().await?)
}

pub(super) async fn after(pool: &Pool, tenant: Option<&TenantId>, after: &EventId, limit: u32) -> Tried<Vec<Happened>> {
    let select = query(
        "SELECT e.id, e.tenant_id, e.stream_id, e.name, e.payload, e.at_us FROM events AS e, events AS a
         WHERE a.id = $1 AND (e.at_us, e.id) > (a.at_us, a.id) AND ($2 IS NULL OR e.tenant_id = $2)
         ORDER BY e.at_us, e.id LIMIT $3",
    );
    let select = select.bind(after.as_str()).bind(tenant.map(TenantId::as_str)).bind(i64::from(limit));
    select.fetch_all(pool.reader()).await?.iter().map(read).collect()
}

pub(super) async fn of_publishes(pool: &Pool, stream: &StreamId, page: &Page) -> Tried<Vec<Happened>> {
    let (at_us, id) = before(page);
    let select = query(
        "SELECT id, tenant_id, stream_id, name, payload, at_us FROM events
         WHERE stream_id = $1 AND (at_us, id) < ($2, $3) AND name IN ($4, $5, $6)
         ORDER BY at_us DESC, id DESC LIMIT $7",
    );
    let select = select.bind(stream.as_str()).bind(at_us).bind(id);
    let select = PUBLISH_EVENTS.into_iter().fold(select, |select, name| select.bind(name));
    select.bind(i64::from(page.limit)).fetch_all(pool.reader()).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Tried<Happened> {
    let mut row = Reader::new(row);
    Ok(Happened {
        id: row.id(EventId::parse)?,
        tenant: row.id(TenantId::parse)?,
        stream: row.maybe_id(StreamId::parse)?,
        name: row.text()?,
        payload: row.text()?,
        at_us: row.number()?,
    })
}
