use super::super::{Pool, Tx, query};
use super::rows::{Reader, json};
use super::{Audited, Entry, Outcome, TenantId, Tried};

/// Writes the entry with the change that it tells of.
pub(super) async fn log(tx: &mut Tx, entry: Entry) -> Tried<()> {
    query(
        "INSERT INTO audit (at_us, tenant_id, actor, address, action, target, outcome, before, after)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(entry.at_us)
    .bind(entry.tenant.map(|tenant| tenant.to_string()))
    .bind(entry.actor)
    .bind(entry.address.map(|address| address.to_string()))
    .bind(entry.action)
    .bind(entry.target)
    .bind(entry.outcome.name())
    .bind(entry.before.map(|value| value.to_string()))
    .bind(entry.after.map(|value| value.to_string()))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn record(pool: &Pool, entry: Entry) -> Tried<()> {
    let mut tx = pool.begin().await?;
    log(&mut tx, entry).await?;
    Ok(tx.commit().await?)
}

pub(super) async fn list(
    pool: &Pool,
    tenant: Option<&TenantId>,
    limit: u32,
    before: Option<i64>,
) -> Tried<Vec<Audited>> {
    let rows = query(
        "SELECT seq, at_us, tenant_id, actor, address, action, target, outcome, before, after FROM audit
         WHERE ($1 IS NULL OR tenant_id = $1) AND seq < $2 ORDER BY seq DESC LIMIT $3",
    )
    .bind(tenant.map(TenantId::as_str))
    .bind(before.unwrap_or(i64::MAX))
    .bind(i64::from(limit))
    .fetch_all(pool.reader())
    .await?;
    rows.iter().map(|row| audited(Reader::new(row))).collect()
}

fn audited(mut row: Reader<'_>) -> Tried<Audited> {
    let seq = row.number()?;
    let entry = Entry {
        at_us: row.number()?,
        tenant: row.maybe_id(TenantId::parse)?,
        actor: row.text()?,
        address: row.maybe_text()?.and_then(|address| address.parse().ok()),
        action: row.text()?,
        target: row.text()?,
        outcome: row.named(Outcome::parse)?,
        before: row.maybe_text()?.map(|text| json(&text)).transpose()?,
        after: row.maybe_text()?.map(|text| json(&text)).transpose()?,
    };
    Ok(Audited { seq, entry })
}
