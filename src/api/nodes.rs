use super::caller::Caller;
use super::show::{List, time};
use super::{Error, State};
use crate::cluster::{Message, Presence};
use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Node)]
pub(super) struct NodeView {
    id: String,
    version: String,
    /// `starting`, `ready` or `draining`.
    state: String,
    started_at: String,
    viewers: i64,
    /// Streams with a publisher.
    streams: i64,
    publishers: i64,
}

pub(super) async fn list(state: web::Data<State>) -> web::Json<List<NodeView>> {
    let metrics = state.health.metrics();
    let own = NodeView {
        id: state.node.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        state: state.health.phase().as_str().to_owned(),
        started_at: time(state.started_us),
        viewers: metrics.viewers.get(),
        streams: metrics.streams_live.get(),
        publishers: metrics.publishers.get(),
    };
    let mut nodes: Vec<_> = state.nodes.others().into_iter().map(NodeView::from).chain([own]).collect();
    nodes.sort_by(|one, other| one.id.cmp(&other.id));
    web::Json(List::whole(nodes))
}

impl From<Presence> for NodeView {
    fn from(presence: Presence) -> Self {
        let Presence { node, version, state, started_us, viewers, streams, publishers, .. } = presence;
        Self { id: node, version, state, started_at: time(started_us), viewers, streams, publishers }
    }
}

/// The same as the signal to end: nobody new, those there are sent elsewhere, then the process ends.
pub(super) async fn drain(
    state: web::Data<State>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Error> {
    let node = id.into_inner();
    if node != state.node && !state.nodes.has_other(&node) {
        return Err(Error::NotFound("node"));
    }
    state.store.record(caller.entry(&state, None, "node.drain", &node)).await?;
    state.tell(Message::NodeDraining { node }).await;
    Ok(HttpResponse::Accepted().finish())
}
