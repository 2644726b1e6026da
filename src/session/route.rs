//! `/live/{playback_id}`: admission before the upgrade, then the socket leaves the HTTP server.

use crate::auth::token::{Reason, Refused, Request};
use crate::cluster::seats::{Full, Seat, Seats};
use crate::cluster::{self, Ownership};
use crate::config::{Current, Limits};
use crate::id::{PlaybackId, SessionId, StreamId};
use crate::net::client::{Client, Trusted};
use crate::net::io::Connection;
use crate::net::problem::Problem;
use crate::net::socket::Socket;
use crate::session::actor::Session;
use crate::session::admission::{Admission, Admitted, Denied, Door};
use crate::session::protocol;
use crate::session::viewer::{Dialect, Ticket, Viewer};
use crate::session::worker::Worker;
use crate::store::Policy;
use crate::stream::packet::Phase;
use crate::stream::state::Settings;
use crate::tenancy;
use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;
use std::cell::RefCell;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

const V1: &str = "weir.v1";
const RAW: &str = "weir.raw";
const AUTH: &str = "auth.";
/// A plain HTTP viewer of a stream that is not live waits this long, then is told so: its player shows no state.
const COMES_ON_WITHIN: Duration = Duration::from_secs(2);
const COMES_ON_LOOK: Duration = Duration::from_millis(50);
const NOT_LIVE_RETRY_S: u32 = 5;
/// For the cluster to say where a stream is.
const LOCATE_TIMEOUT: Duration = Duration::from_millis(900);
/// Told to viewers for whom there is no room.
const QUOTA_RETRY_S: u32 = 5;

/// What the viewers' routes need besides their worker.
pub struct Viewing {
    pub admission: Arc<Admission>,
    /// What quotas count.
    pub seats: Arc<Seats>,
    pub trusted: Trusted,
    pub limits: Current<Limits>,
    /// Base of links, where it is configured.
    pub public_url: Current<Option<String>>,
    pub ownership: Arc<dyn Ownership>,
    pub is_draining: Box<dyn Fn() -> bool + Send + Sync>,
}

pub fn configure(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/live/{name}")
            .route(web::get().to(live))
            .route(web::head().to(live))
            .route(web::method(Method::OPTIONS).to(preflight)),
    );
}

/// What a viewer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Socket,
    Body,
    Facts,
}

async fn live(request: HttpRequest, payload: web::Payload, name: web::Path<String>) -> HttpResponse {
    let viewing = request.app_data::<web::Data<Viewing>>().cloned();
    let worker = request.app_data::<Rc<Worker>>().cloned();
    let (Some(viewing), Some(worker)) = (viewing, worker) else {
        return HttpResponse::InternalServerError().finish();
    };
    let client = Client::of(&request, &viewing.trusted);
    let own = viewing.own_origin(&client);
    let (id, wanted) = match name.strip_suffix(".mp4") {
        Some(id) => (id, Wanted::Body),
        None if request.headers().contains_key(header::UPGRADE) => (name.as_str(), Wanted::Socket),
        None => (name.as_str(), Wanted::Facts),
    };
    let origin = origin(&request).or_else(|| is_same_origin(&request).then(|| own.clone()));
    let mut cors = None;
    let answer = async {
        let id = PlaybackId::parse(id).map_err(|_| Denied::NoSuchStream)?;
        let door = viewing.admission.door(&id).await?;
        door.check_origin(origin.as_deref(), &own)?;
        cors = origin.clone();
        if door.play.tenant.disabled_us.is_some() {
            return Err(Denied::Disabled);
        }
        let shown = token(&request);
        let now_s = worker.unix_us() / 1_000_000;
        let asked =
            Request { playback_id: id.as_str(), now_s, address: Some(client.address), origin: origin.as_deref() };
        let admitted = door.admit(shown.as_deref(), &asked)?;
        Ok((door, admitted))
    };
    let mut response = match answer.await {
        Ok((door, admitted)) => {
            let visit = Visit { request: &request, client: &client, viewing, worker, door, admitted, origin };
            if wanted == Wanted::Body && !visit.comes_on().await {
                not_live()
            } else {
                visit.answer(wanted, payload).await
            }
        }
        Err(denied) => {
            worker.metrics.auth_failure(denied.label());
            // What is no id may be a key that was pasted into the wrong place.
            let stream = PlaybackId::parse(id).map_or_else(|_| "malformed".to_owned(), |id| id.to_string());
            tracing::info!(stream, address = %client.address, reason = denied.label(), "viewer refused");
            problem(denied).to_response()
        }
    };
    if let Some(origin) = cors.and_then(|o| HeaderValue::from_str(&o).ok()) {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let shown = HeaderValue::from_static("retry-after");
        response.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, shown);
    }
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("origin"));
    response
}

