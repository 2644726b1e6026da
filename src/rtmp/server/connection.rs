//! The task of one publisher's connection.

use super::admit::{Rejection, TOO_MANY_TRIES};
use super::lease::Published;
use super::wire::{self, Closed, Wire};
use super::{Mode, Present, Server};
use crate::media::flv::{Items, Parser};
use crate::net::socket::Socket;
use crate::rtmp::chunk;
use crate::rtmp::proxy::Source;
use crate::rtmp::session::{Event, PublishRequest};
use crate::rtmp::status::Code;
use crate::stream::publisher::{Departure, EndReason};
use crate::telemetry::spans;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// From there to `publish`, and from one publish to the next.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);
/// Broken tags that are let pass without a good one between them.
const BROKEN_TAGS_MAX: u32 = 32;

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error(transparent)]
    Closed(#[from] Closed),
    #[error("all was said")]
    Finished,
    #[error("the handshake took too long")]
    NoHandshake,
    #[error("nothing was published for {} s", PUBLISH_TIMEOUT.as_secs())]
    NoPublish,
    #[error("too many connections from this address that publish nothing")]
    Evicted,
    #[error("{}", .0.description)]
    Rejected(Rejection),
    #[error("{0}")]
    ByStream(EndReason),
    #[error("{0}")]
    Media(crate::media::Error),
    #[error("the stream has stopped")]
    NoStream,
}

impl End {
    fn departure(&self) -> Departure {
        match self {
            Self::Finished => Departure::Unpublished,
            Self::ByStream(reason) => Departure::Ended(*reason),
            Self::Media(_) => Departure::Ended(EndReason::Malformed),
            _ => Departure::Lost,
        }
    }

    /// What the encoder is told, unless there is nobody to tell.
    fn code(&self) -> Option<Code> {
        Some(match self {
            Self::Closed(Closed::ByPeer | Closed::Broken(_)) | Self::Finished => return None,
            Self::Closed(Closed::Malformed(_)) | Self::NoHandshake | Self::NoPublish | Self::Evicted => {
                Code::ConnectClosed
            }
            Self::Rejected(rejection) => rejection.code,
            Self::ByStream(EndReason::Revoked) => Code::PublishBadName,
            Self::ByStream(EndReason::Malformed | EndReason::Removed | EndReason::Quota) | Self::Media(_) => {
                Code::PublishDenied
            }
            Self::ByStream(EndReason::Draining) => Code::ConnectClosed,
            Self::ByStream(_) | Self::NoStream => Code::PublishReset,
        })
    }
}

/// Serves a connection to its end; `peer` is who it comes from, which may be a proxy.
pub(super) async fn serve(server: Arc<Server>, stream: std::net::TcpStream, peer: IpAddr, tls: Option<TlsAcceptor>) {
    let mut present = server.enter(peer);
    let id = present.id.0;
    let tuned = TcpStream::from_std(stream).and_then(|stream| wire::tune(&stream).map(|()| stream));
    let mut stream = match tuned {
        Ok(stream) => stream,
        Err(error) => return tracing::debug!(publisher = id, %peer, %error, "a publisher's socket is gone"),
    };
    let handshake = server.parts.limits.get().rtmp_handshake;
    if (server.is_proxy)(peer) {
        match timeout(handshake, wire::receive_source(&mut stream)).await {
            Ok(Ok(Source::Client(client))) => present.address = client.to_canonical(),
            Ok(Ok(Source::Proxy)) => {}
            Ok(Err(error)) => return tracing::warn!(%peer, %error, "a proxy does not say whose a connection is"),
            Err(_) => return tracing::warn!(%peer, "a proxy does not say whose a connection is"),
        }
    }
    let address = present.address;
    let evicted = present.wait();
    let socket = match secure(stream, tls, evicted, handshake).await {
        Ok(socket) => socket,
        Err(end) => {
            if matches!(end, End::NoHandshake) {
                server.parts.metrics.limit_hit("rtmp_handshake");
            }
            return tracing::debug!(publisher = id, %address, %end, "a publisher's connection ends");
        }
    };
    let wire = Wire::new(socket, server.random.wrapping_add(id), chunk::Limits::default());
    let mode = server.mode.subscribe();
    let mut connection = Connection { server, present, wire, mode };
    let end = connection.run().await;
    tracing::debug!(publisher = id, %address, %end, "a publisher's connection ends");
    if let Some(code) = end.code() {
        connection.wire.session.end(code, &end.to_string());
    }
    connection.wire.close().await;
}

async fn secure(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    evicted: oneshot::Receiver<Infallible>,
    within: Duration,
) -> Result<Socket, End> {
    let Some(acceptor) = tls else { return Ok(Socket::Plain(stream)) };
    tokio::select! {
        shaken = timeout(within, acceptor.accept(stream)) => {
            let shaken = shaken.map_err(|_| End::NoHandshake)?;
            Ok(Socket::tls(shaken.map_err(Closed::Broken)?))
        }
        _ = evicted => Err(End::Evicted),
    }
}

struct Connection {
    server: Arc<Server>,
    present: Present,
    wire: Wire,
    mode: watch::Receiver<Mode>,
}

impl Connection {
    async fn run(&mut self) -> End {
        loop {
            let request = match self.next_publish().await {
                Ok(request) => request,
                Err(end) => return end,
            };
            if let Err(end) = self.publish(&request).await {
                return end;
            }
        }
    }

