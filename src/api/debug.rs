//! What is inside the streams that run here: on the internal listener, for who looks for a fault.

use super::input::{Query, limit_of};
use super::show::time;
use super::{Error, State};
use crate::id::{SessionId, StreamId};
use crate::stream::Handle;
use crate::stream::handle::Command;
use crate::stream::inside::{Held, Hub, Inside, Question, Viewer};
use crate::stream::subscriber::SubscriberId;
use actix_web::web;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// A stream and its hubs answer in well under a millisecond; what does not is told of as such.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);
/// Worker threads that can have viewers of one stream.
const HUBS_MAX: usize = 256;

/// Mounts `/debug/streams`; the app's data must hold a [`State`].
pub fn debug(config: &mut web::ServiceConfig) {
    config.route("/debug/streams", web::get().to(list)).route("/debug/streams/{id}", web::get().to(show));
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    /// Of streams, or of viewers.
    limit: Option<String>,
}

#[derive(Debug, Serialize)]
struct Streams {
    /// Those that run here, whether they are shown or not.
    total: usize,
    streams: Vec<StreamView>,
}

#[derive(Debug, Serialize)]
struct StreamView {
    id: StreamId,
    state: &'static str,
    since: String,
    fence: u64,
    /// The publisher is on another node.
    is_fed: bool,
    viewers: usize,
}

impl StreamView {
    fn of(stream: &Handle) -> Self {
        let live = stream.live();
        Self {
            id: stream.id().clone(),
            state: live.phase.as_str(),
            since: time(live.since_us),
            fence: live.fence,
            is_fed: live.is_fed,
            viewers: live.viewers,
        }
    }
}

/// Those with most viewers first.
async fn list(state: web::Data<State>, query: Query<Limit>) -> Result<web::Json<Streams>, Error> {
    let limit = limit_of(query.0.limit.as_deref())?;
    let mut streams: Vec<_> = state.registry.list().iter().map(StreamView::of).collect();
    let total = streams.len();
    streams.sort_by(|a, b| (b.viewers, &a.id).cmp(&(a.viewers, &b.id)));
    streams.truncate(limit as usize);
    Ok(web::Json(Streams { total, streams }))
}

#[derive(Debug, Serialize)]
struct InsideView {
    #[serde(flatten)]
    stream: StreamView,
    /// False: the stream's actor did not answer in time, and only what was known without asking it is shown.
    answered: bool,
    epoch: Option<String>,
    has_publisher: Option<bool>,
    backlog: Option<BacklogView>,
    /// Other nodes that follow.
    relays: Option<usize>,
    hubs: Vec<HubView>,
    /// Those furthest behind first; `stream.viewers` counts all.
    viewers: Vec<ViewerView>,
}

#[derive(Debug, Serialize)]
struct BacklogView {
    groups: usize,
    fragments: usize,
    bytes: usize,
    from_us: Option<i64>,
    to_us: Option<i64>,
}

#[derive(Debug, Serialize)]
struct HubView {
    id: u64,
    is_behind: bool,
    viewers: usize,
    /// False: it did not answer in time, its thread is busy.
    answered: bool,
    pending_fragments: Option<usize>,
    outbox_bytes: Option<usize>,
}

#[derive(Debug, Serialize)]
struct ViewerView {
    session: SessionId,
    hub: u64,
    protocol: &'static str,
    rung: u8,
    outbox_bytes: u32,
    frames_dropped: u64,
    oldest_ms: Option<i64>,
}

async fn show(
    state: web::Data<State>,
    id: web::Path<String>,
    query: Query<Limit>,
) -> Result<web::Json<InsideView>, Error> {
    let limit = limit_of(query.0.limit.as_deref())? as usize;
    let stream = StreamId::parse(&id).ok().and_then(|id| state.registry.get(&id));
    let stream = stream.ok_or(Error::NotFound("stream that runs here"))?;
    let (inside, hubs) = ask(&stream, limit).await;
    let mut viewers: Vec<_> = hubs.iter().flat_map(|hub| hub.viewers.iter().map(|viewer| (hub.id, viewer))).collect();
    viewers.sort_by_key(|(_, viewer)| Reverse((viewer.oldest_us, viewer.listed.standing.waiting_bytes)));
    viewers.truncate(limit);
    let subscribed = inside.as_ref().map(|inside| inside.hubs.as_slice()).unwrap_or_default();
    Ok(web::Json(InsideView {
        stream: StreamView::of(&stream),
        answered: inside.is_some(),
        epoch: inside.as_ref().map(|inside| inside.epoch.to_string()),
        has_publisher: inside.as_ref().map(|inside| inside.has_publisher),
        backlog: inside.as_ref().map(|inside| backlog(&inside.backlog)),
        relays: inside.as_ref().map(|inside| inside.relays),
        viewers: viewers.into_iter().map(|(hub, viewer)| viewer_of(hub, viewer)).collect(),
        hubs: subscribed
            .iter()
            .map(|hub| {
                let told = hubs.iter().find(|told| told.id == hub.id);
                HubView {
                    id: hub.id.0,
                    is_behind: hub.is_behind,
                    viewers: hub.viewers,
                    answered: told.is_some(),
                    pending_fragments: told.map(|told| told.pending),
                    outbox_bytes: told.map(|told| told.outbox_bytes),
                }
            })
            .collect(),
    }))
}

/// Asks the stream, and by it the hubs on their own threads; nobody waits for this.
async fn ask(stream: &Handle, viewers_max: usize) -> (Option<Inside>, Vec<Hub>) {
    let (tell, mut told) = mpsc::channel(HUBS_MAX);
    let (reply, answer) = oneshot::channel();
    let question = Question {
        viewers_max,
        // Full or closed: it is told of as one that did not answer.
        tell: Arc::new(move |hub| drop(tell.try_send(hub))),
    };
    // Closed: nobody waits for it any more.
    let reply = Box::new(move |inside| drop(reply.send(inside)));
    let mut hubs = Vec::new();
    let asked = timeout(ANSWER_TIMEOUT, async {
        stream.try_send(Command::Inspect(question, reply)).ok()?;
        answer.await.ok()
    });
    let inside = asked.await.ok().flatten();
    if inside.is_some() {
        // The channel ends with the last copy of the question.
        let all = async {
            while let Some(hub) = told.recv().await {
                hubs.push(hub)
            }
        };
        // Those that are late are left out.
        let _ = timeout(ANSWER_TIMEOUT, all).await;
    }
    (inside, hubs)
}

fn backlog(held: &Held) -> BacklogView {
    let Held { groups, fragments, bytes, from_us, to_us } = *held;
    BacklogView { groups, fragments, bytes, from_us, to_us }
}

fn viewer_of(hub: SubscriberId, viewer: &Viewer) -> ViewerView {
    let standing = viewer.listed.standing;
    ViewerView {
        session: viewer.listed.session.clone(),
        hub: hub.0,
        protocol: viewer.listed.dialect,
        rung: standing.rung,
        outbox_bytes: standing.waiting_bytes,
        frames_dropped: standing.frames_dropped,
        oldest_ms: viewer.oldest_us.map(|us| us / 1000),
    }
}