/// Lets a page elsewhere ask with an `Authorization` header; the request itself is checked when it comes.
async fn preflight(request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    let viewing = request.app_data::<web::Data<Viewing>>().cloned();
    let (Some(viewing), Some(origin)) = (viewing, origin(&request)) else {
        return HttpResponse::BadRequest().finish();
    };
    let own = viewing.own_origin(&Client::of(&request, &viewing.trusted));
    let allowed = async {
        let id = PlaybackId::parse(name.strip_suffix(".mp4").unwrap_or(&name)).map_err(|_| Denied::NoSuchStream)?;
        viewing.admission.door(&id).await?.check_origin(Some(&origin), &own)
    };
    match allowed.await {
        Ok(()) => HttpResponse::NoContent()
            .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin))
            .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD"))
            .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization"))
            .insert_header((header::ACCESS_CONTROL_MAX_AGE, "600"))
            .insert_header((header::VARY, "origin"))
            .finish(),
        Err(denied) => problem(denied).to_response(),
    }
}

impl Viewing {
    /// Weir's own origin, as this client reaches it.
    pub fn own_origin(&self, client: &Client) -> String {
        self.public_url.get().unwrap_or_else(|| client.origin())
    }
}

/// One admitted request.
struct Visit<'a> {
    request: &'a HttpRequest,
    client: &'a Client,
    viewing: web::Data<Viewing>,
    worker: Rc<Worker>,
    door: Arc<Door>,
    admitted: Option<Admitted>,
    origin: Option<String>,
}

