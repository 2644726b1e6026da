use super::super::{Pool, query};
use super::rows::{Reader, before, tenant_columns};
use super::{Conflict, Entry, Error, NewTenant, Page, Quotas, Tenant, TenantId, Tried, audit, keys};

pub(super) async fn create(pool: &Pool, new: NewTenant, entry: Entry) -> Tried<Tenant> {
    let NewTenant { id, name, quotas, created_us, signing_key } = new;
    let tenant = Tenant { id, name, quotas, disabled_us: None, revision: 1, created_us, updated_us: created_us };
    let (streams, viewers, ingest_bps, egress_bps) = numbers(&quotas);
    let mut tx = pool.begin().await?;
    query(
        "INSERT INTO tenants (id, name, quota_streams, quota_viewers, quota_ingest_bps, quota_egress_bps, \
         created_us, updated_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
    )
    .bind(tenant.id.as_str())
    .bind(&tenant.name)
    .bind(streams)
    .bind(viewers)
    .bind(ingest_bps)
    .bind(egress_bps)
    .bind(created_us)
    .execute(&mut *tx)
    .await?;
    keys::insert_signing(&mut tx, &signing_key).await?;
    audit::log(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(tenant)
}

pub(super) async fn get(pool: &Pool, id: &TenantId) -> Tried<Option<Tenant>> {
    let select = query(concat!("SELECT ", tenant_columns!(), " FROM tenants AS t WHERE t.id = $1"));
    let row = select.bind(id.as_str()).fetch_optional(pool.reader()).await?;
    row.map(|row| Reader::new(&row).tenant()).transpose()
}

pub(super) async fn list(pool: &Pool, page: &Page) -> Tried<Vec<Tenant>> {
    let (created_us, id) = before(page);
    let select = query(concat!(
        "SELECT ",
        tenant_columns!(),
        " FROM tenants AS t WHERE (t.created_us, t.id) < ($1, $2) ORDER BY t.created_us DESC, t.id DESC LIMIT $3"
    ));
    let rows = select.bind(created_us).bind(id).bind(i64::from(page.limit)).fetch_all(pool.reader()).await?;
    rows.iter().map(|row| Reader::new(row).tenant()).collect()
}

pub(super) async fn update(pool: &Pool, tenant: &Tenant, entry: Entry) -> Tried<Tenant> {
    let updated = Tenant { revision: tenant.revision + 1, updated_us: entry.at_us, ..tenant.clone() };
    let (streams, viewers, ingest_bps, egress_bps) = numbers(&tenant.quotas);
    let mut tx = pool.begin().await?;
    let done = query(
        "UPDATE tenants SET name = $3, quota_streams = $4, quota_viewers = $5, quota_ingest_bps = $6, \
         quota_egress_bps = $7, disabled_us = $8, revision = revision + 1, updated_us = $9 \
         WHERE id = $1 AND revision = $2",
    )
    .bind(tenant.id.as_str())
    .bind(tenant.revision)
    .bind(&tenant.name)
    .bind(streams)
    .bind(viewers)
    .bind(ingest_bps)
    .bind(egress_bps)
    .bind(tenant.disabled_us)
    .bind(updated.updated_us)
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() == 0 {
        drop(tx);
        let known = get(pool, &tenant.id).await?;
        return Err(known.map_or(Error::NotFound("tenant"), |_| Error::Conflict(Conflict::Stale)).into());
    }
    audit::log(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(updated)
}

pub(super) async fn delete(pool: &Pool, id: &TenantId, entry: Entry) -> Tried<()> {
    let mut tx = pool.begin().await?;
    let done = query("DELETE FROM tenants WHERE id = $1").bind(id.as_str()).execute(&mut *tx).await?;
    if done.rows_affected() == 0 {
        return Err(Error::NotFound("tenant").into());
    }
    audit::log(&mut tx, entry).await?;
    Ok(tx.commit().await?)
}

type Numbers = (Option<i64>, Option<i64>, Option<i64>, Option<i64>);

fn numbers(quotas: &Quotas) -> Numbers {
    let big = |bps: u64| i64::try_from(bps).unwrap_or(i64::MAX);
    let Quotas { streams, viewers, ingest_bps, egress_bps } = quotas;
    (streams.map(i64::from), viewers.map(i64::from), ingest_bps.map(big), egress_bps.map(big))
}
