//! The composition root: chooses the parts, binds the ports, runs until told to stop.

mod cluster;
mod drain;
mod enforcer;
mod first_start;
mod lost;
mod meter;
mod peers;
mod relays;
mod reload;
pub mod root;
mod surplus;
mod telling;
pub mod traces;
mod watcher;

use crate::api::{self, Health, Phase};
use crate::auth::secret::Secrets;
use crate::clock::{Clock, System};
use crate::cluster::seats::Seats;
use crate::cluster::{Bus, Message};
use crate::config::{Config, Current, DatabaseUrl, Limits};
use crate::hooks::Feed;
use crate::net::client::Trusted;
use crate::net::door::Door;
use crate::net::server::{self, Options};
use crate::net::tls::Reloading;
use crate::pages;
use crate::relay::{self, Relays};
use crate::rtmp::server as rtmp;
use crate::session::admission::Admission;
use crate::session::route::{self, Viewing};
use crate::session::worker::Worker;
use crate::store::{Postgres, Sqlite, Store};
use crate::stream::registry::Registry;
use crate::stream::upstream::Upstream;
use crate::telemetry::Metrics;
use crate::tenancy;
use actix::Arbiter;
use actix_server::ServerHandle;
use actix_web::{App as WebApp, HttpResponse, web};
use anyhow::Context as _;
use cluster::{Beat, Cluster};
use enforcer::Enforcer;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Certificates are looked at this often.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(5);
/// Limits that were hit are told of this often.
const LIMITS_EVERY: Duration = Duration::from_secs(10);
/// HTTP connections of one worker at once; viewers' sockets leave the HTTP server.
const CONNECTIONS_MAX: usize = 100_000;

/// Where a running node can be reached; ports that were 0 are known now.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    pub http: SocketAddr,
    pub rtmp: SocketAddr,
    pub rtmps: Option<SocketAddr>,
    pub internal: SocketAddr,
}

/// What all of a node's parts share.
struct Parts {
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    store: Arc<dyn Store>,
    secrets: Arc<Secrets>,
    registry: Arc<Registry>,
    admission: Arc<Admission>,
    health: Arc<Health>,
    bus: Arc<dyn Bus>,
    relays: Option<Arc<Relays>>,
    seats: Arc<Seats>,
    feed: Arc<Feed>,
    trusted: Trusted,
    limits: Current<Limits>,
    public_url: Current<Option<String>>,
}

/// A node that runs.
pub struct Node {
    pub addresses: Addresses,
    pub administration: Arc<api::State>,
    parts: Arc<Parts>,
    publishers: Arc<rtmp::Server>,
    beat: Beat,
    http: Vec<ServerHandle>,
    tasks: Vec<JoinHandle<()>>,
    arbiters: Vec<Arbiter>,
    drain_asked: Arc<Notify>,
    /// In force.
    config: Config,
    certificate: Option<Arc<Reloading>>,
}

