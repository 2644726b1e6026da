//! The owner's side: `/internal/v1/relay/{stream_id}`, one connection for each node that follows a stream.

use crate::clock::Clock;
use crate::id::StreamId;
use crate::net::io::Connection;
use crate::net::problem::Problem;
use crate::net::socket::Socket;
use crate::relay::protocol::{self, ASKED_BYTES_MAX, FollowerMessage, OwnerMessage, SUBPROTOCOL};
use crate::stream::handle::Command;
use crate::stream::packet::Packet;
use crate::stream::registry::Registry;
use crate::stream::subscriber::{Refused, Subscriber, SubscriberId};
use crate::stream::ws_frame;
use crate::telemetry::Metrics;
use actix_codec::Decoder as _;
use actix_http::ws::{Codec, Frame, hash_key, verify_handshake};
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Packets that may wait for a follower; past it, it starts again at a keyframe.
const PACKETS_MAX: usize = 512;
const PACKETS_AT_ONCE: usize = 32;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// A follower that takes nothing, or asks nothing, for this long is gone: it asks each second.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
const QUIET_MAX: Duration = Duration::from_secs(10);

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Whether the `Authorization` that was shown holds a node's credential for this one.
pub type IsNode = Box<dyn Fn(Option<&str>) -> bool + Send + Sync>;

pub struct Serving {
    pub registry: Arc<Registry>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    pub is_node: IsNode,
    /// Whether this node owns the stream beyond doubt: one that can't renew its lease takes no new followers.
    pub may_serve: Box<dyn Fn(&StreamId) -> bool + Send + Sync>,
}

pub fn configure(config: &mut web::ServiceConfig) {
    config.route("/internal/v1/relay/{stream}", web::get().to(relay));
}

async fn relay(
    request: HttpRequest,
    early: web::Payload,
    stream: web::Path<String>,
    serving: web::Data<Serving>,
) -> HttpResponse {
    let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if !(serving.is_node)(shown) {
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "only nodes of this cluster may follow");
        return problem.to_response();
    }
    let key = request.headers().get(SEC_WEBSOCKET_KEY);
    let (Ok(()), Some(key)) = (verify_handshake(request.head()), key) else {
        return Problem::new(StatusCode::BAD_REQUEST, "bad_handshake", "not a WebSocket handshake").to_response();
    };
    let accept = hash_key(key.as_bytes());
    let packets = match StreamId::parse(&stream) {
        Ok(id) if (serving.may_serve)(&id) => subscribe(&serving, &id).await,
        Ok(_) | Err(_) => None,
    };
    let (Some(packets), Some(connection)) = (packets, request.conn_data::<Connection>()) else {
        return Problem::new(StatusCode::NOT_FOUND, "not_mine", "nobody publishes this stream here").to_response();
    };
    let start = move |socket| {
        // What came before the answer is not asked for by this protocol.
        drop(early);
        actix_rt::spawn(serve(socket, packets, serving));
    };
    match connection.take(start) {
        Ok(()) => HttpResponse::SwitchingProtocols()
            .upgrade("websocket")
            .insert_header((SEC_WEBSOCKET_ACCEPT, &accept[..]))
            .insert_header((SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL))
            .finish(),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

/// None: the publisher is not here.
async fn subscribe(serving: &Serving, id: &StreamId) -> Option<mpsc::Receiver<Packet>> {
    let handle = serving.registry.get(id)?;
    let (sender, packets) = mpsc::channel(PACKETS_MAX);
    let relay = Relay { id: SubscriberId(NEXT_ID.fetch_add(1, Ordering::Relaxed)), sender };
    let (reply, answer) = oneshot::channel();
    let reply = Box::new(move |is_here| {
        // Nobody waits for it any more: the follower has gone.
        let _ = reply.send(is_here);
    });
    let asked = async {
        handle.send(Command::Relay(Box::new(relay), reply)).await.ok()?;
        answer.await.ok()
    };
    timeout(ANSWER_TIMEOUT, asked).await.ok()??.then_some(packets)
}

struct Relay {
    id: SubscriberId,
    sender: mpsc::Sender<Packet>,
}

impl Subscriber for Relay {
    fn id(&self) -> SubscriberId {
        self.id
    }

    fn try_deliver(&self, packet: Packet) -> Result<(), Refused> {
        self.sender.try_send(packet).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refused::Full,
            mpsc::error::TrySendError::Closed(_) => Refused::Gone,
        })
    }
}

