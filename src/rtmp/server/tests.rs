use super::*;
use crate::auth::key::{RANDOM_BYTES, StreamKey};
use crate::auth::secret::Sealed;
use crate::auth::token::Algorithm;
use crate::clock::Manual;
use crate::cluster::{Coordinator, LocalTable, Myself, Owner};
use crate::id::{PlaybackId, TenantId};
use crate::rtmp::client::{Client, Event};
use crate::rtmp::url::Url;
use crate::store::{Entry, Material, Memory, NewStream, NewStreamKey, NewTenant, Outcome, Quotas, SigningKey};
use crate::stream::Handle;
use crate::stream::packet::Phase;
use actix::Arbiter;
use async_trait::async_trait;
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const START_US: i64 = 1_800_000_000_000_000;
const SOON: Duration = Duration::from_secs(5);
/// AAC-LC at 44.1 kHz in stereo, as an FLV tag.
const AAC_HEADER: &[u8] = &[0xaf, 0, 0x12, 0x10];
const AAC_FRAME: &[u8] = &[0xaf, 1, 0x21, 0x00, 0x49, 0x90, 0x02, 0x19, 0x00, 0x23, 0x80];

struct Nobody;

#[async_trait]
impl Inquiry for Nobody {
    async fn ask(&self, _: &Owner, _: &StreamId, _: &KeyId) -> Answer {
        Answer::None
    }
}

/// A node of one stream with one key, served on a free port.
struct Node {
    server: Arc<Server>,
    registry: Arc<Registry>,
    clock: Arc<Manual>,
    address: SocketAddr,
    key: String,
    stream: StreamId,
    accepted: Arc<AtomicUsize>,
}

fn entry() -> Entry {
    Entry {
        at_us: START_US,
        tenant: None,
        actor: "system".to_owned(),
        address: None,
        action: "test".to_owned(),
        target: "test".to_owned(),
        outcome: Outcome::Done,
        before: None,
        after: None,
    }
}

async fn store(clock: Arc<Manual>, secrets: &Secrets, settings: store::Settings) -> (Arc<dyn Store>, String, StreamId) {
    let store = Memory::new(clock);
    let (tenant, stream) = (TenantId::from_random([1; 16]), StreamId::from_random([2; 16]));
    let signing_key = SigningKey {
        id: KeyId::from_random([3; 16]),
        tenant: tenant.clone(),
        kid: "k".to_owned(),
        algorithm: Algorithm::Hs256,
        material: Material::Sealed(Sealed::from_bytes(vec![1])),
        created_us: START_US,
    };
    let quotas = Quotas::default();
    let new = NewTenant { id: tenant.clone(), name: "t".to_owned(), quotas, created_us: START_US, signing_key };
    store.create_tenant(new, entry()).await.unwrap();
    let key = StreamKey::from_random([4; RANDOM_BYTES]);
    let new = NewStream {
        id: stream.clone(),
        tenant,
        playback_id: PlaybackId::from_random([5; 16]),
        name: "s".to_owned(),
        settings,
        created_us: START_US,
        key: NewStreamKey {
            id: KeyId::from_random([6; 16]),
            prefix: key.prefix().to_owned(),
            hash: secrets.hash(key.reveal()),
            created_us: START_US,
        },
    };
    store.create_stream(new, entry()).await.unwrap();
    (Arc::new(store), key.reveal().to_owned(), stream)
}

impl Node {
    async fn start(second_publisher: SecondPublisher) -> Self {
        let clock = Arc::new(Manual::at(START_US));
        let secrets = Secrets::derive(&"s".repeat(32)).unwrap();
        let settings = store::Settings { second_publisher, ..store::Settings::default() };
        let (store, key, stream) = store(clock.clone(), &secrets, settings).await;
        let metrics = Arc::new(Metrics::new());
        let registry = Registry::new(vec![Arbiter::current()], clock.clone(), metrics.clone());
        let accepted = Arc::new(AtomicUsize::new(0));
        let counting = accepted.clone();
        let myself = Myself { node: "a".to_owned(), incarnation: "1".to_owned(), url: "http://a".to_owned() };
        let is_proxy = |address| address == IpAddr::from([127, 0, 0, 2]);
        let parts = Parts {
            node: "a".to_owned(),
            ownership: Arc::new(Coordinator::new(
                Arc::new(LocalTable::new(clock.clone())),
                Arc::new(store.clone()),
                clock.clone(),
                myself,
            )),
            store,
            inquiry: Arc::new(Nobody),
            registry: registry.clone(),
            secrets: Arc::new(secrets),
            clock: clock.clone(),
            metrics,
            seats: Arc::default(),
            limits: Current::new(Limits::default()),
            settings: Box::new(|stored| crate::tenancy::settings(stored, &Limits::default())),
            on_publish: Box::new(move |_| {
                counting.fetch_add(1, Ordering::SeqCst);
            }),
        };
        let server = Server::behind(Box::new(is_proxy), parts);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        actix::spawn(server.clone().run(listener, None, vec![Arbiter::current()]));
        Self { server, registry, clock, address, key, stream, accepted }
    }

