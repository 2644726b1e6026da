//! An API over a store in memory, asked as over the wire.

use actix_web::body::{BoxBody, MessageBody as _};
use actix_web::dev::ServiceResponse;
use actix_web::http::{Method, StatusCode};
use actix_web::test::TestRequest;
use actix_web::{App, test, web};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use weir::api::{Health, Parts, Phase, State};
use weir::auth::secret::Secrets;
use weir::clock::Manual;
use weir::cluster::peers::Peers;
use weir::cluster::{Bus, Listener, LocalBus, Message, Myself, Nodes};
use weir::config::{Config, Current};
use weir::hooks::Feed;
use weir::net::client::Trusted;
use weir::store::{Memory, Store};
use weir::stream::registry::Registry;
use weir::telemetry::Metrics;

pub(crate) const ADMIN: &str = "an-administrators-key-of-forty-characters";
pub(crate) const ROOT: &str = "a root secret that is long enough for it";
pub(crate) const NOW_US: i64 = 1_800_000_000_000_000;

/// Every call gives other bytes, the same in each run.
fn random(bytes: &mut [u8]) {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    for chunk in bytes.chunks_mut(8) {
        let number = NEXT.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_mul(0xd129_1a73);
        chunk.copy_from_slice(&number.to_le_bytes()[..chunk.len()]);
    }
}

#[derive(Default)]
pub(crate) struct Heard(Mutex<Vec<Message>>);

impl Heard {
    pub(crate) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Listener for Heard {
    fn handle(&self, message: &Message) {
        self.0.lock().unwrap().push(message.clone());
    }
}

pub(crate) struct Api {
    state: web::Data<State>,
    health: web::Data<Health>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) clock: Arc<Manual>,
    pub(crate) heard: Arc<Heard>,
    pub(crate) secrets: Arc<Secrets>,
    /// Stream keys that were told of.
    pub(crate) keys: Arc<Mutex<Vec<Hash>>>,
    /// What requests come with.
    pub(crate) key: String,
    pub(crate) peer: SocketAddr,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    headers: actix_web::http::header::HeaderMap,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {}", self.body))
    }
}

pub(crate) struct Told(Pin<Box<BoxBody>>);

impl Told {
    pub(crate) async fn next(&mut self) -> String {
        let part = std::future::poll_fn(|context| self.0.as_mut().poll_next(context)).await.unwrap().unwrap();
        String::from_utf8(part.to_vec()).unwrap()
    }

    /// Whether it ends within the time in which a change takes effect.
    pub(crate) async fn ends(&mut self) -> bool {
        let ending =
            async { while std::future::poll_fn(|context| self.0.as_mut().poll_next(context)).await.is_some() {} };
        tokio::time::timeout(std::time::Duration::from_secs(2), ending).await.is_ok()
    }
}

