use super::caller::Caller;
use super::input::{Query, page};
use super::show::{List, position, time};
use super::streams::find;
use super::{Error, State, elsewhere};
use crate::id::{SessionId, StreamId};
use crate::stream::Handle;
use crate::stream::handle::Command;
use crate::stream::subscriber::Viewer;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::sync::oneshot;
use utoipa::ToSchema;

/// A stream answers in well under a millisecond; one that does not is as good as gone.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct SessionView {
    id: SessionId,
    stream: StreamId,
    /// Whom the token named.
    sub: String,
    address: String,
    /// `weir.v1`, `weir.raw` or `http`.
    protocol: String,
    since: String,
    node: String,
    /// What it is sent: 0 everything, 1 no disposable frames, 2 each GOP as far as it gets, 3 keyframes and sound,
    /// 4 sound.
    rung: u8,
    /// That its connection has not taken yet.
    waiting_bytes: u32,
    /// That it was not sent since it came.
    frames_dropped: u64,
}

/// A session as nodes tell each other of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Seen {
    session: SessionId,
    sub: String,
    address: String,
    protocol: String,
    since_us: i64,
    node: String,
    /// Not told by nodes of older versions.
    #[serde(default)]
    rung: u8,
    #[serde(default)]
    waiting_bytes: u32,
    #[serde(default)]
    frames_dropped: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListSessions {
    stream: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

pub(super) async fn list(
    state: web::Data<State>,
    caller: Caller,
    query: Query<ListSessions>,
) -> Result<web::Json<List<SessionView>>, Error> {
    let ListSessions { stream, limit, cursor } = query.0;
    let page = page(limit.as_deref(), cursor.as_deref())?;
    let named = stream.ok_or_else(|| Error::invalid("stream", "sessions are listed by stream", "`str_...`"))?;
    let stream = find(&state, &caller, &named).await?.id;
    let at = |viewer: &Seen| position(viewer.since_us, &viewer.session);
    let mut viewers = elsewhere::viewers(&state, &stream).await;
    viewers.retain(|viewer| page.after.as_ref().is_none_or(|after| at(viewer) < *after));
    viewers.sort_by_key(|viewer| std::cmp::Reverse(at(viewer)));
    let show = |viewer: Seen| SessionView {
        id: viewer.session,
        stream: stream.clone(),
        sub: viewer.sub,
        address: viewer.address,
        protocol: viewer.protocol,
        since: time(viewer.since_us),
        node: viewer.node,
        rung: viewer.rung,
        waiting_bytes: viewer.waiting_bytes,
        frames_dropped: viewer.frames_dropped,
    };
    Ok(web::Json(List::of(viewers, page.limit, at, show)))
}

/// A stream's viewers on this node.
pub(super) async fn seen_here(state: &State, stream: &StreamId) -> Vec<Seen> {
    let Some(handle) = state.registry.get(stream) else { return Vec::new() };
    let seen = |viewer: Viewer| Seen {
        session: viewer.session,
        sub: viewer.subject,
        address: viewer.address,
        protocol: viewer.dialect.to_owned(),
        since_us: viewer.since_us,
        node: state.node.clone(),
        rung: viewer.standing.rung,
        waiting_bytes: viewer.standing.waiting_bytes,
        frames_dropped: viewer.standing.frames_dropped,
    };
    viewers(&handle).await.into_iter().map(seen).collect()
}

/// The stream that a session of this node watches.
pub(super) async fn stream_here(state: &State, session: &SessionId) -> Option<StreamId> {
    for handle in state.registry.list() {
        if viewers(&handle).await.iter().any(|viewer| viewer.session == *session) {
            return Some(handle.id().clone());
        }
    }
    None
}

async fn viewers(handle: &Handle) -> Vec<Viewer> {
    let (answer, answered) = oneshot::channel();
    // One who stopped waiting does not need the answer.
    let reply = Box::new(move |viewers| drop(answer.send(viewers)));
    let asked = async {
        handle.send(Command::Sessions(reply)).await.ok()?;
        answered.await.ok()
    };
    actix_web::rt::time::timeout(ANSWER_TIMEOUT, asked).await.ok().flatten().unwrap_or_default()
}

/// The viewer is disconnected, and told not to come back.
pub(super) async fn kick(
    state: web::Data<State>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Error> {
    let not_found = Error::NotFound("session");
    let session = SessionId::parse(&id).map_err(|_| not_found.clone())?;
    let (stream, node) = elsewhere::place_of(&state, &session).await.ok_or_else(|| not_found.clone())?;
    let stream = find(&state, &caller, stream.as_str()).await.map_err(|error| match error {
        Error::NotFound(_) => not_found,
        other => other,
    })?;
    let mut entry = caller.entry(&state, Some(&stream.tenant), "session.kick", session.as_str());
    entry.before = Some(serde_json::json!({ "stream": stream.id }));
    state.store.record(entry).await?;
    elsewhere::kick(&state, &node, session).await;
    Ok(HttpResponse::NoContent().finish())
}
