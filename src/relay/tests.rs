//! Nodes in one process, with real sockets between them: one owns the stream, others follow.

use crate::clock::{Clock, System};
use crate::cluster::{Claim, Error, Owner, Ownership, Result, Standing};
use crate::config::Current;
use crate::id::{KeyId, StreamId};
use crate::media::flv::Parser;
use crate::media::flv::file::{Reader, Tag};
use crate::media::frame::{Item, Kind};
use crate::net::door::Door;
use crate::net::server::{self, Options};
use crate::relay::{Parts, Relays, Serving, configure};
use crate::stream::Handle;
use crate::stream::backlog::Bounds;
use crate::stream::handle::Command;
use crate::stream::packet::{Epoch, Packet, Phase};
use crate::stream::publisher::{Departure, EndReason, Publish, Publisher, PublisherId, SecondPublisher};
use crate::stream::registry::Registry;
use crate::stream::state::Settings;
use crate::stream::subscriber::{Refused, Subscriber, SubscriberId};
use crate::telemetry::Metrics;
use actix::Arbiter;
use actix_server::ServerHandle;
use actix_web::{App, web};
use async_trait::async_trait;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::timeout;

const CLIP: &[u8] = include_bytes!("../cli/demo.flv");
const SOON: Duration = Duration::from_secs(20);
const SETTINGS: Settings = Settings {
    send_every_ms: None,
    second_publisher: SecondPublisher::Refuse,
    reconnect_window_us: 30_000_000,
    backlog: Bounds { bytes: 32 << 20, span_us: 20_000_000 },
};

fn id() -> StreamId {
    StreamId::from_random([1; 16])
}

/// Who owns the stream, as all nodes see it.
#[derive(Default)]
struct Whereabouts(Mutex<Option<Owner>>);

#[async_trait]
impl Ownership for Whereabouts {
    async fn claim(&self, _: &StreamId, _: Option<u64>) -> Result<Claim> {
        Err(Error::NotFound)
    }

    async fn renew(&self, _: &StreamId, fence: u64) -> Result<()> {
        Err(Error::Lost(fence))
    }

    fn standing(&self, _: &StreamId, _: u64) -> Standing {
        Standing::Lost
    }

    fn held(&self, _: &StreamId) -> Option<(u64, Standing)> {
        None
    }

    async fn release(&self, _: &StreamId, _: u64) -> Result<()> {
        Ok(())
    }

    async fn locate(&self, _: &StreamId) -> Result<Option<Owner>> {
        Ok(self.0.lock().unwrap().clone())
    }
}

struct Node {
    name: &'static str,
    url: String,
    registry: Arc<Registry>,
    relays: Arc<Relays>,
    metrics: Arc<Metrics>,
    http: ServerHandle,
    whereabouts: Arc<Whereabouts>,
}

struct Encoder;

impl Publisher for Encoder {
    fn id(&self) -> PublisherId {
        PublisherId(1)
    }

    fn end(&self, _: EndReason) {}
}

