//! Server-sent events: what happens to a tenant's streams, as it happens.

use super::caller::Caller;
use super::input::Query;
use super::show::time;
use super::streams::find;
use super::{Error, State};
use crate::hooks::Event;
use crate::id::{StreamId, TenantId};
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// A comment keeps proxies from closing a connection on which nothing happens.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Listeners come back after this, so that a key which was deleted does not listen for longer.
const LIFETIME: Duration = Duration::from_secs(300);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listen {
    tenant: Option<String>,
    stream: Option<String>,
}

struct Listener {
    events: Receiver<Arc<Event>>,
    tenant: Option<TenantId>,
    stream: Option<StreamId>,
    ends: tokio::time::Instant,
    is_greeted: bool,
}

pub(super) async fn listen(
    state: web::Data<State>,
    caller: Caller,
    query: Query<Listen>,
) -> Result<HttpResponse, Error> {
    let stream = match &query.0.stream {
        Some(id) => Some(find(&state, &caller, id).await?.id),
        None => None,
    };
    let listener = Listener {
        events: state.feed.listen(),
        tenant: caller.scope(query.0.tenant.as_deref())?,
        stream,
        ends: tokio::time::Instant::now() + LIFETIME,
        is_greeted: false,
    };
    let body = stream::unfold(listener, |mut listener| async move {
        let text = listener.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), listener))
    });
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, "text/event-stream")).insert_header((CACHE_CONTROL, "no-store"));
    // Proxies that buffer would hold events back.
    response.insert_header(("X-Accel-Buffering", "no"));
    Ok(response.streaming(Box::pin(body)))
}

impl Listener {
    /// None: the connection has lasted long enough.
    async fn next(&mut self) -> Option<String> {
        if !std::mem::replace(&mut self.is_greeted, true) {
            return Some("retry: 2000\n: listening\n\n".to_owned());
        }
        loop {
            let wait = self.ends.min(tokio::time::Instant::now() + KEEP_ALIVE);
            match tokio::time::timeout_at(wait, self.events.recv()).await {
                Ok(Ok(event)) if self.is_for(&event) => return Some(shown(&event)),
                Ok(Ok(_)) => {}
                Ok(Err(RecvError::Lagged(missed))) => {
                    return Some(format!("event: missed\ndata: {{\"events\":{missed}}}\n\n"));
                }
                Ok(Err(RecvError::Closed)) => return None,
                Err(_) if tokio::time::Instant::now() >= self.ends => return None,
                Err(_) => return Some(": still here\n\n".to_owned()),
            }
        }
    }

    fn is_for(&self, event: &Event) -> bool {
        let is_of_tenant = self.tenant.as_ref().is_none_or(|tenant| event.tenant == *tenant);
        is_of_tenant && self.stream.as_ref().is_none_or(|stream| event.stream.as_ref() == Some(stream))
    }
}

fn shown(event: &Event) -> String {
    let payload = event.payload(&time(event.at_us));
    format!("id: {}\nevent: {}\ndata: {payload}\n\n", event.id, event.name)
}