    /// The connection may wait so long, and only so many of one address.
    async fn next_publish(&mut self) -> Result<PublishRequest, End> {
        let evicted = self.present.wait();
        let mut mode = self.mode.clone();
        let request = async {
            let handshake = self.server.parts.limits.get().rtmp_handshake;
            let shaken = timeout(handshake, self.shake_hands()).await;
            shaken.unwrap_or_else(|_| Err(self.over_time("rtmp_handshake", End::NoHandshake)))?;
            let asked = timeout(PUBLISH_TIMEOUT, self.await_publish()).await;
            asked.unwrap_or_else(|_| Err(self.over_time("rtmp_publish", End::NoPublish)))
        };
        tokio::select! {
            request = request => request,
            _ = evicted => Err(End::Evicted),
            _ = mode.wait_for(|mode| *mode == Mode::Ended) => Err(End::ByStream(EndReason::Draining)),
        }
    }

    fn over_time(&self, limit: &'static str, end: End) -> End {
        self.server.parts.metrics.limit_hit(limit);
        end
    }

    async fn shake_hands(&mut self) -> Result<(), End> {
        while !self.wire.session.is_handshake_done() {
            self.wire.flush().await?;
            self.wire.receive().await?;
        }
        Ok(())
    }

    async fn await_publish(&mut self) -> Result<PublishRequest, End> {
        loop {
            while let Some(event) = self.wire.session.poll_event() {
                if let Event::Publish(request) = event {
                    return Ok(request);
                }
            }
            if self.wire.session.is_finished() {
                return Err(End::Finished);
            }
            self.wire.flush().await?;
            self.wire.receive().await?;
        }
    }

    /// From the question to the end of the publish; `Ok` where the encoder ended it and keeps the connection.
    async fn publish(&mut self, request: &PublishRequest) -> Result<(), End> {
        let server = self.server.clone();
        let (address, id) = (self.present.address, self.present.id.0);
        let (mut published, found) = match server.admit(&self.present, &request.key).await {
            Ok(admitted) => admitted,
            Err(rejection) => {
                self.note_rejected(request, rejection);
                return Err(End::Rejected(rejection));
            }
        };
        let stream = &found.stream.id;
        tracing::info!(publisher = id, %address, %stream, encoder = request.encoder, key = %found.key, "publish begins");
        let span = spans::publish(stream.as_str(), id, found.key.as_str(), &request.encoder);
        self.wire.session.accept_publish();
        self.present.wait_no_more();
        let ended = self.relay(&mut published).await;
        let reason = ended.as_ref().map_or_else(ToString::to_string, |()| "unpublished".to_owned());
        span.record("weir.reason", &reason);
        tracing::info!(publisher = id, %address, %stream, reason, "publish ends");
        published.unpublish(ended.as_ref().map_or_else(End::departure, |()| Departure::Unpublished)).await;
        ended
    }

    fn note_rejected(&self, request: &PublishRequest, rejection: Rejection) {
        let (address, id, reason) = (self.present.address, self.present.id.0, rejection.description);
        let metrics = &self.server.parts.metrics;
        metrics.publish_refused(rejection.label);
        if rejection.is_of_key() {
            metrics.auth_failure(rejection.label);
        }
        if rejection == TOO_MANY_TRIES {
            tracing::debug!(publisher = id, %address, reason, "publish refused");
        } else {
            tracing::info!(publisher = id, %address, encoder = request.encoder, reason, "publish refused");
        }
    }

    /// Media from the encoder to the stream, as fast as the stream takes it.
    async fn relay(&mut self, published: &mut Published) -> Result<(), End> {
        let mut media = Media { parser: Parser::new(), broken_tags: 0 };
        self.mode.mark_changed();
        loop {
            while let Some(event) = self.wire.session.poll_event() {
                let items = match event {
                    Event::Video { timestamp_ms, payload } => media.parser.handle_video(timestamp_ms, payload),
                    Event::Audio { timestamp_ms, payload } => media.parser.handle_audio(timestamp_ms, payload),
                    Event::Unpublish => return Ok(()),
                    Event::Metadata(_) | Event::Publish(_) => continue,
                };
                let now_us = self.server.parts.clock.unix_us();
                for item in media.judge(items)? {
                    published.push(item, now_us).await.map_err(|_| End::NoStream)?;
                }
            }
            self.wire.flush().await?;
            if self.wire.session.is_finished() {
                return Err(End::Finished);
            }
            tokio::select! {
                biased;
                Some(reason) = published.ended.recv() => return Err(End::ByStream(reason)),
                Ok(()) = self.mode.changed() => self.obey_mode()?,
                received = self.wire.receive() => {
                    self.server.parts.metrics.ingest_bytes.inc_by(received? as u64);
                }
            }
        }
    }

    fn obey_mode(&mut self) -> Result<(), End> {
        let mode = *self.mode.borrow_and_update();
        match mode {
            Mode::Running => {}
            Mode::Draining => {
                self.wire.session.request_reconnect("the server is shutting down");
            }
            Mode::Ended => return Err(End::ByStream(EndReason::Draining)),
        }
        Ok(())
    }
}

struct Media {
    parser: Parser,
    broken_tags: u32,
}

impl Media {
    /// A broken tag is left out; a codec that nobody can play, or nothing but broken tags, ends the publish.
    fn judge(&mut self, items: Result<Items, crate::media::Error>) -> Result<Items, End> {
        match items {
            Ok(items) => {
                self.broken_tags = 0;
                Ok(items)
            }
            Err(error) if error.is_fatal() || self.broken_tags >= BROKEN_TAGS_MAX => Err(End::Media(error)),
            Err(error) => {
                if self.broken_tags == 0 {
                    tracing::debug!(%error, "a tag is left out");
                }
                self.broken_tags += 1;
                Ok(Items::default())
            }
        }
    }
}
