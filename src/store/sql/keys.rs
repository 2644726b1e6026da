use super::super::{Pool, Row, Tx, query};
use super::rows::{Reader, before};
use super::{
    ApiKey, Conflict, Entry, Error, Hash, KeyId, Material, NewSigningKey, NewStreamKey, Page, Role, STREAM_KEYS_MAX,
    SigningKey, StreamId, StreamKey, TenantId, Tried, audit,
};
use crate::auth::token::Algorithm;

pub(super) async fn insert_of_stream(tx: &mut Tx, stream: &StreamId, new: NewStreamKey) -> Tried<StreamKey> {
    let NewStreamKey { id, prefix, hash, created_us } = new;
    query("INSERT INTO stream_keys (id, stream_id, prefix, hash, created_us) VALUES ($1, $2, $3, $4, $5)")
        .bind(id.as_str())
        .bind(stream.as_str())
        .bind(&prefix)
        .bind(&hash.as_bytes()[..])
        .bind(created_us)
        .execute(&mut **tx)
        .await?;
    Ok(StreamKey { id: id.clone(), stream: stream.clone(), prefix: prefix.clone(), created_us, last_used_us: None })
}

pub(super) async fn create_of_stream(
    pool: &Pool,
    stream: &StreamId,
    new: NewStreamKey,
    entry: Entry,
) -> Tried<StreamKey> {
    let mut tx = pool.begin().await?;
    // Locks the stream, so that two at once don't both find room.
    let lock = query("UPDATE streams SET updated_us = $2 WHERE id = $1");
    let locked = lock.bind(stream.as_str()).bind(entry.at_us).execute(&mut *tx).await?;
    if locked.rows_affected() == 0 {
        return Err(Error::NotFound("stream").into());
    }
    let count = query("SELECT COUNT(*) FROM stream_keys WHERE stream_id = $1");
    let count = Reader::new(&count.bind(stream.as_str()).fetch_one(&mut *tx).await?).number()?;
    if count >= STREAM_KEYS_MAX as i64 {
        return Err(Error::Conflict(Conflict::TooManyKeys).into());
    }
    let key = insert_of_stream(&mut tx, stream, new).await?;
    audit::log(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(key)
}

pub(super) async fn of_stream(pool: &Pool, stream: &StreamId) -> Tried<Vec<StreamKey>> {
    let select = query(
        "SELECT id, stream_id, prefix, created_us, last_used_us FROM stream_keys WHERE stream_id = $1
         ORDER BY created_us DESC, id DESC",
    );
    let rows = select.bind(stream.as_str()).fetch_all(pool.reader()).await?;
    let key = |row| {
        let mut row = Reader::new(row);
        Ok(StreamKey {
            id: row.id(KeyId::parse)?,
            stream: row.id(StreamId::parse)?,
            prefix: row.text()?,
            created_us: row.number()?,
            last_used_us: row.maybe_number()?,
        })
    };
    rows.iter().map(key).collect()
}

pub(super) async fn delete_of_stream(pool: &Pool, stream: &StreamId, id: &KeyId, entry: Entry) -> Tried<()> {
    let mut tx = pool.begin().await?;
    let delete = query("DELETE FROM stream_keys WHERE stream_id = $1 AND id = $2");
    let done = delete.bind(stream.as_str()).bind(id.as_str()).execute(&mut *tx).await?;
    if done.rows_affected() == 0 {
        return Err(Error::NotFound("stream key").into());
    }
    audit::log(&mut tx, entry).await?;
    Ok(tx.commit().await?)
}

pub(super) async fn touch_of_stream(pool: &Pool, id: &KeyId, used_us: i64) -> Tried<()> {
    let update = query("UPDATE stream_keys SET last_used_us = $2 WHERE id = $1 AND COALESCE(last_used_us, 0) < $2");
    update.bind(id.as_str()).bind(used_us).execute(pool.writer()).await?;
    Ok(())
}

pub(super) async fn insert_signing(tx: &mut Tx, new: &NewSigningKey) -> Tried<()> {
    let (sealed, public) = match &new.material {
        Material::Sealed(sealed) => (Some(sealed.as_bytes()), None),
        Material::Public(public) => (None, Some(public.as_str())),
    };
    query(
        "INSERT INTO signing_keys (id, tenant_id, kid, algorithm, sealed, public_key, created_us) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(new.id.as_str())
    .bind(new.tenant.as_str())
    .bind(&new.kid)
    .bind(new.algorithm.name())
    .bind(sealed)
    .bind(public)
    .bind(new.created_us)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn create_signing(pool: &Pool, new: NewSigningKey, entry: Entry) -> Tried<SigningKey> {
    let mut tx = pool.begin().await?;
    insert_signing(&mut tx, &new).await?;
    audit::log(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(new)
}

pub(super) async fn signing(pool: &Pool, tenant: &TenantId) -> Tried<Vec<SigningKey>> {
    let select = query(
        "SELECT id, tenant_id, kid, algorithm, sealed, public_key, created_us FROM signing_keys WHERE tenant_id = $1
         ORDER BY created_us DESC, id DESC",
    );
    let rows = select.bind(tenant.as_str()).fetch_all(pool.reader()).await?;
    rows.iter().map(|row| signing_key(Reader::new(row))).collect()
}

fn signing_key(mut row: Reader<'_>) -> Tried<SigningKey> {
    let (id, tenant, kid) = (row.id(KeyId::parse)?, row.id(TenantId::parse)?, row.text()?);
    let algorithm = row.named(Algorithm::parse)?;
    let material = match (row.maybe_sealed()?, row.maybe_text()?) {
        (Some(sealed), None) => Material::Sealed(sealed),
        (None, Some(public)) => Material::Public(public),
        _ => return Err(Error::Broken(format!("signing key {id} is not of one kind")).into()),
    };
    Ok(SigningKey { id, tenant, kid, algorithm, material, created_us: row.number()? })
}

pub(super) async fn delete_signing(pool: &Pool, tenant: &TenantId, id: &KeyId, entry: Entry) -> Tried<()> {
    let mut tx = pool.begin().await?;
    let delete = query("DELETE FROM signing_keys WHERE tenant_id = $1 AND id = $2");
    let done = delete.bind(tenant.as_str()).bind(id.as_str()).execute(&mut *tx).await?;
    if done.rows_affected() == 0 {
        let delete = query("DELETE FROM key_sets WHERE tenant_id = $1 AND id = $2");
        let done = delete.bind(tenant.as_str()).bind(id.as_str()).execute(&mut *tx).await?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound("signing key").into());
        }
    }
    audit::log(&mut tx, entry).await?;
    Ok(tx.commit().await?)
}

async fn insert_api(tx: &mut Tx, new: &ApiKey) -> Tried<()> {
    query(
        "INSERT INTO api_keys (id, tenant_id, role, name, prefix, hash, created_us) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(new.id.as_str())
    .bind(new.tenant.as_ref().map(TenantId::as_str))
    .bind(new.role.name())
    .bind(&new.name)
    .bind(&new.prefix)
    .bind(&new.hash.as_bytes()[..])
    .bind(new.created_us)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn create_api(pool: &Pool, new: ApiKey, entry: Entry) -> Tried<ApiKey> {
    let mut tx = pool.begin().await?;
    insert_api(&mut tx, &new).await?;
    audit::log(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(new)
}

pub(super) async fn create_first_api(pool: &Pool, new: ApiKey, entry: Entry) -> Tried<bool> {
    let mut tx = pool.begin().await?;
    let first = query("INSERT INTO once (name, at_us) VALUES ('first API key', $1) ON CONFLICT DO NOTHING");
    let first = first.bind(new.created_us).execute(&mut *tx).await?;
    if first.rows_affected() == 0 {
        return Ok(false);
    }
    insert_api(&mut tx, &new).await?;
    audit::log(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(true)
}

pub(super) async fn api_by_hash(pool: &Pool, hash: &Hash) -> Tried<Option<ApiKey>> {
    let select =
        query("SELECT id, tenant_id, role, name, prefix, hash, created_us, last_used_us FROM api_keys WHERE hash = $1");
    let row = select.bind(&hash.as_bytes()[..]).fetch_optional(pool.reader()).await?;
    row.as_ref().map(api_key).transpose()
}

pub(super) async fn api(pool: &Pool, tenant: Option<&TenantId>, page: &Page) -> Tried<Vec<ApiKey>> {
    let (created_us, id) = before(page);
    let rows = query(
        "SELECT id, tenant_id, role, name, prefix, hash, created_us, last_used_us FROM api_keys \
         WHERE COALESCE(tenant_id, '') = $1 AND (created_us, id) < ($2, $3) \
         ORDER BY created_us DESC, id DESC LIMIT $4",
    )
    .bind(tenant.map_or("", TenantId::as_str))
    .bind(created_us)
    .bind(id)
    .bind(i64::from(page.limit))
    .fetch_all(pool.reader())
    .await?;
    rows.iter().map(api_key).collect()
}

fn api_key(row: &Row) -> Tried<ApiKey> {
    let mut row = Reader::new(row);
    Ok(ApiKey {
        id: row.id(KeyId::parse)?,
        tenant: row.maybe_id(TenantId::parse)?,
        role: row.named(Role::parse)?,
        name: row.text()?,
        prefix: row.text()?,
        hash: row.hash()?,
        created_us: row.number()?,
        last_used_us: row.maybe_number()?,
    })
}

pub(super) async fn delete_api(pool: &Pool, tenant: Option<&TenantId>, id: &KeyId, entry: Entry) -> Tried<()> {
    let mut tx = pool.begin().await?;
    let delete = query("DELETE FROM api_keys WHERE COALESCE(tenant_id, '') = $1 AND id = $2");
    let done = delete.bind(tenant.map_or("", TenantId::as_str)).bind(id.as_str()).execute(&mut *tx).await?;
    if done.rows_affected() == 0 {
        return Err(Error::NotFound("API key").into());
    }
    audit::log(&mut tx, entry).await?;
    Ok(tx.commit().await?)
}

pub(super) async fn touch_api(pool: &Pool, id: &KeyId, used_us: i64) -> Tried<()> {
    let update = query("UPDATE api_keys SET last_used_us = $2 WHERE id = $1 AND COALESCE(last_used_us, 0) < $2");
    update.bind(id.as_str()).bind(used_us).execute(pool.writer()).await?;
    Ok(())
}