/// Why a relay ends.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the publisher has gone")]
    NoPublisher,
    #[error("the follower has gone")]
    Gone,
    #[error("the follower takes nothing or asks nothing")]
    Stuck,
    #[error("not the WebSocket protocol: {0}")]
    Malformed(actix_http::ws::ProtocolError),
    #[error("the connection broke: {0}")]
    Broken(#[from] std::io::Error),
}

async fn serve(socket: Socket, packets: mpsc::Receiver<Packet>, serving: web::Data<Serving>) {
    serving.metrics.relays.inc();
    let (reader, writer) = tokio::io::split(socket);
    let mut link = Link { reader, writer, codec: Codec::new().max_size(ASKED_BYTES_MAX), inbound: BytesMut::new() };
    let end = link.run(packets, &serving).await;
    tracing::debug!(%end, "a relay to another node ends");
    let bye = ws_frame::close(1000, &end.to_string());
    // It is as well without.
    let _ = timeout(WRITE_TIMEOUT, link.writer.write_all(&bye)).await;
    serving.metrics.relays.dec();
}

struct Link {
    reader: ReadHalf<Socket>,
    writer: WriteHalf<Socket>,
    codec: Codec,
    inbound: BytesMut,
}

impl Link {
    async fn run(&mut self, mut packets: mpsc::Receiver<Packet>, serving: &Serving) -> End {
        let mut batch = Vec::new();
        let mut frames = Vec::new();
        loop {
            let done = tokio::select! {
                count = packets.recv_many(&mut batch, PACKETS_AT_ONCE) => {
                    if count == 0 {
                        return End::NoPublisher;
                    }
                    let now_us = serving.clock.unix_us();
                    batch.drain(..).for_each(|packet| protocol::encode(&packet, now_us, &mut frames));
                    self.write(&mut frames).await
                }
                read = timeout(QUIET_MAX, self.reader.read_buf(&mut self.inbound)) => match read {
                    Err(_) => Err(End::Stuck),
                    Ok(Ok(0)) => Err(End::Gone),
                    Ok(Ok(_)) => self.answer(serving.clock.unix_us()).await,
                    Ok(Err(error)) => Err(End::Broken(error)),
                },
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    async fn write(&mut self, frames: &mut Vec<Bytes>) -> Result<(), End> {
        for frame in frames.drain(..) {
            timeout(WRITE_TIMEOUT, self.writer.write_all(&frame)).await.map_err(|_| End::Stuck)??;
        }
        Ok(())
    }

    async fn answer(&mut self, now_us: i64) -> Result<(), End> {
        let mut frames = Vec::new();
        while let Some(frame) = self.codec.decode(&mut self.inbound).map_err(End::Malformed)? {
            match frame {
                Frame::Text(text) => {
                    if let FollowerMessage::Time { t0_us } = FollowerMessage::parse(&text) {
                        frames.push(OwnerMessage::Time { t0_us, server_time_us: now_us }.framed());
                    }
                }
                Frame::Ping(payload) => frames.push(ws_frame::pong(&payload)),
                Frame::Close(_) => return Err(End::Gone),
                Frame::Binary(_) | Frame::Continuation(_) | Frame::Pong(_) => {}
            }
        }
        if self.inbound.len() > 2 * ASKED_BYTES_MAX {
            return Err(End::Stuck);
        }
        self.write(&mut frames).await
    }
}
