use super::caller::Caller;
use super::health::Phase;
use super::show::{List, time};
use super::{Error, State};
use crate::cluster::Message;
use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Node)]
pub(super) struct NodeView {
    id: String,
    version: &'static str,
    /// `starting`, `ready` or `draining`.
    state: &'static str,
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
        version: env!("CARGO_PKG_VERSION"),
        state: match state.health.phase() {
            Phase::Starting => "starting",
            Phase::Ready => "ready",
            Phase::Draining => "draining",
        },
        started_at: time(state.started_us),
        viewers: metrics.viewers.get(),
        streams: metrics.streams_live.get(),
        publishers: metrics.publishers.get(),
    };
    web::Json(List::whole(vec![own]))
}

/// The same as the signal to end: nobody new, those there are sent elsewhere, then the process ends.
pub(super) async fn drain(
    state: web::Data<State>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Error> {
    let node = id.into_inner();
    if node != state.node {
        return Err(Error::NotFound("node"));
    }
    state.store.record(caller.entry(&state, None, "node.drain", &node)).await?;
    state.tell(Message::NodeDraining { node }).await;
    Ok(HttpResponse::Accepted().finish())
}
