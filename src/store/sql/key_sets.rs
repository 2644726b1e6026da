use super::super::{Own, Pool, Row, query};
use super::rows::{Reader, json};
use super::{Conflict, Entry, Error, KeyId, Result, TenantId, Tried, audit, run};
use crate::store::{Fetched, KEY_SETS_MAX, KeySet, KeySets};
use async_trait::async_trait;

macro_rules! columns {
    () => {
        "id, tenant_id, url, keys, fetched_us, error, next_us, created_us"
    };
}

#[async_trait]
impl KeySets for Own {
    async fn create_key_set(&self, new: KeySet, audit: Entry) -> Result<KeySet> {
        run(create(&self.pool, new, audit)).await
    }

    async fn key_sets(&self, tenant: &TenantId) -> Result<Vec<KeySet>> {
        run(list(&self.pool, tenant)).await
    }

    async fn take_key_sets(&self, now_us: i64, until_us: i64, limit: u32) -> Result<Vec<KeySet>> {
        run(take(&self.pool, now_us, until_us, limit)).await
    }

    async fn settle_key_set(&self, id: &KeyId, fetched: &Fetched) -> Result<()> {
        run(settle(&self.pool, id, fetched)).await
    }
}

fn read(row: &Row) -> Tried<KeySet> {
    let mut row = Reader::new(row);
    Ok(KeySet {
        id: row.id(KeyId::parse)?,
        tenant: row.id(TenantId::parse)?,
        url: row.text()?,
        keys: json(&row.text()?)?,
        fetched_us: row.maybe_number()?,
        error: row.maybe_text()?,
        next_us: row.number()?,
        created_us: row.number()?,
    })
}

fn texts(keys: &[String]) -> String {
    serde_json::Value::from(keys.to_vec()).to_string()
}

async fn create(pool: &Pool, new: KeySet, entry: Entry) -> Tried<KeySet> {
    let mut tx = pool.begin().await?;
    // Locks the tenant, so that two at once don't both find room.
    let lock = query("UPDATE tenants SET revision = revision WHERE id = $1").bind(new.tenant.as_str());
    if lock.execute(&mut *tx).await?.rows_affected() == 0 {
        return Err(Error::NotFound("tenant").into());
    }
    let count = query("SELECT COUNT(*) FROM key_sets WHERE tenant_id = $1").bind(new.tenant.as_str());
    if Reader::new(&count.fetch_one(&mut *tx).await?).number()? >= KEY_SETS_MAX as i64 {
        return Err(Error::Conflict(Conflict::TooManyKeySets).into());
    }
    query(concat!("INSERT INTO key_sets (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"))
        .bind(new.id.as_str())
        .bind(new.tenant.as_str())
        .bind(new.url.as_str())
        .bind(texts(&new.keys))
        .bind(new.fetched_us)
        .bind(new.error.as_deref())
        .bind(new.next_us)
        .bind(new.created_us)
        .execute(&mut *tx)
        .await?;
    audit::log(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(new)
}

pub(super) async fn list(pool: &Pool, tenant: &TenantId) -> Tried<Vec<KeySet>> {
    let select =
        query(concat!("SELECT ", columns!(), " FROM key_sets WHERE tenant_id = $1 ORDER BY created_us DESC, id DESC"));
    select.bind(tenant.as_str()).fetch_all(pool.reader()).await?.iter().map(read).collect()
}

async fn take(pool: &Pool, now_us: i64, until_us: i64, limit: u32) -> Tried<Vec<KeySet>> {
    // Said twice, so that of two at once the second finds the time moved on.
    let update = query(concat!(
        "UPDATE key_sets SET next_us = $2 WHERE next_us <= $1 AND id IN (
            SELECT id FROM key_sets WHERE next_us <= $1 ORDER BY next_us LIMIT $3
         ) RETURNING ",
        columns!()
    ));
    let rows = update.bind(now_us).bind(until_us).bind(i64::from(limit)).fetch_all(pool.writer()).await?;
    rows.iter().map(read).collect()
}

async fn settle(pool: &Pool, id: &KeyId, fetched: &Fetched) -> Tried<()> {
    let settle = match &fetched.outcome {
        Ok(keys) => query("UPDATE key_sets SET next_us = $2, keys = $3, fetched_us = $4, error = NULL WHERE id = $1")
            .bind(id.as_str())
            .bind(fetched.next_us)
            .bind(texts(keys))
            .bind(fetched.at_us),
        Err(error) => query("UPDATE key_sets SET next_us = $2, error = $3 WHERE id = $1")
            .bind(id.as_str())
            .bind(fetched.next_us)
            .bind(error.as_str()),
    };
    settle.execute(pool.writer()).await?;
    Ok(())
}
