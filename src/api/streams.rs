use super::caller::Caller;
use super::input::{
    Body, Check, Query, check, check_labels, check_name, check_origin, maybe_whole, page, said_whole, whole,
};
use super::live::{LiveView, QoeView};
use super::revision::Meant;
use super::show::{IngestLinks, Linker, List, PlayLinks, json, position, revised, time};
use super::{Error, State, elsewhere};
use crate::auth::key;
use crate::cluster::Message;
use crate::id::{KeyId, PlaybackId, StreamId, TenantId};
use crate::store::{NewStream, NewStreamKey, Page, Policy, SecondPublisher, Settings, Stream, StreamFilter};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

const RECONNECT_WINDOW_S_MAX: u32 = 3_600;
const ORIGINS_MAX: usize = 100;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Stream)]
pub(super) struct StreamView {
    id: StreamId,
    tenant: TenantId,
    playback_id: PlaybackId,
    #[serde(flatten)]
    settings: SettingsView,
    created_at: String,
    updated_at: String,
    ingest: IngestLinks,
    play: PlayLinks,
    #[serde(flatten)]
    live: LiveView,
    /// Null where no player has told anything in the last minutes.
    qoe: Option<QoeView>,
}

/// What its tenant chose.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StreamSettings)]
pub(super) struct SettingsView {
    name: String,
    policy: Policy,
    second_publisher: SecondPublisher,
    reconnect_window_s: u32,
    latency_target_ms: Option<u32>,
    allowed_origins: Vec<String>,
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StreamCreated {
    #[serde(flatten)]
    stream: StreamView,
    stream_key: KeyCreated,
}

/// Shown this once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StreamKeyCreated)]
pub(super) struct KeyCreated {
    pub(super) id: KeyId,
    pub(super) key: Option<String>,
}

impl From<&Stream> for SettingsView {
    fn from(stream: &Stream) -> Self {
        let Settings { policy, second_publisher, reconnect_window_s, latency_target_ms, allowed_origins, labels } =
            stream.settings.clone();
        let name = stream.name.clone();
        Self { name, policy, second_publisher, reconnect_window_s, latency_target_ms, allowed_origins, labels }
    }
}

/// With how it runs, on whichever node.
async fn view_of(state: &State, links: &Linker<'_>, stream: &Stream) -> StreamView {
    let live = elsewhere::live(state, std::slice::from_ref(&stream.id)).await.remove(&stream.id);
    view(state, links, stream, None, live)
}

fn view(state: &State, links: &Linker<'_>, stream: &Stream, key: Option<&str>, live: Option<LiveView>) -> StreamView {
    let told = state.registry.get(&stream.id).map(|handle| handle.qoe(state.clock.monotonic()));
    StreamView {
        id: stream.id.clone(),
        tenant: stream.tenant.clone(),
        playback_id: stream.playback_id.clone(),
        settings: SettingsView::from(stream),
        created_at: time(stream.created_us),
        updated_at: time(stream.updated_us),
        ingest: links.ingest(key),
        play: links.play(&stream.playback_id),
        live: live.unwrap_or_else(LiveView::waiting),
        qoe: told.and_then(|summary| QoeView::of(&summary)),
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateStream {
    /// A platform key names the tenant.
    tenant: Option<String>,
    name: String,
    #[serde(default = "signed")]
    policy: Policy,
    #[serde(default = "refuse")]
    second_publisher: SecondPublisher,
    #[serde(default = "window_s", deserialize_with = "whole")]
    reconnect_window_s: u32,
    #[serde(default, deserialize_with = "maybe_whole")]
    latency_target_ms: Option<u32>,
    #[serde(default)]
    allowed_origins: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

fn signed() -> Policy {
    Settings::default().policy
}

fn refuse() -> SecondPublisher {
    Settings::default().second_publisher
}

fn window_s() -> u32 {
    Settings::default().reconnect_window_s
}

impl CreateStream {
    fn settings(&self) -> Settings {
        Settings {
            policy: self.policy,
            second_publisher: self.second_publisher,
            reconnect_window_s: self.reconnect_window_s,
            latency_target_ms: self.latency_target_ms,
            allowed_origins: self.allowed_origins.clone(),
            labels: self.labels.clone(),
        }
    }
}

impl Check for CreateStream {
    fn check(&self) -> Result<(), Error> {
        check_name("name", &self.name)?;
        check_settings(&self.settings())
    }
}

fn check_settings(settings: &Settings) -> Result<(), Error> {
    check(settings.reconnect_window_s <= RECONNECT_WINDOW_S_MAX, "reconnect_window_s", "0 to 3600 seconds")?;
    let target = settings.latency_target_ms.is_none_or(|ms| (40..=1_000).contains(&ms));
    check(target, "latency_target_ms", "null, or 40 to 1000 milliseconds")?;
    check(settings.allowed_origins.len() <= ORIGINS_MAX, "allowed_origins", "at most 100 origins")?;
    for (at, origin) in settings.allowed_origins.iter().enumerate() {
        check_origin(&format!("allowed_origins[{at}]"), origin)?;
    }
    check_labels(&settings.labels)
}

pub(super) async fn create(
    state: web::Data<State>,
    caller: Caller,
    body: Body<CreateStream>,
) -> Result<HttpResponse, Error> {
    let tenant = caller.tenant(body.0.tenant.as_deref())?;
    let (new_key, key) = new_key(&state);
    let hash = new_key.hash;
    let (key_id, id) = (new_key.id.clone(), StreamId::from_random(state.random()));
    let new = NewStream {
        settings: body.0.settings(),
        name: body.0.name,
        playback_id: PlaybackId::from_random(state.random()),
        created_us: state.now_us(),
        key: new_key,
        tenant,
        id,
    };
    let mut entry = caller.entry(&state, Some(&new.tenant), "stream.create", new.id.as_str());
    entry.after = Some(serde_json::json!({ "name": new.name, "stream_key": key_id }));
    let stream = state.store.create_stream(new, entry).await?;
    (state.on_stream_key)(&hash);
    let links = Linker::new(&state, &caller.client);
    let created = StreamCreated {
        stream: view(&state, &links, &stream, Some(key.reveal()), None),
        stream_key: KeyCreated { id: key_id, key: Some(key.reveal().to_owned()) },
    };
    Ok(revised(StatusCode::CREATED, stream.revision, created))
}

/// A key to store, and the key itself.
pub(super) fn new_key(state: &State) -> (NewStreamKey, key::StreamKey) {
    let key = key::StreamKey::from_random(state.random());
    let new = NewStreamKey {
        id: KeyId::from_random(state.random()),
        prefix: key.prefix().to_owned(),
        hash: state.secrets.hash(key.reveal()),
        created_us: state.now_us(),
    };
    (new, key)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListStreams {
    tenant: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
    name: Option<String>,
    policy: Option<String>,
    search: Option<String>,
}

pub(super) async fn list(
    state: web::Data<State>,
    caller: Caller,
    query: Query<ListStreams>,
) -> Result<web::Json<List<StreamView>>, Error> {
    let ListStreams { tenant, limit, cursor, name, policy, search } = query.0;
    let page = page(limit.as_deref(), cursor.as_deref())?;
    let refused = || Error::invalid("policy", "it is no policy", "`signed` or `public`");
    let policy = policy.map(|name| Policy::parse(&name).ok_or_else(refused)).transpose()?;
    let search = search.filter(|text| !text.is_empty());
    for (field, text) in [("search", &search), ("name", &name)] {
        text.as_deref().map_or(Ok(()), |text| check_name(field, text))?;
    }
    let filter = StreamFilter { tenant: caller.scope(tenant.as_deref())?, name, policy, search };
    let rows = state.store.streams(&filter, &Page { limit: page.limit + 1, ..page.clone() }).await?;
    let links = Linker::new(&state, &caller.client);
    let at = |stream: &Stream| position(stream.created_us, &stream.id);
    let ids: Vec<_> = rows.iter().map(|stream| stream.id.clone()).collect();
    let mut live = elsewhere::live(&state, &ids).await;
    let show = |stream: Stream| view(&state, &links, &stream, None, live.remove(&stream.id));
    Ok(web::Json(List::of(rows, page.limit, at, show)))
}

/// The stream, if the caller may see it.
pub(super) async fn find(state: &State, caller: &Caller, id: &str) -> Result<Stream, Error> {
    let id = StreamId::parse(id).map_err(|_| Error::NotFound("stream"))?;
    let stream = state.store.stream(&id).await?.filter(|stream| caller.sees(&stream.tenant));
    stream.ok_or(Error::NotFound("stream"))
}

pub(super) async fn get(state: web::Data<State>, caller: Caller, id: web::Path<String>) -> Result<HttpResponse, Error> {
    let stream = find(&state, &caller, &id).await?;
    let links = Linker::new(&state, &caller.client);
    Ok(revised(StatusCode::OK, stream.revision, view_of(&state, &links, &stream).await))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PatchStream {
    name: Option<String>,
    policy: Option<Policy>,
    second_publisher: Option<SecondPublisher>,
    #[serde(default, deserialize_with = "maybe_whole")]
    reconnect_window_s: Option<u32>,
    #[serde(default, deserialize_with = "said_whole")]
    #[schema(value_type = Option<u32>)]
    latency_target_ms: Option<Option<u32>>,
    allowed_origins: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
}

impl Check for PatchStream {
    fn check(&self) -> Result<(), Error> {
        self.name.as_ref().map_or(Ok(()), |name| check_name("name", name))
    }
}

impl PatchStream {
    fn apply(&self, stream: &mut Stream) {
        fn set<T: Clone>(place: &mut T, said: &Option<T>) {
            if let Some(value) = said {
                place.clone_from(value);
            }
        }
        set(&mut stream.name, &self.name);
        let settings = &mut stream.settings;
        set(&mut settings.policy, &self.policy);
        set(&mut settings.second_publisher, &self.second_publisher);
        set(&mut settings.reconnect_window_s, &self.reconnect_window_s);
        set(&mut settings.latency_target_ms, &self.latency_target_ms);
        set(&mut settings.allowed_origins, &self.allowed_origins);
        set(&mut settings.labels, &self.labels);
    }
}

pub(super) async fn patch(
    state: web::Data<State>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
    body: Body<PatchStream>,
) -> Result<HttpResponse, Error> {
    let meant = Meant::of(&request);
    let change = async || {
        let before = find(&state, &caller, &id).await?;
        meant.check(before.revision)?;
        let mut stream = before.clone();
        body.0.apply(&mut stream);
        check_settings(&stream.settings)?;
        let mut entry = caller.entry(&state, Some(&stream.tenant), "stream.update", stream.id.as_str());
        entry.before = Some(json(SettingsView::from(&before))?);
        entry.after = Some(json(SettingsView::from(&stream))?);
        Ok(state.store.update_stream(&stream, entry).await?)
    };
    let stream = meant.apply(change).await?;
    state.tell(Message::StreamChanged { stream: stream.id.clone() }).await;
    let links = Linker::new(&state, &caller.client);
    Ok(revised(StatusCode::OK, stream.revision, view_of(&state, &links, &stream).await))
}

pub(super) async fn delete(
    state: web::Data<State>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Error> {
    let stream = find(&state, &caller, &id).await?;
    let mut entry = caller.entry(&state, Some(&stream.tenant), "stream.delete", stream.id.as_str());
    entry.before = Some(json(SettingsView::from(&stream))?);
    state.store.delete_stream(&stream.id, entry).await?;
    state.tell(Message::StreamDeleted { stream: stream.id }).await;
    Ok(HttpResponse::NoContent().finish())
}

/// Ends the publisher, on whichever node it is.
pub(super) async fn disconnect(
    state: web::Data<State>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Error> {
    let stream = find(&state, &caller, &id).await?;
    let entry = caller.entry(&state, Some(&stream.tenant), "stream.disconnect", stream.id.as_str());
    state.store.record(entry).await?;
    state.tell(Message::StreamDisconnected { stream: stream.id }).await;
    Ok(HttpResponse::NoContent().finish())
}