impl Node {
    /// Starts all parts; nothing is reachable before everything is ready.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        let http = bind(config.http.listen, "http.listen")?;
        let rtmp = bind(config.rtmp.listen, "rtmp.listen")?;
        let rtmps = config.rtmps.listen.map(|listen| bind(listen, "rtmps.listen")).transpose()?;
        let internal = bind(config.internal.listen, "internal.listen")?;
        let addresses = Addresses {
            http: http.local_addr()?,
            rtmp: rtmp.local_addr()?,
            rtmps: rtmps.as_ref().map(TcpListener::local_addr).transpose()?,
            internal: internal.local_addr()?,
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let ingest = (cores / 4).max(1);
        let arbiters: Vec<Arbiter> = (0..ingest).map(|_| Arbiter::new()).collect();
        let (feed, events) = Feed::new();
        let (parts, cluster) = assemble(config, &arbiters, feed, addresses.internal).await?;
        let parts = Arc::new(parts);
        parts.metrics.watch_panics();
        let drain_asked = Arc::new(Notify::new());
        parts.bus.subscribe(Arc::new(enforcer(config, &parts, drain_asked.clone())));
        let workers = cores.saturating_sub(ingest).max(1);
        let publishers = serve_behind(&parts.trusted, publishing(&parts, &cluster));
        let mut node = Self {
            addresses,
            administration: Arc::new(administration(config, &parts, &cluster, &addresses, &publishers)),
            publishers,
            beat: Beat::of(&parts, &cluster),
            parts,
            http: Vec::new(),
            tasks: Vec::new(),
            arbiters,
            drain_asked,
            config: config.clone(),
            certificate: config.tls.as_ref().map(|tls| Reloading::load(&tls.cert, &tls.key)).transpose()?,
        };
        node.beat.refuse_a_namesake().await?;
        if let Some(missing) = missing_pages(pages::are_built(), api::is_ui_built()) {
            tracing::warn!("{missing}");
        }
        node.tasks.extend(telling::start(config, &node.parts, &cluster, events));
        let certificate = node.certificate.clone();
        let tls = |protocol| certificate.as_ref().map(|certificate| certificate.acceptor(protocol)).transpose();
        node.serve_public(http, workers, tls(Some("http/1.1"))?, config, &cluster)?;
        node.serve_internal(internal, &cluster)?;
        node.serve_publishers(rtmp, None);
        if let Some(rtmps) = rtmps {
            node.serve_publishers(rtmps, tls(None)?);
        }
        node.tasks.extend(certificate.map(|certificate| actix_rt::spawn(keep_certificate(certificate))));
        node.tasks.push(actix_rt::spawn(log_limits(node.parts.metrics.clone())));
        node.parts.health.enter(Phase::Ready);
        node.beat.exchange().await;
        node.tasks.push(actix_rt::spawn(node.beat.clone().run()));
        node.tasks.extend(cluster.listening);
        Ok(node)
    }

    fn serve_public(
        &mut self,
        listener: TcpListener,
        workers: usize,
        tls: Option<TlsAcceptor>,
        config: &Config,
        cluster: &Cluster,
    ) -> anyhow::Result<()> {
        let viewing = web::Data::new(Viewing {
            admission: self.parts.admission.clone(),
            seats: self.parts.seats.clone(),
            trusted: self.parts.trusted.clone(),
            limits: self.parts.limits.clone(),
            public_url: self.parts.public_url.clone(),
            ownership: cluster.ownership.clone(),
            is_draining: {
                let health = self.parts.health.clone();
                Box::new(move || health.phase() == Phase::Draining)
            },
        });
        let administration = web::Data::from(self.administration.clone());
        let health = web::Data::from(self.parts.health.clone());
        let parts = self.parts.clone();
        let node: Arc<str> = config.node.id.clone().into();
        let door = Door::public(self.parts.limits.clone(), self.parts.trusted.clone(), self.parts.metrics.clone());
        let options = Options { name: "http", workers, tls, connections_max: CONNECTIONS_MAX, door };
        let server = server::serve(listener, options, move || {
            let (registry, clock, metrics) = (parts.registry.clone(), parts.clock.clone(), parts.metrics.clone());
            let worker = Worker::new(registry, clock, metrics, parts.limits.clone(), node.clone());
            WebApp::new()
                .app_data(viewing.clone())
                .app_data(worker)
                .app_data(administration.clone())
                .app_data(health.clone())
                .configure(route::configure)
                .configure(pages::configure)
                .configure(api::configure)
                .configure(api::health)
                .configure(api::ui)
        })?;
        self.http.push(server.handle());
        run(server);
        Ok(())
    }