impl Node {
    fn start(name: &'static str, whereabouts: &Arc<Whereabouts>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(System::new());
        let metrics = Arc::new(Metrics::new());
        let relays = Relays::new(Parts {
            node: name.to_owned(),
            ownership: whereabouts.clone(),
            credential: Box::new(|node| format!("for {node}")),
            clock: clock.clone(),
            backlog_bytes_max: Box::new(|| 32 << 20),
        });
        let threads = vec![Arbiter::current()];
        let registry = Registry::with_upstream(threads, clock.clone(), metrics.clone(), Some(relays.clone()));
        let serving = web::Data::new(Serving {
            registry: registry.clone(),
            clock,
            metrics: metrics.clone(),
            is_node: Box::new(move |shown| shown == Some(&format!("Bearer for {name}"))),
            may_serve: Box::new(|_| true),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let door = Door::internal(Current::default(), metrics.clone());
        let options = Options { name: "internal", workers: 1, tls: None, connections_max: 100, door };
        let app = move || App::new().app_data(serving.clone()).configure(configure);
        let running = server::serve(listener, options, app).unwrap();
        let http = running.handle();
        actix::spawn(running);
        Self { name, url, registry, relays, metrics, http, whereabouts: whereabouts.clone() }
    }

    async fn publish(&self, fence: u64, since_origin_us: i64) -> Handle {
        let handle = self.registry.open(&id(), SETTINGS);
        let (reply, answer) = tokio::sync::oneshot::channel();
        let publish =
            Publish { publisher: Box::new(Encoder), key: KeyId::from_random([1; 16]), fence, since_origin_us };
        let reply = Box::new(move |answer| reply.send(answer).unwrap());
        handle.send(Command::Publish(publish, reply)).await.unwrap();
        answer.await.unwrap().unwrap();
        let (node, incarnation) = (self.name.to_owned(), String::new());
        let owner = Owner { node, incarnation, url: self.url.clone(), fence };
        *self.whereabouts.0.lock().unwrap() = Some(owner);
        handle
    }

    /// One of its viewers' hubs.
    async fn watch(&self, number: u64) -> Viewer {
        let viewer = Viewer { number, got: Arc::default() };
        let handle = self.registry.open(&id(), SETTINGS);
        handle.send(Command::Subscribe(Box::new(viewer.clone()))).await.unwrap();
        viewer
    }
}

async fn send(handle: &Handle, items: &[Item]) {
    for item in items {
        handle.send(Command::Media(PublisherId(1), item.clone())).await.unwrap();
    }
}

fn items() -> Vec<Item> {
    let mut reader = Reader::new();
    let mut parser = Parser::new();
    reader.handle_bytes(CLIP);
    let mut items = Vec::new();
    while let Some(tag) = reader.poll_tag().unwrap() {
        let Tag::Media { kind, timestamp_ms, body } = tag else { continue };
        let parsed = match kind {
            Kind::Video => parser.handle_video(timestamp_ms, body),
            Kind::Audio => parser.handle_audio(timestamp_ms, body),
        };
        items.extend(parsed.unwrap());
    }
    items
}

/// Everything a hub was given, as its viewers get it.
#[derive(Default)]
struct Got {
    phases: Vec<Phase>,
    epochs: Vec<Epoch>,
    /// Start and end of pictures.
    video: Vec<(u64, u64)>,
}

#[derive(Clone)]
struct Viewer {
    number: u64,
    got: Arc<Mutex<Got>>,
}

impl Subscriber for Viewer {
    fn id(&self) -> SubscriberId {
        SubscriberId(self.number)
    }

    fn try_deliver(&self, packet: Packet) -> std::result::Result<(), Refused> {
        let mut got = self.got.lock().unwrap();
        let mut video = Vec::new();
        match packet {
            Packet::Snapshot(snapshot) => {
                got.phases.push(snapshot.phase);
                got.epochs.extend(snapshot.init.map(|init| init.epoch));
                video.extend(snapshot.backlog.into_iter().filter(|f| f.kind == Kind::Video));
            }
            Packet::Init(init) => got.epochs.push(init.epoch),
            Packet::Fragment(fragment) if fragment.kind == Kind::Video => video.push(fragment),
            Packet::Phase(phase) => got.phases.push(phase),
            _ => {}
        }
        for fragment in video {
            if got.video.last().is_none_or(|(_, end)| fragment.start >= *end) {
                got.video.push((fragment.start, fragment.end));
            }
        }
        got.phases.dedup();
        got.epochs.dedup();
        Ok(())
    }
}

impl Viewer {
    async fn until(&self, what: &str, is_so: impl Fn(&Got) -> bool) {
        let reached = async {
            while !is_so(&self.got.lock().unwrap()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let in_time = timeout(SOON, reached).await;
        let got = self.got.lock().unwrap();
        assert!(in_time.is_ok(), "{what}: {:?} {:?}, {} pictures", got.phases, got.epochs, got.video.len());
    }

    fn pictures(&self) -> usize {
        self.got.lock().unwrap().video.len()
    }
}

#[actix::test]
async fn a_node_follows_the_owner_once_for_all_its_viewers() {
    let whereabouts = Arc::default();
    let (a, b) = (Node::start("a", &whereabouts), Node::start("b", &whereabouts));
    let items = items();
    let first = b.watch(1).await;
    first.until("a viewer before the publisher waits", |got| got.phases == [Phase::Waiting]).await;
    let handle = a.publish(1, 0).await;
    send(&handle, &items[..200]).await;
    b.relays.look_again(&id());
    first.until("the follower is live", |got| got.phases == [Phase::Waiting, Phase::Live]).await;
    let others = [b.watch(2).await, b.watch(3).await];
    send(&handle, &items[200..300]).await;
    let own = a.watch(9).await;
    own.until("the owner's own viewer", |got| !got.video.is_empty()).await;
    let last = own.got.lock().unwrap().video.last().copied();
    for viewer in others.iter().chain([&first]) {
        viewer.until("everything arrives", |got| got.video.last().copied() == last).await;
    }
    let holes = first.got.lock().unwrap().video.windows(2).filter(|pair| pair[0].1 != pair[1].0).count();
    assert_eq!((holes, a.metrics.relays.get(), b.metrics.relays.get()), (0, 1, 0));
    assert!(b.registry.get(&id()).unwrap().live().is_fed);
    for number in [1, 2, 3] {
        let handle = b.registry.get(&id()).unwrap();
        handle.send(Command::Unsubscribe(SubscriberId(number))).await.unwrap();
    }
    let ended = async {
        while a.metrics.relays.get() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, ended).await.expect("without viewers the relay ends");
    assert!(b.registry.get(&id()).is_none());
}

#[actix::test]
async fn viewers_go_on_when_the_publisher_is_back_on_a_third_node_or_their_own() {
    let whereabouts = Arc::default();
    let [a, b, c] = ["a", "b", "c"].map(|name| Node::start(name, &whereabouts));
    let items = items();
    let handle = a.publish(1, 0).await;
    send(&handle, &items[..200]).await;
    let viewer = b.watch(1).await;
    viewer.until("live", |got| got.video.len() > 5).await;
    a.http.stop(false).await;
    handle.send(Command::Unpublish(PublisherId(1), Departure::Unpublished)).await.unwrap();
    viewer.until("interrupted", |got| got.phases.last() == Some(&Phase::Interrupted)).await;

    let handle = c.publish(2, 20_000_000).await;
    b.relays.look_again(&id());
    send(&handle, &items[..100]).await;
    viewer.until("live by the third node", |got| got.epochs.last().is_some_and(|epoch| epoch.fence == 2)).await;
    viewer.until("live by the third node", |got| got.phases.last() == Some(&Phase::Live)).await;

    // While it follows, its own node becomes the owner.
    let before = viewer.pictures();
    let handle = b.publish(3, 0).await;
    send(&handle, &items[..100]).await;
    viewer.until("live by its own node", |got| got.epochs.last().is_some_and(|epoch| epoch.fence == 3)).await;
    viewer.until("pictures of its own node", |got| got.video.len() > before + 20).await;
    assert!(!b.registry.get(&id()).unwrap().live().is_fed);
    assert!(viewer.got.lock().unwrap().epochs.is_sorted());
    let phases = [Phase::Live, Phase::Interrupted, Phase::Live];
    assert!(viewer.got.lock().unwrap().phases.ends_with(&phases), "{:?}", viewer.got.lock().unwrap().phases);
}

#[actix::test]
async fn nobody_but_a_node_may_follow_and_only_the_owner_is_followed() {
    let whereabouts = Arc::default();
    let (a, b) = (Node::start("a", &whereabouts), Node::start("b", &whereabouts));
    let handle = a.publish(1, 0).await;
    send(&handle, &items()[..50]).await;
    let url = |node: &Node| format!("{}/internal/v1/relay/{}", node.url.replacen("http", "ws", 1), id());
    let open = async |node: &Node, credential: &str| {
        use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
        let mut request = url(node).into_client_request().unwrap();
        request.headers_mut().insert("authorization", credential.parse().unwrap());
        request.headers_mut().insert("sec-websocket-protocol", "weir-relay.v1".parse().unwrap());
        match tokio_tungstenite::connect_async(request).await {
            Ok(_) => 101,
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => response.status().as_u16(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(open(&a, "Bearer for b").await, 401);
    assert_eq!(open(&a, "for a").await, 401);
    assert_eq!(open(&a, "Bearer for a").await, 101);
    let _viewer = b.watch(1).await;
    assert_eq!(open(&b, "Bearer for b").await, 404, "a follower is not followed");
}