impl Visit<'_> {
    async fn answer(self, wanted: Wanted, payload: web::Payload) -> HttpResponse {
        if (self.viewing.is_draining)() {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "draining", "this node is going away");
            return problem.with_retry_after(1).to_response();
        }
        if wanted == Wanted::Body && self.worker.bytes_over() > 0 {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "this node is overloaded");
            return problem.with_retry_after(QUOTA_RETRY_S).to_response();
        }
        let is_elsewhere = match self.is_elsewhere().await {
            Ok(is_elsewhere) => is_elsewhere,
            Err(error) => {
                let part = if matches!(error, cluster::Error::Store(_)) { "database" } else { "cluster" };
                let problem =
                    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", format!("the {part} does not answer"));
                return problem.with_retry_after(1).to_response();
            }
        };
        match wanted {
            Wanted::Facts => match self.seat() {
                Ok(_free) => self.facts(is_elsewhere),
                Err(full) => crowded(full),
            },
            Wanted::Body => self.body(payload),
            Wanted::Socket => self.socket(payload),
        }
    }

    /// Whether there is something to send, or will be in a moment: of an encoder that starts, or from another node.
    async fn comes_on(&self) -> bool {
        let stream = &self.door.play.stream;
        let settings = tenancy::settings(&stream.settings, &self.viewing.limits.get());
        let until = self.worker.now() + COMES_ON_WITHIN;
        while !(self.viewing.is_draining)() {
            match self.worker.phase(&stream.id, settings) {
                Phase::Live | Phase::Stalled | Phase::Interrupted => return true,
                Phase::Waiting | Phase::Ended if self.worker.now() >= until => return false,
                Phase::Waiting | Phase::Ended => actix_rt::time::sleep(COMES_ON_LOOK).await,
            }
        }
        true
    }

    /// Whether a stream that does not run here is published on another node; nobody can tell while the cluster is away.
    async fn is_elsewhere(&self) -> Result<bool, cluster::Error> {
        let id = &self.door.play.stream.id;
        if self.worker.registry.get(id).is_some() {
            return Ok(false);
        }
        let located = tokio::time::timeout(LOCATE_TIMEOUT, self.viewing.ownership.locate(id)).await;
        let located = located.unwrap_or_else(|_| Err(cluster::Error::Unavailable("no answer in time".to_owned())));
        located.map(|owner| owner.is_some())
    }

    fn facts(self, is_elsewhere: bool) -> HttpResponse {
        #[derive(Serialize)]
        struct Facts<'a> {
            name: &'a str,
            state: &'static str,
            policy: &'static str,
            codecs: Vec<String>,
            ws_url: &'a str,
        }
        let stream = &self.door.play.stream;
        let live = self.worker.registry.get(&stream.id).map(|handle| handle.live());
        let unknown = if is_elsewhere { Phase::Live } else { Phase::Waiting };
        let origin = self.viewing.own_origin(self.client);
        let ws_url = format!("{}/live/{}", origin.replacen("http", "ws", 1), stream.playback_id);
        HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(Facts {
            name: &stream.name,
            state: live.as_ref().map_or(unknown, |l| l.phase).as_str(),
            policy: stream.settings.policy.name(),
            codecs: live.map(|l| l.tracks.into_iter().map(|t| t.codec).collect()).unwrap_or_default(),
            ws_url: &ws_url,
        })
    }

    fn socket(self, payload: web::Payload) -> HttpResponse {
        if !has_key(self.request) {
            let detail = "not a WebSocket handshake: Sec-WebSocket-Key is not 16 bytes in base64";
            return Problem::new(StatusCode::BAD_REQUEST, "bad_handshake", detail).to_response();
        }
        let mut response = match ws::handshake_with_protocols(self.request, &[V1, RAW]) {
            Ok(response) => response,
            Err(error) => {
                let detail = format!("not a WebSocket handshake: {error}");
                return Problem::new(StatusCode::BAD_REQUEST, "bad_handshake", detail).to_response();
            }
        };
        let response = response.finish();
        let chosen = response.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
        let dialect = if chosen.is_some_and(|p| p == V1) { Dialect::V1 } else { Dialect::Raw };
        self.hand_over(dialect, payload, response)
    }

    /// The socket is taken out after the head; the fragments follow until it closes.
    fn body(self, payload: web::Payload) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        response.content_type("video/mp4").insert_header((header::CACHE_CONTROL, "no-store")).force_close();
        if self.request.method() == Method::HEAD {
            return response.finish();
        }
        let mut response = response.body(Endless);
        response.head_mut().no_chunking(true);
        self.hand_over(Dialect::Http, payload, response)
    }

    fn hand_over(self, dialect: Dialect, payload: web::Payload, response: HttpResponse) -> HttpResponse {
        let Some(connection) = self.request.conn_data::<Connection>().cloned() else {
            return HttpResponse::InternalServerError().finish();
        };
        let stream = self.door.play.stream.id.clone();
        let settings = tenancy::settings(&self.door.play.stream.settings, &self.viewing.limits.get());
        let seat = match self.seat() {
            Ok(seat) => seat,
            Err(full) => {
                self.worker.metrics.auth_failure(full.code());
                return crowded(full);
            }
        };
        let ticket = self.ticket(dialect, seat);
        tracing::info!(session = %ticket.session, stream = %stream, address = %ticket.address, ?dialect, "viewer");
        let renewal = (dialect == Dialect::V1).then(|| Renewal {
            admission: self.viewing.admission.clone(),
            worker: self.worker.clone(),
            playback_id: self.door.play.stream.playback_id.clone(),
            address: self.client.address,
            origin: self.origin.clone(),
            subject: self.admitted.as_ref().and_then(|a| a.claims.subject.clone()),
        });
        let worker = self.worker;
        let start = move |socket: Socket| begin(socket, ticket, stream, settings, worker, renewal, payload);
        match connection.take(start) {
            Ok(()) => response,
            Err(_) => HttpResponse::InternalServerError().finish(),
        }
    }

    fn seat(&self) -> Result<Seat, Full> {
        let claims = self.admitted.as_ref().map(|a| &a.claims);
        let limited = claims.and_then(|c| Some((c.subject.as_deref().unwrap_or_default(), c.max_sessions?)));
        self.viewing.seats.viewer(&self.door.play.tenant, &self.door.play.stream.id, limited)
    }

    fn ticket(&self, dialect: Dialect, seat: Seat) -> Ticket {
        let mut random = [0; 16];
        getrandom::fill(&mut random).expect("the system gives random bytes");
        let stream = &self.door.play.stream;
        let claims = self.admitted.as_ref().map(|a| &a.claims);
        // Nobody needs a key for a public stream.
        let signed = self.admitted.as_ref().filter(|_| stream.settings.policy == Policy::Signed);
        Ticket {
            session: SessionId::from_random(random),
            stream: stream.playback_id.to_string(),
            subject: claims.and_then(|c| c.subject.clone()).unwrap_or_default(),
            address: self.client.address.to_string(),
            dialect,
            target_ms: protocol::target_ms(stream.settings.latency_target_ms),
            expires_us: claims.map(|c| c.expires_s.saturating_mul(1_000_000)),
            signer: signed.map(|a| a.signer.clone()),
            since_us: self.worker.unix_us(),
            seat: Some(Arc::new(seat)),
        }
    }
}

