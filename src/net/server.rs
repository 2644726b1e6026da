//! HTTP on sockets of our own: accept, tune, TLS, then actix-http over [`Io`].

use crate::net::door::Door;
use crate::net::io::Io;
use crate::net::socket::{self, Socket};
use actix_http::body::MessageBody;
use actix_http::{HttpService, KeepAlive, Protocol, Request, Response};
use actix_server::Server;
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::AppConfig;
use std::fmt;
use std::future::poll_fn;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

const KEEP_ALIVE: Duration = Duration::from_secs(30);
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(2);
pub const BACKLOG: u32 = 4096;

#[derive(Clone)]
pub struct Options {
    pub name: &'static str,
    pub workers: usize,
    pub tls: Option<TlsAcceptor>,
    /// Per worker, viewers not counted: their sockets have left the HTTP server.
    pub connections_max: usize,
    pub door: Arc<Door>,
}

/// Why a connection ended before the first request.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the socket is gone: {0}")]
    Socket(std::io::Error),
    #[error("no TLS: {0}")]
    Tls(std::io::Error),
    #[error("the TLS handshake took too long")]
    TlsTimeout,
    #[error("too many connections from this address that ask for nothing")]
    Evicted,
}

/// Runs `app`, made once per worker thread, until the server is stopped.
pub fn serve<F, I, S, B>(listener: TcpListener, options: Options, app: F) -> std::io::Result<Server>
where
    F: Fn() -> I + Clone + Send + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as actix_service::Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let Options { name, workers, tls, connections_max, door } = options;
    let factory = move || {
        let (tls, door) = (tls.clone(), door.clone());
        let app = app().into_factory().map_err(|error: S::Error| error.into().error_response());
        let http = HttpService::build()
            .keep_alive(KeepAlive::Timeout(KEEP_ALIVE))
            // Our own is told by `Io`, for it may change.
            .client_request_timeout(Duration::ZERO)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .on_connect_ext(|io: &Io, extensions| {
                extensions.insert(io.connection());
            })
            .finish(map_config(app, |()| AppConfig::default()))
            .map_err(|error| tracing::debug!(%error, "an HTTP connection ended"));
        fn_service(move |stream: TcpStream| accept(stream, tls.clone(), door.clone()))
            .map_err(|refused: Refused| tracing::debug!(%refused, "a connection was refused"))
            .and_then(http)
    };
    let server = Server::build()
        .workers(workers)
        .backlog(BACKLOG)
        .max_concurrent_connections(connections_max)
        .disable_signals()
        .listen(name, listener, factory)?;
    Ok(server.run())
}

type Accepted = (Io, Protocol, Option<SocketAddr>);

async fn accept(stream: TcpStream, tls: Option<TlsAcceptor>, door: Arc<Door>) -> Result<Accepted, Refused> {
    let peer = stream.peer_addr().map_err(Refused::Socket)?;
    socket::tune(&stream).map_err(Refused::Socket)?;
    let mut place = door.enter(peer.ip());
    let socket = match tls {
        None => Socket::Plain(stream),
        Some(acceptor) => {
            let handshake = tokio::time::timeout(door.header_time(), acceptor.accept(stream));
            let evicted = poll_fn(|cx| place.as_mut().map_or(Poll::Pending, |place| place.poll_evicted(cx)));
            let shaken = tokio::select! {
                shaken = handshake => shaken,
                () = evicted => return Err(Refused::Evicted),
            };
            let shaken = shaken.map_err(|_| {
                door.metrics.limit_hit("http_headers");
                Refused::TlsTimeout
            });
            Socket::tls(shaken?.map_err(Refused::Tls)?)
        }
    };
    Ok((Io::new(socket, peer, door, place), Protocol::Http1, Some(peer)))
}