    fn serve_internal(&mut self, listener: TcpListener, cluster: &Cluster) -> anyhow::Result<()> {
        let (parts, publishers, asked) = (self.parts.clone(), self.publishers.clone(), cluster.peers.clone());
        let serving = web::Data::new(relays::serving(&self.parts, cluster));
        let administration = web::Data::from(self.administration.clone());
        let door = Door::internal(self.parts.limits.clone(), self.parts.metrics.clone());
        let options = Options { name: "internal", workers: 1, tls: None, connections_max: CONNECTIONS_MAX, door };
        let server = server::serve(listener, options, move || {
            WebApp::new()
                .app_data(web::Data::from(parts.metrics.clone()))
                .app_data(web::Data::from(parts.health.clone()))
                .app_data(web::Data::from(asked.clone()))
                .app_data(web::Data::from(publishers.clone()))
                .configure(api::health)
                .app_data(serving.clone())
                .app_data(administration.clone())
                .configure(peers::configure)
                .configure(relay::configure)
                .configure(api::internal)
                .configure(api::debug)
                .route("/metrics", web::get().to(metrics))
        })?;
        self.http.push(server.handle());
        run(server);
        Ok(())
    }

    fn serve_publishers(&mut self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        let threads = self.arbiters.iter().map(Arbiter::handle).collect();
        let running = self.publishers.clone().run(listener, tls, threads);
        self.tasks.push(actix_rt::spawn(async move {
            if let Err(error) = running.await {
                tracing::error!(%error, "the RTMP server ended");
            }
        }));
    }

    /// Resolves when the API was asked to drain this node.
    pub fn drain_asked(&self) -> impl Future<Output = ()> + use<> {
        let asked = self.drain_asked.clone();
        async move { asked.notified().await }
    }
}

async fn assemble(
    config: &Config,
    arbiters: &[Arbiter],
    feed: Arc<Feed>,
    internal: SocketAddr,
) -> anyhow::Result<(Parts, Cluster)> {
    let clock: Arc<dyn Clock> = Arc::new(System::new());
    let metrics = Arc::new(Metrics::new());
    let store = open_store(&config.database.url).await?;
    let secrets = Arc::new(root::secrets(config, store.as_ref(), random()).await?);
    let threads = arbiters.iter().map(Arbiter::handle).collect();
    let admission = Arc::new(Admission::new(store.clone(), secrets.clone(), clock.clone()));
    let limits = Current::new(config.limits);
    let trusted = Trusted::new(config.trusted_proxies.iter().copied());
    let health = Arc::new(Health::new(store.clone(), metrics.clone()));
    let redis = config.redis.url.as_ref();
    let myself = cluster::myself(config, internal, random());
    let cluster = Cluster::open(redis, myself, store.clone(), secrets.clone(), clock.clone(), health.clone())?;
    let relays = relays::relays(config, limits.clone(), &cluster, &clock);
    let upstream = relays.clone().map(|relays| relays as Arc<dyn Upstream>);
    let registry = Registry::with_upstream(threads, clock.clone(), metrics.clone(), upstream);
    let seats = Arc::new(Seats::new(cluster.nodes.clone()));
    let parts = Parts {
        clock,
        metrics,
        store,
        secrets,
        registry,
        admission,
        health,
        bus: cluster.bus.clone(),
        relays,
        seats,
        feed,
        trusted,
        limits,
        public_url: Current::new(config.public_url.clone()),
    };
    Ok((parts, cluster))
}

fn enforcer(config: &Config, parts: &Parts, drain: Arc<Notify>) -> Enforcer {
    Enforcer {
        node: config.node.id.clone(),
        store: parts.store.clone(),
        registry: parts.registry.clone(),
        admission: parts.admission.clone(),
        seats: parts.seats.clone(),
        relays: parts.relays.clone(),
        limits: parts.limits.clone(),
        drain,
    }
}

fn publishing(parts: &Parts, cluster: &Cluster) -> rtmp::Parts {
    let limits = parts.limits.clone();
    let (admission, bus) = (parts.admission.clone(), parts.bus.clone());
    rtmp::Parts {
        node: cluster.nodes.myself.node.clone(),
        store: parts.store.clone(),
        ownership: cluster.ownership.clone(),
        inquiry: Arc::new(peers::Asking { peers: cluster.peers.clone() }),
        registry: parts.registry.clone(),
        secrets: parts.secrets.clone(),
        clock: parts.clock.clone(),
        metrics: parts.metrics.clone(),
        seats: parts.seats.clone(),
        limits: limits.clone(),
        settings: Box::new(move |stored| tenancy::settings(stored, &limits.get())),
        on_publish: Box::new(move |publish| {
            let (admission, id) = (admission.clone(), publish.stream.playback_id.clone());
            let (bus, stream) = (bus.clone(), publish.stream.id.clone());
            tokio::spawn(async move {
                // Nodes that are not told find it by themselves, a little later.
                let _told = bus.publish(Message::StreamPublished { stream }).await;
                admission.prime(&id).await;
            });
        }),
    }
}

