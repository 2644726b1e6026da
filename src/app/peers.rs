//! What nodes ask each other over the internal listener, and answer.

use crate::cluster::Owner;
use crate::cluster::peers::{Error, Peers};
use crate::id::{KeyId, StreamId};
use crate::rtmp::server::{Answer, Claimable, Inquiry, Server};
use actix_web::http::header::AUTHORIZATION;
use actix_web::{HttpRequest, HttpResponse, web};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const PUBLISHER: &str = "/internal/v1/publisher";

/// Asks whether the publisher of a stream may be replaced by one with this key.
#[derive(Debug, Serialize, Deserialize)]
struct Question {
    stream: StreamId,
    key: KeyId,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    /// There is none, or it is silent.
    Replaceable,
    Alive,
}

pub(super) struct Asking {
    pub(super) peers: Arc<Peers>,
}

#[async_trait]
impl Inquiry for Asking {
    async fn ask(&self, owner: &Owner, stream: &StreamId, key: &KeyId) -> Answer {
        let question = Question { stream: stream.clone(), key: key.clone() };
        match self.peers.ask(&owner.node, &owner.url, PUBLISHER, &question).await {
            Ok(Told::Replaceable) | Err(Error::Refused(_)) => Answer::Replaceable,
            Ok(Told::Alive) => Answer::Alive,
            Err(error) => {
                tracing::info!(%stream, node = owner.node, %error, "the owner of a stream does not answer");
                Answer::None
            }
        }
    }
}

/// Mounts what other nodes ask; the app's data must hold [`Peers`] and a [`Server`].
pub(super) fn configure(config: &mut web::ServiceConfig) {
    config.route(PUBLISHER, web::post().to(publisher));
}

async fn publisher(
    request: HttpRequest,
    peers: web::Data<Peers>,
    server: web::Data<Server>,
    question: web::Json<Question>,
) -> HttpResponse {
    let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if peers.admit(shown).is_none() {
        return HttpResponse::Unauthorized().finish();
    }
    HttpResponse::Ok().json(match server.claimable(&question.stream, &question.key) {
        Claimable::Free | Claimable::Over(_) => Told::Replaceable,
        Claimable::Busy => Told::Alive,
    })
}