impl Api {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(Manual::at(NOW_US));
        Self::over(Arc::new(Memory::new(clock.clone())), clock)
    }

    pub(crate) fn over(store: Arc<dyn Store>, clock: Arc<Manual>) -> Self {
        let variables = [("WEIR_ADMIN_KEY".to_owned(), ADMIN.to_owned())];
        let myself = Myself { node: "node-1".to_owned(), incarnation: "1".to_owned(), url: String::new() };
        let config = Config::parse(&toml_free(), variables.into_iter(), &[], "host").unwrap();
        let secrets = Arc::new(Secrets::derive(ROOT).unwrap());
        let bus = Arc::new(LocalBus::default());
        let heard = Arc::new(Heard::default());
        bus.subscribe(heard.clone());
        let arbiters = vec![actix_rt::Arbiter::new().handle()];
        let metrics = Arc::new(Metrics::new());
        let health = Arc::new(Health::new(store.clone(), metrics.clone()));
        health.enter(Phase::Ready);
        let feed = Feed::new().0;
        let keys = Arc::new(Mutex::new(Vec::new()));
        let told = keys.clone();
        let parts = Parts {
            feed: feed.clone(),
            health: health.clone(),
            peers: Arc::new(Peers::new(myself.node.clone(), secrets.clone(), clock.clone())),
            nodes: Arc::new(Nodes::new(myself)),
            store,
            bus,
            registry: Registry::new(arbiters, clock.clone(), metrics),
            secrets: secrets.clone(),
            clock: clock.clone(),
            random,
            trusted: Trusted::default(),
            limits: Current::default(),
            public_url: Current::default(),
            on_stream_key: Box::new(move |hash| told.lock().unwrap().push(*hash)),
        };
        Self {
            state: web::Data::new(State::new(parts, &config)),
            health: web::Data::from(health),
            feed,
            clock,
            heard,
            secrets,
            keys,
            key: ADMIN.to_owned(),
            peer: "192.0.2.1:40000".parse().unwrap(),
        }
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.state.registry
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.state.store
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// Asks with another key.
    pub(crate) fn with_key(&self, key: &str) -> Self {
        Self {
            state: self.state.clone(),
            health: self.health.clone(),
            feed: self.feed.clone(),
            clock: self.clock.clone(),
            heard: self.heard.clone(),
            secrets: self.secrets.clone(),
            keys: self.keys.clone(),
            key: key.to_owned(),
            peer: self.peer,
        }
    }

    pub(crate) async fn send(&self, request: TestRequest) -> Answer {
        let app = App::new()
            .app_data(self.state.clone())
            .app_data(self.health.clone())
            .configure(weir::api::configure)
            .configure(weir::api::health);
        let app = test::init_service(app).await;
        let request = request.insert_header(("Host", "live.example:8080")).peer_addr(self.peer).to_request();
        let response: ServiceResponse = test::call_service(&app, request).await.map_into_boxed_body();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = test::read_body(response).await;
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status, body, headers }
    }

    /// A body that comes bit by bit.
    pub(crate) async fn listen(&self, request: TestRequest) -> Told {
        let app = test::init_service(App::new().app_data(self.state.clone()).configure(weir::api::configure)).await;
        let response = test::call_service(&app, request.peer_addr(self.peer).to_request()).await;
        assert_eq!(response.status(), StatusCode::OK);
        Told(Box::pin(response.map_into_boxed_body().into_body()))
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> TestRequest {
        let request = TestRequest::with_uri(&format!("/api/v1{path}")).method(method);
        request.insert_header(("Authorization", format!("Bearer {}", self.key)))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).set_json(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PATCH, path).set_json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// A tenant's id.
    pub(crate) async fn tenant(&self, name: &str) -> String {
        let answer = self.post("/tenants", json!({ "name": name })).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        answer.text("/id").to_owned()
    }

    /// A stream as it was created.
    pub(crate) async fn stream(&self, tenant: &str, name: &str) -> Value {
        let answer = self.post("/streams", json!({ "tenant": tenant, "name": name })).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        answer.body
    }

    /// An API key of this role; `tenant` None: the platform's.
    pub(crate) async fn api_key(&self, tenant: Option<&str>, role: &str) -> Self {
        let answer = self.post("/api-keys", json!({ "tenant": tenant, "role": role, "name": role })).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        self.with_key(answer.text("/key"))
    }
}

fn toml_free() -> toml::Table {
    toml::Table::new()
}

/// A store that does not answer.
pub(crate) struct Away;