async fn log_limits(metrics: Arc<Metrics>) {
    loop {
        actix_rt::time::sleep(LIMITS_EVERY).await;
        metrics.log_limits();
    }
}

fn serve_behind(trusted: &Trusted, parts: rtmp::Parts) -> Arc<rtmp::Server> {
    let trusted = trusted.clone();
    rtmp::Server::behind(Box::new(move |address| trusted.contains(address)), parts)
}

/// `addresses` are where publishers are really listened for.
fn administration(
    config: &Config,
    parts: &Parts,
    cluster: &Cluster,
    addresses: &Addresses,
    publishers: &Arc<rtmp::Server>,
) -> api::State {
    let publishers = publishers.clone();
    let mut config = config.clone();
    config.rtmp.listen = addresses.rtmp;
    config.rtmps.listen = addresses.rtmps;
    let parts = api::Parts {
        store: parts.store.clone(),
        bus: parts.bus.clone(),
        registry: parts.registry.clone(),
        secrets: parts.secrets.clone(),
        clock: parts.clock.clone(),
        random: fill_random,
        trusted: parts.trusted.clone(),
        limits: parts.limits.clone(),
        public_url: parts.public_url.clone(),
        feed: parts.feed.clone(),
        health: parts.health.clone(),
        on_stream_key: Box::new(move |hash| publishers.expect_key(hash)),
        nodes: cluster.nodes.clone(),
        peers: cluster.peers.clone(),
    };
    api::State::new(parts, &config)
}

/// What a program that was built without its pages can't show.
fn missing_pages(player: bool, ui: bool) -> Option<String> {
    let missing = match (player, ui) {
        (true, true) => return None,
        (false, true) => "the player's pages (/watch, /embed)",
        (true, false) => "the admin UI (/admin/)",
        (false, false) => "the player's pages (/watch, /embed) and the admin UI (/admin/)",
    };
    Some(format!("built without {missing}: run `make player admin-ui` and build again"))
}

/// Opens the configured database and brings it up to date.
pub async fn open_store(url: &DatabaseUrl) -> anyhow::Result<Arc<dyn Store>> {
    match url {
        DatabaseUrl::Sqlite(path) => Ok(Arc::new(Sqlite::open(path).await?)),
        DatabaseUrl::Postgres(url) => {
            let store = Postgres::connect(url.reveal()).await?;
            store.migrate().await?;
            Ok(Arc::new(store))
        }
    }
}

fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into()).with_context(|| format!("can't listen on {address} (`{key}`)"))?;
    socket.listen(server::BACKLOG.cast_signed()).with_context(|| format!("can't listen on {address} (`{key}`)"))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Until it is stopped by its handle.
fn run(server: actix_server::Server) {
    actix_rt::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "an HTTP server ended");
        }
    });
}

async fn keep_certificate(certificate: Arc<Reloading>) {
    loop {
        actix_rt::time::sleep(CERTIFICATE_EVERY).await;
        match certificate.refresh() {
            Ok(true) => tracing::info!("the certificate was replaced"),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the new certificate can't be used, the old one stays"),
        }
    }
}

async fn metrics(metrics: web::Data<Metrics>, health: web::Data<Health>) -> HttpResponse {
    health.look_at_store().await;
    HttpResponse::Ok().content_type("application/openmetrics-text; version=1.0.0; charset=utf-8").body(metrics.render())
}

/// No key is made where the system gives no random bytes.
fn fill_random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the system gives random bytes");
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill_random(&mut bytes);
    bytes
}
