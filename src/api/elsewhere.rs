//! What other nodes know of streams and sessions: asked over their internal listeners, and answered on this one's.

use super::live::LiveView;
use super::sessions::{Seen, seen_here};
use super::{State, sessions};
use crate::cluster::Message;
use crate::id::{SessionId, StreamId};
use actix_web::http::header::AUTHORIZATION;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::join_all;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

const STREAMS: &str = "/internal/v1/streams";
const SESSIONS: &str = "/internal/v1/sessions";
const SESSION: &str = "/internal/v1/session";
const KICK: &str = "/internal/v1/kick";

#[derive(Debug, Serialize, Deserialize)]
struct Streams {
    streams: Vec<StreamId>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Of {
    stream: StreamId,
}

#[derive(Debug, Serialize, Deserialize)]
struct Named {
    session: SessionId,
}

#[derive(Debug, Serialize, Deserialize)]
struct Found {
    stream: Option<StreamId>,
}

/// Mounts what other nodes ask; the app's data must hold a [`State`].
pub fn internal(config: &mut web::ServiceConfig) {
    config
        .route(STREAMS, web::post().to(tell_streams))
        .route(SESSIONS, web::post().to(tell_sessions))
        .route(SESSION, web::post().to(tell_session))
        .route(KICK, web::post().to(obey_kick));
}

/// How streams run, over all nodes: as their owners say, with the viewers of all.
pub(super) async fn live(state: &State, streams: &[StreamId]) -> HashMap<StreamId, LiveView> {
    let question = Streams { streams: streams.to_vec() };
    let told: Vec<(String, HashMap<StreamId, LiveView>)> = ask_all(state, STREAMS, &question).await;
    let mut all = live_here(state, streams);
    for (node, views) in told {
        for (stream, view) in views {
            let is_owner = state.nodes.publisher_of(&stream).as_ref() == Some(&node);
            let known = all.remove(&stream).unwrap_or_else(LiveView::waiting);
            all.insert(stream, known.join(view, is_owner));
        }
    }
    all
}

fn live_here(state: &State, streams: &[StreamId]) -> HashMap<StreamId, LiveView> {
    let live = |stream: &StreamId| {
        let live = state.registry.get(stream)?.live();
        Some((stream.clone(), LiveView::of(&live, &state.node)))
    };
    streams.iter().filter_map(live).collect()
}

/// A stream's viewers, on all nodes.
pub(super) async fn viewers(state: &State, stream: &StreamId) -> Vec<Seen> {
    let told: Vec<(String, Vec<Seen>)> = ask_all(state, SESSIONS, &Of { stream: stream.clone() }).await;
    let mut all = seen_here(state, stream).await;
    all.extend(told.into_iter().flat_map(|(_, seen)| seen));
    all
}

/// The stream that a session watches, and the node that serves it.
pub(super) async fn place_of(state: &State, session: &SessionId) -> Option<(StreamId, String)> {
    if let Some(stream) = sessions::stream_here(state, session).await {
        return Some((stream, state.node.clone()));
    }
    let told: Vec<(String, Found)> = ask_all(state, SESSION, &Named { session: session.clone() }).await;
    told.into_iter().find_map(|(node, found)| Some((found.stream?, node)))
}

/// Asks the node that serves it, which may hear of nothing else just now; where that fails, all of them.
pub(super) async fn kick(state: &State, node: &str, session: SessionId) {
    let other = state.nodes.others().into_iter().find(|other| other.node == node);
    if let Some(other) = other {
        let question = Named { session: session.clone() };
        match state.peers.ask::<()>(&other.node, &other.url, KICK, &question).await {
            Ok(()) => return,
            Err(error) => tracing::info!(node, %error, "a node can't be asked to disconnect a viewer"),
        }
    }
    state.tell(Message::SessionKicked { session }).await;
}

/// The answers of the other nodes, without those who don't answer.
async fn ask_all<T: DeserializeOwned>(
    state: &State,
    path: &str,
    question: &(impl Serialize + Sync),
) -> Vec<(String, T)> {
    let others = state.nodes.others();
    let asked = others.iter().map(async |other| match state.peers.ask(&other.node, &other.url, path, question).await {
        Ok(answer) => Some((other.node.clone(), answer)),
        Err(error) => {
            tracing::debug!(node = other.node, path, %error, "another node does not answer");
            None
        }
    });
    join_all(asked).await.into_iter().flatten().collect()
}

fn is_node(request: &HttpRequest, state: &State) -> bool {
    let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    state.peers.admit(shown).is_some()
}

async fn tell_streams(request: HttpRequest, state: web::Data<State>, asked: web::Json<Streams>) -> HttpResponse {
    if !is_node(&request, &state) {
        return HttpResponse::Unauthorized().finish();
    }
    HttpResponse::Ok().json(live_here(&state, &asked.streams))
}

async fn tell_sessions(request: HttpRequest, state: web::Data<State>, asked: web::Json<Of>) -> HttpResponse {
    if !is_node(&request, &state) {
        return HttpResponse::Unauthorized().finish();
    }
    HttpResponse::Ok().json(seen_here(&state, &asked.stream).await)
}

async fn tell_session(request: HttpRequest, state: web::Data<State>, asked: web::Json<Named>) -> HttpResponse {
    if !is_node(&request, &state) {
        return HttpResponse::Unauthorized().finish();
    }
    HttpResponse::Ok().json(Found { stream: sessions::stream_here(&state, &asked.session).await })
}

async fn obey_kick(request: HttpRequest, state: web::Data<State>, asked: web::Json<Named>) -> HttpResponse {
    if !is_node(&request, &state) {
        return HttpResponse::Unauthorized().finish();
    }
    // Those who listen here hear it at once; whoever asks does not wait for Redis.
    actix_web::rt::spawn(async move { state.tell(Message::SessionKicked { session: asked.0.session }).await });
    HttpResponse::Ok().json(())
}