    async fn encoder(&self, key: &str) -> Encoder {
        Encoder::connect(self.address, key).await
    }

    async fn published(&self) -> Encoder {
        let mut encoder = self.encoder(&self.key).await;
        assert_eq!(encoder.event().await, Some(Event::Published));
        encoder
    }

    fn handle(&self) -> Handle {
        self.registry.get(&self.stream).expect("the stream runs")
    }

    /// Time passes meanwhile.
    async fn wait_for(&self, phase: Phase) {
        let reached = async {
            while self.handle().live().phase != phase {
                self.clock.advance(Duration::from_millis(20));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(SOON, reached).await.unwrap_or_else(|_| panic!("{phase:?} is not reached"));
    }

    async fn wait_for_waiting(&self, want: usize) {
        let reached = async {
            while self.server.waiting().len() != want {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(SOON, reached).await.expect("connections that wait");
    }
}

struct Encoder {
    stream: TcpStream,
    client: Client,
}

impl Encoder {
    async fn connect(address: SocketAddr, key: &str) -> Self {
        let url = Url::parse(&format!("rtmp://{address}/live/{key}")).unwrap();
        Self { stream: TcpStream::connect(address).await.unwrap(), client: Client::new(url, 1).announce_reconnect() }
    }

    async fn flush(&mut self) {
        while let Some(bytes) = self.client.poll_transmit() {
            self.stream.write_all(&bytes).await.unwrap();
        }
    }

    /// What the server says next; `None` once it has closed the connection.
    async fn event(&mut self) -> Option<Event> {
        let next = async {
            let mut buffer = [0; 4096];
            loop {
                self.flush().await;
                if let Some(event) = self.client.poll_event() {
                    return Some(event);
                }
                match self.stream.read(&mut buffer).await {
                    Ok(0) | Err(_) => return None,
                    Ok(bytes) => self.client.handle_bytes(&buffer[..bytes]).unwrap(),
                }
            }
        };
        timeout(SOON, next).await.expect("the server says something")
    }

    async fn send_sound(&mut self) {
        self.client.send_audio(0, Bytes::from_static(AAC_HEADER));
        for n in 0..40 {
            self.client.send_audio(n * 23, Bytes::from_static(AAC_FRAME));
        }
        self.flush().await;
    }

    async fn refusal(&mut self) -> (String, String) {
        let Some(Event::Refused { code, description }) = self.event().await else { panic!("not refused") };
        assert_eq!(self.event().await, None, "the connection is closed");
        (code, description)
    }
}

#[actix::test]
async fn media_of_the_right_key_goes_live_and_unpublish_interrupts() {
    let node = Node::start(SecondPublisher::Refuse).await;
    let mut encoder = node.published().await;
    assert_eq!(node.accepted.load(Ordering::SeqCst), 1);
    encoder.send_sound().await;
    node.wait_for(Phase::Live).await;
    encoder.client.unpublish();
    encoder.flush().await;
    node.wait_for(Phase::Interrupted).await;
    drop(encoder);
    timeout(SOON, node.server.wait_until_idle()).await.unwrap();
    assert_eq!(node.server.claimable(&node.stream, &KeyId::from_random([6; 16])), Claimable::Free);
}

#[actix::test]
async fn one_who_vanishes_and_comes_back_is_taken_at_once() {
    let node = Node::start(SecondPublisher::Refuse).await;
    for _ in 0..3 {
        let mut encoder = node.published().await;
        encoder.send_sound().await;
        drop(encoder);
        timeout(SOON, node.server.wait_until_idle()).await.unwrap();
    }
}

#[actix::test]
async fn a_wrong_key_is_told_so() {
    let node = Node::start(SecondPublisher::Refuse).await;
    for key in ["live", "sk_1", &"sk_z".repeat(9), &format!("sk_{}", "0".repeat(39))] {
        let (code, description) = node.encoder(key).await.refusal().await;
        assert_eq!(
            (code.as_str(), description.as_str()),
            ("NetStream.Publish.BadName", "no stream has this stream key")
        );
    }
}

#[actix::test]
async fn too_many_wrong_keys_are_not_looked_up_but_a_known_one_is() {
    let node = Node::start(SecondPublisher::Takeover).await;
    node.published().await;
    let guess = |n: u8| StreamKey::from_random([n; RANDOM_BYTES]).reveal().to_owned();
    for n in 10..20 {
        assert!(node.encoder(&guess(n)).await.refusal().await.1.starts_with("no stream"));
    }
    assert!(node.encoder(&guess(20)).await.refusal().await.1.starts_with("too many"));
    node.published().await;
}

#[actix::test]
async fn a_second_publisher_is_refused_while_the_first_sends() {
    let node = Node::start(SecondPublisher::Refuse).await;
    let mut first = node.published().await;
    first.send_sound().await;
    let (code, description) = node.encoder(&node.key).await.refusal().await;
    assert_eq!(code, "NetStream.Publish.BadName");
    assert_eq!(description, "this stream is being published already");
    first.send_sound().await;
    node.wait_for(Phase::Live).await;
}

#[actix::test]
async fn a_publisher_silent_for_a_second_is_replaced() {
    let node = Node::start(SecondPublisher::Refuse).await;
    let mut first = node.published().await;
    node.clock.advance(Duration::from_secs(1));
    let mut second = node.published().await;
    assert_eq!(first.refusal().await.0, "NetStream.Publish.Reset");
    second.send_sound().await;
    node.wait_for(Phase::Live).await;
}

#[actix::test]
async fn of_many_at_the_same_instant_one_is_taken() {
    let node = Node::start(SecondPublisher::Refuse).await;
    let mut encoders = Vec::new();
    for _ in 0..5 {
        encoders.push(node.encoder(&node.key).await);
    }
    let mut taken = 0;
    for encoder in &mut encoders {
        taken += usize::from(encoder.event().await == Some(Event::Published));
    }
    assert_eq!(taken, 1);
}

#[actix::test]
async fn sound_that_no_browser_plays_is_refused_with_a_reason() {
    let node = Node::start(SecondPublisher::Refuse).await;
    let mut encoder = node.published().await;
    let speex = Bytes::from_static(&[0xb2, 1, 2, 3]);
    encoder.client.send_audio(0, speex);
    let (code, description) = encoder.refusal().await;
    assert_eq!(code, "NetStream.Publish.Denied");
    assert!(description.contains("Speex"), "{description}");
}

#[actix::test]
async fn noise_ends_its_own_connection_only() {
    let node = Node::start(SecondPublisher::Refuse).await;
    let mut encoder = node.published().await;
    let mut noise = TcpStream::connect(node.address).await.unwrap();
    noise.write_all(&[3; 3073]).await.unwrap();
    noise.write_all(&[0xff; 500]).await.unwrap();
    let mut rest = Vec::new();
    timeout(SOON, noise.read_to_end(&mut rest)).await.expect("it is closed").ok();
    encoder.send_sound().await;
    node.wait_for(Phase::Live).await;
}

#[actix::test]
async fn who_can_is_asked_to_reconnect_then_all_are_ended() {
    let node = Node::start(SecondPublisher::Refuse).await;
    let mut encoder = node.published().await;
    encoder.send_sound().await;
    node.server.drain();
    assert!(matches!(encoder.event().await, Some(Event::ReconnectRequest { .. })));
    assert!(TcpStream::connect(node.address).await.is_err() || node.encoder(&node.key).await.event().await.is_none());
    node.server.end();
    assert_eq!(encoder.refusal().await.0, "NetConnection.Connect.Closed");
    timeout(SOON, node.server.wait_until_idle()).await.unwrap();
}

#[actix::test]
async fn a_trusted_proxy_must_say_whose_the_connection_is_and_others_must_not() {
    let node = Node::start(SecondPublisher::Refuse).await;
    let connect = async |from: [u8; 4]| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((from, 0))).unwrap();
        let url = Url::parse(&format!("rtmp://h/live/{}", node.key)).unwrap();
        Encoder { stream: socket.connect(node.address).await.unwrap(), client: Client::new(url, 1) }
    };
    let header = b"PROXY TCP4 192.0.2.1 192.0.2.2 5 1935\r\n";
    let mut silent = connect([127, 0, 0, 2]).await;
    assert_eq!(silent.event().await, None);
    let mut other = connect([127, 0, 0, 3]).await;
    other.stream.write_all(header).await.unwrap();
    assert_eq!(other.event().await, None);
    let mut proxied = connect([127, 0, 0, 2]).await;
    proxied.stream.write_all(header).await.unwrap();
    assert_eq!(proxied.event().await, Some(Event::Published));
}

#[actix::test]
async fn the_connection_that_waited_longest_makes_room() {
    let node = Node::start(SecondPublisher::Refuse).await;
    let mut oldest = TcpStream::connect(node.address).await.unwrap();
    node.wait_for_waiting(1).await;
    let mut others = Vec::new();
    for _ in 0..199 {
        others.push(TcpStream::connect(node.address).await.unwrap());
    }
    node.wait_for_waiting(200).await;
    node.published().await;
    let mut rest = Vec::new();
    let closed = timeout(Duration::from_secs(3), oldest.read_to_end(&mut rest)).await;
    assert!(closed.is_ok_and(|read| read.is_ok_and(|bytes| bytes == 0)));
}