macro_rules! away {
    ($of:ident: $($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+) => {
        #[async_trait]
        impl $of for Away {
            $(async fn $name(&self, $($argument: $type),*) -> weir::store::Result<$answer> {
                $(let _ = $argument;)*
                Err(weir::store::Error::Unavailable("away".to_owned()))
            })+
        }
    };
}

use weir::auth::secret::Hash;
use weir::id::{DeliveryId, EventId, KeyId, PlaybackId, StreamId, TenantId, UserId, WebhookId};
use weir::store::*;

away! { Store:
    ping() -> ();
    close() -> ();
    root_check() -> Option<Hash>;
    keep_root_check(check: &Hash) -> Hash;
    forget_root_check() -> ();
    create_tenant(new: NewTenant, audit: Entry) -> Tenant;
    tenant(id: &TenantId) -> Option<Tenant>;
    tenants(page: &Page) -> Vec<Tenant>;
    update_tenant(tenant: &Tenant, audit: Entry) -> Tenant;
    delete_tenant(id: &TenantId, audit: Entry) -> ();
    create_stream(new: NewStream, audit: Entry) -> Stream;
    stream(id: &StreamId) -> Option<Stream>;
    streams(filter: &StreamFilter, page: &Page) -> Vec<Stream>;
    update_stream(stream: &Stream, audit: Entry) -> Stream;
    delete_stream(id: &StreamId, audit: Entry) -> ();
    stream_by_key_hash(hash: &Hash) -> Option<Publish>;
    play(id: &PlaybackId) -> Option<Play>;
    create_stream_key(stream: &StreamId, new: NewStreamKey, audit: Entry) -> StreamKey;
    stream_keys(stream: &StreamId) -> Vec<StreamKey>;
    delete_stream_key(stream: &StreamId, id: &KeyId, audit: Entry) -> ();
    touch_stream_key(id: &KeyId, used_us: i64) -> ();
    create_signing_key(new: NewSigningKey, audit: Entry) -> SigningKey;
    signing_keys(tenant: &TenantId) -> Vec<SigningKey>;
    delete_signing_key(tenant: &TenantId, id: &KeyId, audit: Entry) -> ();
    create_api_key(new: ApiKey, audit: Entry) -> ApiKey;
    create_first_api_key(new: ApiKey, audit: Entry) -> bool;
    api_key_by_hash(hash: &Hash) -> Option<ApiKey>;
    api_keys(tenant: Option<&TenantId>, page: &Page) -> Vec<ApiKey>;
    delete_api_key(tenant: Option<&TenantId>, id: &KeyId, audit: Entry) -> ();
    touch_api_key(id: &KeyId, used_us: i64) -> ();
    take_fence(stream: &StreamId) -> Fence;
    accept_fence(stream: &StreamId, fence: u64) -> bool;
    accepted_fence(stream: &StreamId) -> u64;
    record(audit: Entry) -> ();
    audit(tenant: Option<&TenantId>, limit: u32, before: Option<i64>) -> Vec<Audited>;
}

type Kept<'a> = Option<&'a Hash>;
type Found = Option<(SignIn, User)>;

away! { People:
    create_user(new: User, audit: Entry) -> User;
    user(id: &UserId) -> Option<User>;
    user_by_login(login: &str) -> Option<User>;
    users(tenant: Option<&TenantId>, page: &Page) -> Vec<User>;
    update_user(user: &User, audit: Entry) -> User;
    delete_user(id: &UserId, audit: Entry) -> ();
    create_sign_in(new: SignIn, audit: Entry) -> ();
    sign_in(hash: &Hash, now_us: i64) -> Found;
    touch_sign_in(hash: &Hash, used_us: i64, expires_us: i64) -> ();
    delete_sign_in(hash: &Hash, audit: Entry) -> ();
    delete_sign_ins(user: &UserId, keep: Kept<'_>, audit: Entry) -> ();
    create_link(new: Link, audit: Entry) -> ();
    create_first_link(new: Link, audit: Entry) -> bool;
    link(hash: &Hash, now_us: i64) -> Option<Link>;
    redeem_link(hash: &Hash, user: &User, audit: Entry) -> User;
}

type Wanted<'a> = Option<&'a weir::store::Answer>;

away! { Ledger:
    begin_replay(id: &str, request: &str, now_us: i64) -> Replay;
    finish_replay(id: &str, answer: Wanted<'_>) -> ();
    create_webhook(new: Webhook, audit: Entry) -> Webhook;
    webhooks(tenant: &TenantId) -> Vec<Webhook>;
    webhook(id: &WebhookId) -> Option<Webhook>;
    update_webhook(webhook: &Webhook, audit: Entry) -> Webhook;
    delete_webhook(id: &WebhookId, audit: Entry) -> ();
    enqueue(new: &[Delivery]) -> ();
    take_deliveries(now_us: i64, until_us: i64, limit: u32) -> Vec<Delivery>;
    settle_delivery(id: &DeliveryId, settled: &Settled) -> ();
    deliveries(webhook: &WebhookId, page: &Page) -> Vec<Delivery>;
    redeliver(webhook: &WebhookId, id: &DeliveryId, audit: Entry) -> Delivery;
    add_usage(used: &[Usage]) -> ();
    usage(tenant: &TenantId, from_us: i64, to_us: i64, limit: u32) -> Vec<Usage>;
    record_event(event: &Happened, fence: Option<u64>, ids: &[DeliveryId]) -> ();
    events_after(tenant: Option<&TenantId>, after: &EventId, limit: u32) -> Vec<Happened>;
    publish_events(stream: &StreamId, page: &Page) -> Vec<Happened>;
    forget_before(replays_us: i64, events_us: i64) -> ();
}

away! { KeySets:
    create_key_set(new: KeySet, audit: Entry) -> KeySet;
    key_sets(tenant: &TenantId) -> Vec<KeySet>;
    take_key_sets(now_us: i64, until_us: i64, limit: u32) -> Vec<KeySet>;
    settle_key_set(id: &KeyId, fetched: &Fetched) -> ();
}
