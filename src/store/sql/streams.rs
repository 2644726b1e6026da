use super::super::{Pool, TAKE_FENCE, query};
use super::rows::{Reader, before, big, stream_columns, tenant_columns};
use super::{
    Conflict, Entry, Error, Fence, Hash, KeyId, NewStream, Page, Play, PlaybackId, Policy, Publish, Settings, Stream,
    StreamFilter, StreamId, TenantId, Tried, audit, key_sets, keys,
};
use serde_json::to_string;

pub(super) async fn create(pool: &Pool, new: NewStream, entry: Entry) -> Tried<Stream> {
    let NewStream { id, tenant, playback_id, name, settings, created_us, key } = new;
    let stream = Stream { id, tenant, playback_id, name, settings, revision: 1, created_us, updated_us: created_us };
    let mut tx = pool.begin().await?;
    query(
        "INSERT INTO streams (id, tenant_id, playback_id, name, policy, second_publisher, reconnect_window_s, \
         latency_target_ms, allowed_origins, labels, created_us, updated_us) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)",
    )
    .bind(stream.id.as_str())
    .bind(stream.tenant.as_str())
    .bind(stream.playback_id.as_str())
    .bind(&stream.name)
    .bind(stream.settings.policy.name())
    .bind(stream.settings.second_publisher.name())
    .bind(i64::from(stream.settings.reconnect_window_s))
    .bind(stream.settings.latency_target_ms.map(i64::from))
    .bind(origins(&stream.settings))
    .bind(labels(&stream.settings))
    .bind(created_us)
    .execute(&mut *tx)
    .await?;
    keys::insert_of_stream(&mut tx, &stream.id, key).await?;
    audit::log(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(stream)
}

pub(super) async fn get(pool: &Pool, id: &StreamId) -> Tried<Option<Stream>> {
    let select = query(concat!("SELECT ", stream_columns!(), " FROM streams AS s WHERE s.id = $1"));
    let row = select.bind(id.as_str()).fetch_optional(pool.reader()).await?;
    row.map(|row| Reader::new(&row).stream()).transpose()
}

pub(super) async fn list(pool: &Pool, filter: &StreamFilter, page: &Page) -> Tried<Vec<Stream>> {
    let (created_us, id) = before(page);
    let rows = query(concat!(
        "SELECT ",
        stream_columns!(),
        " FROM streams AS s WHERE ($1 IS NULL OR s.tenant_id = $1) AND ($2 IS NULL OR s.name = $2) \
         AND ($3 IS NULL OR s.policy = $3) \
         AND ($4 IS NULL OR LOWER(s.name) LIKE LOWER($4) ESCAPE '!' OR s.id = $5 OR s.playback_id = $5) \
         AND (s.created_us, s.id) < ($6, $7) ORDER BY s.created_us DESC, s.id DESC LIMIT $8"
    ))
    .bind(filter.tenant.as_ref().map(TenantId::as_str))
    .bind(&filter.name)
    .bind(filter.policy.map(Policy::name))
    .bind(filter.search.as_deref().map(part))
    .bind(&filter.search)
    .bind(created_us)
    .bind(id)
    .bind(i64::from(page.limit))
    .fetch_all(pool.reader())
    .await?;
    rows.iter().map(|row| Reader::new(row).stream()).collect()
}

/// The pattern that finds a text within another.
fn part(text: &str) -> String {
    let escaped = text.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    format!("%{escaped}%")
}

pub(super) async fn update(pool: &Pool, stream: &Stream, entry: Entry) -> Tried<Stream> {
    let updated = Stream { revision: stream.revision + 1, updated_us: entry.at_us, ..stream.clone() };
    let mut tx = pool.begin().await?;
    let done = query(
        "UPDATE streams SET name = $3, policy = $4, second_publisher = $5, reconnect_window_s = $6, \
         latency_target_ms = $7, allowed_origins = $8, labels = $9, revision = revision + 1, updated_us = $10 \
         WHERE id = $1 AND revision = $2",
    )
    .bind(stream.id.as_str())
    .bind(stream.revision)
    .bind(&stream.name)
    .bind(stream.settings.policy.name())
    .bind(stream.settings.second_publisher.name())
    .bind(i64::from(stream.settings.reconnect_window_s))
    .bind(stream.settings.latency_target_ms.map(i64::from))
    .bind(origins(&stream.settings))
    .bind(labels(&stream.settings))
    .bind(updated.updated_us)
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() == 0 {
        drop(tx);
        let known = get(pool, &stream.id).await?;
        return Err(known.map_or(Error::NotFound("stream"), |_| Error::Conflict(Conflict::Stale)).into());
    }
    audit::log(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(updated)
}

pub(super) async fn delete(pool: &Pool, id: &StreamId, entry: Entry) -> Tried<()> {
    let mut tx = pool.begin().await?;
    let done = query("DELETE FROM streams WHERE id = $1").bind(id.as_str()).execute(&mut *tx).await?;
    if done.rows_affected() == 0 {
        return Err(Error::NotFound("stream").into());
    }
    audit::log(&mut tx, entry).await?;
    Ok(tx.commit().await?)
}

pub(super) async fn by_key_hash(pool: &Pool, hash: &Hash) -> Tried<Option<Publish>> {
    let row = query(concat!(
        "SELECT k.id, ",
        stream_columns!(),
        ", ",
        tenant_columns!(),
        " FROM stream_keys AS k JOIN streams AS s ON s.id = k.stream_id JOIN tenants AS t ON t.id = s.tenant_id \
         WHERE k.hash = $1"
    ))
    .bind(&hash.as_bytes()[..])
    .fetch_optional(pool.reader())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let mut row = Reader::new(&row);
    Ok(Some(Publish { key: row.id(KeyId::parse)?, stream: row.stream()?, tenant: row.tenant()? }))
}

pub(super) async fn play(pool: &Pool, id: &PlaybackId) -> Tried<Option<Play>> {
    let row = query(concat!(
        "SELECT ",
        stream_columns!(),
        ", ",
        tenant_columns!(),
        " FROM streams AS s JOIN tenants AS t ON t.id = s.tenant_id WHERE s.playback_id = $1"
    ))
    .bind(id.as_str())
    .fetch_optional(pool.reader())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let mut row = Reader::new(&row);
    let (stream, tenant) = (row.stream()?, row.tenant()?);
    let signing_keys = keys::signing(pool, &tenant.id).await?;
    let key_sets = key_sets::list(pool, &tenant.id).await?;
    Ok(Some(Play { stream, tenant, signing_keys, key_sets }))
}

pub(super) async fn take_fence(pool: &Pool, id: &StreamId) -> Tried<Fence> {
    let row = query(TAKE_FENCE).bind(id.as_str()).fetch_optional(pool.writer()).await?;
    let row = row.ok_or(Error::NotFound("stream"))?;
    let mut row = Reader::new(&row);
    let fence = big(row.number()?)?;
    // A database whose clock stepped back tells of a negative time.
    Ok(Fence { fence, since_origin_us: u64::try_from(row.number()?).unwrap_or(0) })
}

pub(super) async fn accept_fence(pool: &Pool, id: &StreamId, fence: u64) -> Tried<bool> {
    let number = i64::try_from(fence).map_err(|_| Error::Broken(format!("{fence} is no fence")))?;
    let update = query("UPDATE streams SET fence = $2 WHERE id = $1 AND fence < $2");
    let done = update.bind(id.as_str()).bind(number).execute(pool.writer()).await?;
    if done.rows_affected() == 0 && get(pool, id).await?.is_none() {
        return Err(Error::NotFound("stream").into());
    }
    Ok(done.rows_affected() > 0)
}

pub(super) async fn accepted_fence(pool: &Pool, id: &StreamId) -> Tried<u64> {
    let row = query("SELECT fence FROM streams WHERE id = $1").bind(id.as_str()).fetch_optional(pool.reader()).await?;
    let row = row.ok_or(Error::NotFound("stream"))?;
    Ok(big(Reader::new(&row).number()?)?)
}

fn origins(settings: &Settings) -> String {
    to_string(&settings.allowed_origins).unwrap_or_else(|_| "[]".to_owned())
}

fn labels(settings: &Settings) -> String {
    to_string(&settings.labels).unwrap_or_else(|_| "{}".to_owned())
}
