//! Server-sent events: what happens to a tenant's streams, as it happens.

use super::caller::{Caller, check_enabled, is_still_let_in};
use super::input::Query;
use super::listeners::Place;
use super::streams::find;
use super::{Error, State};
use crate::cluster::Message;
use crate::hooks::Event;
use crate::id::{EventId, StreamId, TenantId};
use crate::store::Happened;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

/// A comment keeps proxies from closing a connection on which nothing happens.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// With it a listener says what it heard last (HTML, Server-sent events).
const LAST_EVENT_ID: &str = "last-event-id";

/// Listeners come back after this, so that a sign-in which ran out does not listen for longer.
const LIFETIME: Duration = Duration::from_secs(300);

/// Events that one who was away is told of; past it, it is told that it missed some.
const MISSED_MAX: u32 = 500;

/// Where the database does not tell whether a listener may stay, it is asked again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

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
    caller: Caller,
    state: web::Data<State>,
    place: Place,
    /// Whether it may stay is to be looked at by then.
    look_at: Option<Instant>,
    ends: Instant,
    /// Before anything else.
    first: VecDeque<String>,
    /// What was told already, from what was kept.
    told: HashSet<EventId>,
}

pub(super) async fn listen(
    state: web::Data<State>,
    caller: Caller,
    query: Query<Listen>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    check_enabled(&state, &caller).await?;
    let stream = match &query.0.stream {
        Some(id) => Some(find(&state, &caller, id).await?.id),
        None => None,
    };
    let mut listener = Listener {
        events: state.feed.listen(),
        tenant: caller.scope(query.0.tenant.as_deref())?,
        stream,
        place: state.listeners.enter(&caller.actor)?,
        // What changed before it had its place was not told to it.
        look_at: Some(Instant::now()),
        ends: Instant::now() + LIFETIME,
        first: VecDeque::from(["retry: 2000\n: listening\n\n".to_owned()]),
        told: HashSet::new(),
        state: state.clone(),
        caller,
    };
    let last = request.headers().get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    if let Some(last) = last.and_then(|id| EventId::parse(id).ok()) {
        let kept = state.store.events_after(listener.tenant.as_ref(), &last, MISSED_MAX).await?;
        listener.catch_up(kept);
    }
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
    /// What happened since the connection before.
    fn catch_up(&mut self, kept: Vec<Happened>) {
        if kept.len() == MISSED_MAX as usize {
            self.first.push_back("event: missed\ndata: {\"events\":null}\n\n".to_owned());
        }
        for event in kept.iter().filter(|event| self.stream.is_none() || event.stream == self.stream) {
            self.first.push_back(shown(event, true));
            self.told.insert(event.id.clone());
        }
    }

    /// None: the connection has lasted long enough, or its right to listen is gone.
    async fn next(&mut self) -> Option<String> {
        if let Some(first) = self.first.pop_front() {
            return Some(first);
        }
        let told_by = Instant::now() + KEEP_ALIVE;
        loop {
            let wait = told_by.min(self.ends).min(self.look_at.unwrap_or(self.ends));
            tokio::select! {
                told = self.events.recv() => match told {
                    Ok(event) if self.is_for(&event) => return Some(shown(&event.happened(), event.is_kept())),
                    Ok(_) => {}
                    Err(RecvError::Lagged(missed)) => {
                        return Some(format!("event: missed\ndata: {{\"events\":{missed}}}\n\n"));
                    }
                    Err(RecvError::Closed) => return None,
                },
                changed = self.place.changes.recv() => {
                    if self.is_concerned(changed) && !self.may_stay().await {
                        return None;
                    }
                }
                () = tokio::time::sleep_until(wait) => {
                    let now = Instant::now();
                    let must_look = self.look_at.is_some_and(|at| at <= now);
                    if now >= self.ends || (must_look && !self.may_stay().await) {
                        return None;
                    }
                    if now >= told_by {
                        return Some(": still here\n\n".to_owned());
                    }
                }
            }
        }
    }

    fn is_concerned(&self, changed: Result<Message, RecvError>) -> bool {
        match changed {
            Ok(Message::AccessChanged { actor }) => actor == self.caller.actor,
            Ok(Message::TenantChanged { tenant } | Message::TenantDeleted { tenant }) => {
                self.caller.tenant.as_ref() == Some(&tenant)
            }
            _ => true,
        }
    }

    async fn may_stay(&mut self) -> bool {
        let looked = is_still_let_in(&self.state, &self.caller).await;
        self.look_at = looked.is_err().then(|| Instant::now() + LOOK_AGAIN);
        looked.unwrap_or(true)
    }

    fn is_for(&self, event: &Event) -> bool {
        let is_new = !self.told.contains(&event.id);
        let is_of_tenant = self.tenant.as_ref().is_none_or(|tenant| event.tenant == *tenant);
        is_new && is_of_tenant && self.stream.as_ref().is_none_or(|stream| event.stream.as_ref() == Some(stream))
    }
}

/// Only of what is kept a listener can say later that it was the last it heard.
fn shown(event: &Happened, is_kept: bool) -> String {
    let id = if is_kept { format!("id: {}\n", event.id) } else { String::new() };
    format!("{id}event: {}\ndata: {}\n\n", event.name, event.payload)
}
