use super::caller::Caller;
use super::show::{List, time};
use super::streams::{KeyCreated, find, new_key};
use super::{Error, State};
use crate::cluster::Message;
use crate::id::KeyId;
use crate::store::StreamKey;
use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StreamKey)]
pub(super) struct KeyView {
    id: KeyId,
    prefix: String,
    created_at: String,
    last_used_at: Option<String>,
}

impl From<StreamKey> for KeyView {
    fn from(key: StreamKey) -> Self {
        Self {
            id: key.id,
            prefix: key.prefix,
            created_at: time(key.created_us),
            last_used_at: key.last_used_us.map(time),
        }
    }
}

/// A second key, so that an encoder can change over without a gap.
pub(super) async fn create(
    state: web::Data<State>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Error> {
    let stream = find(&state, &caller, &id).await?;
    let (new, key) = new_key(&state);
    let mut entry = caller.entry(&state, Some(&stream.tenant), "stream_key.create", new.id.as_str());
    entry.after = Some(serde_json::json!({ "stream": stream.id, "prefix": new.prefix }));
    let hash = new.hash;
    let stored = state.store.create_stream_key(&stream.id, new, entry).await?;
    (state.on_stream_key)(&hash);
    Ok(HttpResponse::Created().json(KeyCreated { id: stored.id, key: Some(key.reveal().to_owned()) }))
}

pub(super) async fn list(
    state: web::Data<State>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<web::Json<List<KeyView>>, Error> {
    let stream = find(&state, &caller, &id).await?;
    let keys = state.store.stream_keys(&stream.id).await?;
    Ok(web::Json(List::whole(keys.into_iter().map(KeyView::from).collect())))
}

/// Whoever publishes with it is cut.
pub(super) async fn delete(
    state: web::Data<State>,
    caller: Caller,
    ids: web::Path<(String, String)>,
) -> Result<HttpResponse, Error> {
    let (id, key) = ids.into_inner();
    let stream = find(&state, &caller, &id).await?;
    let key = KeyId::parse(&key).map_err(|_| Error::NotFound("stream key"))?;
    let mut entry = caller.entry(&state, Some(&stream.tenant), "stream_key.delete", key.as_str());
    entry.before = Some(serde_json::json!({ "stream": stream.id }));
    state.store.delete_stream_key(&stream.id, &key, entry).await?;
    state.tell(Message::StreamKeyRevoked { stream: stream.id, key }).await;
    Ok(HttpResponse::NoContent().finish())
}