/// The same for who comes and who asks.
fn crowded(full: Full) -> HttpResponse {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, full.code(), full.to_string())
        .with_retry_after(QUOTA_RETRY_S)
        .to_response()
}

fn begin(
    socket: Socket,
    ticket: Ticket,
    stream: StreamId,
    settings: Settings,
    worker: Rc<Worker>,
    renewal: Option<Renewal>,
    early: web::Payload,
) {
    let viewer = Rc::new(RefCell::new(Viewer::new(ticket, socket, worker.clone())));
    let fan = worker.join(&stream, settings, viewer.clone());
    Session::start_for(viewer, fan, worker, renewal, early, stream);
}

/// What a viewer's new token is checked against.
pub struct Renewal {
    admission: Arc<Admission>,
    worker: Rc<Worker>,
    playback_id: PlaybackId,
    address: IpAddr,
    origin: Option<String>,
    subject: Option<String>,
}

impl Renewal {
    /// What the new token says; it must be for the same stream and subject.
    pub async fn renew(&self, token: &str) -> Result<Admitted, Denied> {
        let door = self.admission.door(&self.playback_id).await?;
        let request = Request {
            playback_id: self.playback_id.as_str(),
            now_s: self.worker.unix_us() / 1_000_000,
            address: Some(self.address),
            origin: self.origin.as_deref(),
        };
        let admitted = door.verify(token, &request)?;
        if admitted.claims.subject != self.subject {
            return Err(Refused(Reason::Claims).into());
        }
        Ok(admitted)
    }
}

/// A body that never comes: its bytes are written to the socket by the session.
struct Endless;

impl MessageBody for Endless {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Pending
    }
}

/// From the sub-protocols, the header or the query, in this order.
fn token(request: &HttpRequest) -> Option<String> {
    let headers = request.headers();
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).filter_map(|v| v.to_str().ok());
    let by_protocol = offered.flat_map(|v| v.split(',')).find_map(|p| p.trim().strip_prefix(AUTH).map(str::to_owned));
    let by_header = || {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    };
    let by_query = || {
        let query = web::Query::<Vec<(String, String)>>::from_query(request.query_string()).ok()?;
        query.into_inner().into_iter().find(|(key, _)| key == "token").map(|(_, value)| value)
    };
    by_protocol.or_else(by_header).or_else(by_query)
}

fn not_live() -> HttpResponse {
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_live", "nobody publishes this stream now");
    problem.with_retry_after(NOT_LIVE_RETRY_S).to_response()
}

/// 16 bytes in base64 (RFC 6455 4.1); the library answers whatever comes.
fn has_key(request: &HttpRequest) -> bool {
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).and_then(|key| STANDARD.decode(key.as_bytes()).ok());
    key.is_some_and(|key| key.len() == 16)
}

fn origin(request: &HttpRequest) -> Option<String> {
    request.headers().get(header::ORIGIN)?.to_str().ok().map(str::to_owned)
}

/// A page's `fetch` of its own server names no origin; browsers let no page write this header.
fn is_same_origin(request: &HttpRequest) -> bool {
    request.headers().get("sec-fetch-site").is_some_and(|site| site == "same-origin")
}

fn problem(denied: Denied) -> Problem {
    match denied {
        Denied::NoSuchStream => Problem::new(StatusCode::NOT_FOUND, "not_found", "no such stream"),
        Denied::Unavailable => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "try again").with_retry_after(1)
        }
        Denied::Token(Refused(Reason::Stream | Reason::Address | Reason::Origin)) => {
            Problem::new(StatusCode::FORBIDDEN, "token_not_for_this", "the token does not allow this stream from here")
        }
        Denied::NoToken | Denied::Token(_) => {
            Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "a valid token for this stream is needed")
        }
        Denied::Origin => {
            Problem::new(StatusCode::FORBIDDEN, "origin_not_allowed", "this site may not show the stream")
        }
        Denied::Disabled => Problem::new(StatusCode::FORBIDDEN, "disabled", "the stream is disabled"),
    }
}
